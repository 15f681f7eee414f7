//! The families of user agents against the test data of uap-core and woothee, and a list of crawlers.
//!
//! The data is not in the repository: `LOGFADE_CORPORA` names the directory that has `useragents/` and `lists/`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Agents of one file with what it says of them, by the names of its keys.
type Cases = Vec<HashMap<String, String>>;

fn corpora() -> Option<PathBuf> {
    let path = std::env::var_os("LOGFADE_CORPORA").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: LOGFADE_CORPORA is not set");
    }
    path
}

/// Reads a list of flat mappings, each of which begins with the key `first`.
fn cases(name: &str, first: &str) -> Option<Cases> {
    let text = std::fs::read_to_string(corpora()?.join("useragents").join(name)).unwrap();
    let mut all = Cases::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(':') else {
            continue;
        };
        if key == first {
            all.push(HashMap::new());
        }
        if let Some(last) = all.last_mut() {
            last.insert(key.to_owned(), unquote(value.trim()));
        }
    }
    assert!(!all.is_empty(), "{name}");
    Some(all)
}

fn unquote(value: &str) -> String {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match (inner('\''), inner('"')) {
        (Some(inner), _) => inner.replace("''", "'"),
        (_, Some(inner)) => inner.replace("\\\"", "\""),
        (None, None) => value.to_owned(),
    }
}

/// Family, major version, operating system and class of a reduced agent.
fn parts(reduced: &str) -> (&str, &str, &str, &str) {
    let Some((product, rest)) = reduced.rsplit_once(" (") else {
        return (reduced, "", "Other", "");
    };
    let (system, class) = rest.trim_end_matches(')').split_once("; ").unwrap();
    match product.rsplit_once('/') {
        Some((family, major)) if major.bytes().all(|byte| byte.is_ascii_digit()) => (family, major, system, class),
        _ => (product, "", system, class),
    }
}

fn share(name: &str, right: usize, all: usize) -> f64 {
    let share = 100.0 * right as f64 / all as f64;
    eprintln!("{name}: {right} of {all}, {share:.2} %");
    share
}

#[test]
fn families_and_majors_are_those_of_uap() {
    for (name, least) in [("uap_test_ua.yaml", 99.0), ("uap_podcasting_user_agent_strings.yaml", 95.0)] {
        let Some(cases) = cases(name, "user_agent_string") else {
            return;
        };
        let right = cases.iter().filter(|case| {
            let reduced = logfade::scrub::family(case["user_agent_string"].as_bytes());
            let (family, major, ..) = parts(&reduced);
            let right = family == case["family"] && major == case["major"];
            if !right {
                eprintln!("{}\n  {reduced}, not {}/{}", case["user_agent_string"], case["family"], case["major"]);
            }
            right
        });
        assert!(share(name, right.count(), cases.len()) >= least);
    }
}

/// An agent whose family is unknown says nothing of its system either: `Other` counts only where it has a family.
#[test]
fn systems_are_those_of_uap() {
    for name in ["uap_test_os.yaml", "uap_additional_os_tests.yaml"] {
        let Some(cases) = cases(name, "user_agent_string") else {
            return;
        };
        let known: Vec<_> =
            cases.iter().map(|case| (case, logfade::scrub::family(case["user_agent_string"].as_bytes()))).filter(|(_, reduced)| !reduced.starts_with("Other")).collect();
        let right = known.iter().filter(|(case, reduced)| parts(reduced).2 == case["family"]).count();
        share(&format!("{name} (of all)"), right, cases.len());
        assert!(share(name, right, known.len()) >= 99.0);
    }
}

/// Two agents of which the data says the same reduce to the same bytes.
#[test]
fn equal_families_majors_and_systems_reduce_to_the_same_bytes() {
    let Some(all) = cases("uap_test_ua.yaml", "user_agent_string") else {
        return;
    };
    let mut groups: BTreeMap<(String, String, String), BTreeMap<String, String>> = BTreeMap::new();
    for case in all {
        let agent = &case["user_agent_string"];
        let reduced = logfade::scrub::family(agent.as_bytes());
        let key = (case["family"].clone(), case["major"].clone(), parts(&reduced).2.to_owned());
        groups.entry(key).or_default().insert(reduced, agent.clone());
    }
    let split: Vec<_> = groups.iter().filter(|(_, reduced)| reduced.len() > 1).collect();
    assert!(split.is_empty(), "{split:#?}");
}

/// Nothing of a build, a device or a full version is left: what has a digit is a family or a major version.
#[test]
fn no_version_build_or_device_is_left() {
    let files = ["uap_test_ua.yaml", "uap_test_os.yaml", "uap_additional_os_tests.yaml"];
    let woothee = ["pc_misc", "smartphone_android", "smartphone_ios", "appliance", "mobilephone_docomo"];
    let more = woothee.map(|name| (format!("woothee_{name}.yaml"), "target"));
    let files = files.map(|name| (name.to_owned(), "user_agent_string")).into_iter().chain(more);
    for (name, key) in files {
        let Some(cases) = cases(&name, key) else {
            return;
        };
        for case in cases {
            let agent = &case[key];
            let reduced = logfade::scrub::family(agent.as_bytes());
            let (family, major, system, _) = parts(&reduced);
            assert!(major.len() <= 4, "{agent}: {reduced}");
            let kept = [family, system].concat();
            let tokens = agent.split(|c: char| " ;()/,\"".contains(c));
            let telling = |token: &&str| {
                let digits = token.bytes().filter(u8::is_ascii_digit).count();
                digits >= 2 && token.len() > 3 && !token.bytes().all(|byte| byte.is_ascii_digit())
            };
            for token in tokens.filter(telling) {
                let named = family.starts_with(token) || case.get("family").is_some_and(|family| family.contains(token));
                assert!(named || !kept.contains(token), "{token} of {agent}: {reduced}");
            }
        }
    }
}

/// What the list of crawlers has is marked as bots, but for those that look like a browser in every respect.
#[test]
fn crawlers_are_bots() {
    let Some(corpora) = corpora() else { return };
    let text = std::fs::read_to_string(corpora.join("lists/crawler-user-agents.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    let agents = list.as_array().unwrap().iter().filter_map(|one| one["instances"].as_array());
    let agents: Vec<&str> = agents.flatten().filter_map(|one| one.as_str()).collect();
    let bots = agents.iter().filter(|agent| parts(&logfade::scrub::family(agent.as_bytes())).3 == "bot").count();
    assert!(share("crawler-user-agents.json", bots, agents.len()) >= 90.0);
}
