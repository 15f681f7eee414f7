//! The report: page, JSON and terminal say the same, of a ledger that holds and of one that does not.

use super::support::{Dir, Outcome, logfade};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

const CONFIG: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/access.log*"]
format = "combined"
purpose = "<script>alert(1)</script> & \"more\""
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "forever"
output = "DIR/clean"
[[class.keep]]
form   = "aggregate"
until  = "forever"
output = "DIR/stats"
k      = 10
"#;

fn line(date: &str) -> String {
    format!("203.0.113.7 - - [{date}:10:00:00 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n")
}

fn log(dir: &Dir, name: &str, text: &str, age: Duration) {
    dir.file(name, text.as_bytes());
    let times = FileTimes::new().set_modified(SystemTime::now() - age);
    File::options().write(true).open(dir.at(name)).unwrap().set_times(times).unwrap();
}

const DAY: Duration = Duration::from_secs(86_400);

/// A configuration under which raw may go, and one old file beside a young one.
fn place() -> (Dir, Vec<String>) {
    let dir = Dir::new();
    for name in ["clean", "stats"] {
        std::fs::create_dir(dir.at(name)).unwrap();
    }
    let text = CONFIG.replace("DIR", dir.path().to_str().unwrap());
    dir.file("logfade.toml", text.as_bytes());
    log(&dir, "access.log.2", &[line("05/Jan/2026").repeat(3), "gibberish\n".to_owned()].concat(), DAY);
    let young = jiff::Timestamp::now().strftime("%d/%b/%Y").to_string();
    log(&dir, "access.log.1", &line(&young), Duration::ZERO);
    let base = ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state")].map(str::to_owned).to_vec();
    (dir, base)
}

pub fn call(base: &[String], more: &[&str]) -> Outcome {
    let args: Vec<String> = base.iter().cloned().chain(more.iter().map(|arg| (*arg).to_owned())).collect();
    logfade(&args).run(b"")
}

/// What a page says, by JSON pointer: `value` or `datetime` where there is one, else the text.
pub fn figures(page: &str) -> BTreeMap<String, String> {
    let unescaped = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let mut found = BTreeMap::new();
    for part in page.split(" data-json=\"").skip(1) {
        let (key, rest) = part.split_once('"').unwrap();
        let (attributes, rest) = rest.split_once('>').unwrap();
        let exact = ["value=\"", "datetime=\""].iter().find_map(|name| attributes.split_once(name)).map(|(_, rest)| rest.split_once('"').unwrap().0);
        let text = unescaped(exact.unwrap_or_else(|| rest.split_once('<').unwrap().0));
        assert!(found.insert(key.to_owned(), text.clone()).is_none_or(|before| before == text), "{key} says two things");
    }
    found
}

/// Every leaf of a JSON value that says something, by pointer.
pub fn leaves(value: &Value, at: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => list.iter().enumerate().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found)),
        // What would steer the reader's eyes is shown instead.
        Value::String(text) => drop(found.insert(at.to_owned(), logfade::report::inert(text))),
        Value::Number(number) => drop(found.insert(at.to_owned(), number.to_string())),
        // What is not there, and switches, are words in the page.
        Value::Null | Value::Bool(_) => {}
    }
}

/// Fails with what differs; reading a number from JSON may change its last digit.
pub fn assert_same(page: &BTreeMap<String, String>, json: &BTreeMap<String, String>) {
    let near = |one: &str, other: &str| one.parse().ok().zip(other.parse().ok()).is_some_and(|(one, other): (f64, f64)| (one - other).abs() <= 1e-12 * one.abs());
    let keys: std::collections::BTreeSet<&String> = page.keys().chain(json.keys()).collect();
    let differ: Vec<_> = keys
        .into_iter()
        .map(|key| (key, page.get(key), json.get(key)))
        .filter(|(_, page, json)| page != json && !page.zip(*json).is_some_and(|(page, json)| near(page, json)))
        .collect();
    assert!(differ.is_empty(), "page and JSON: {differ:#?}");
}

/// Writes both in one run and holds them against each other.
pub fn both(dir: &Dir, base: &[String], code: i32) -> (Value, String) {
    let outcome = call(base, &["--json", "report", "--html", &dir.arg("report.html")]);
    let json = outcome.expect_code(code).json();
    let page = String::from_utf8(dir.read("report.html")).unwrap();
    let mut expected = BTreeMap::new();
    leaves(&json, "", &mut expected);
    assert_same(&figures(&page), &expected);
    (json, page)
}

#[test]
fn the_page_says_what_the_json_says() {
    let (dir, base) = place();
    call(&base, &["report"]).expect_code(0);
    assert!(!dir.at("state").exists(), "a report makes nothing");
    let (json, _) = both(&dir, &base, 0);
    let raw = &json["classes"][0]["forms"][0];
    assert_eq!((raw["files"].as_u64(), raw["due"].as_u64(), raw["overdue"].as_u64()), (Some(2), Some(1), Some(0)));
    assert_eq!((raw["oldest"].as_str(), raw["deadline"].as_str()), (Some("2026-01-05T10:00:00Z"), Some("2026-02-05T00:00:00Z")));
    let size = std::fs::metadata(dir.at("access.log.1")).unwrap().len() + std::fs::metadata(dir.at("access.log.2")).unwrap().len();
    assert_eq!(raw["bytes"].as_u64(), Some(size));
    assert_eq!((json["changed"].as_bool(), json["ledger"]["ok"].as_bool(), json["ledger"]["entries"].as_u64()), (Some(true), Some(true), Some(0)));

    // A hold makes it overdue, in words as well.
    call(&base, &["hold", "add", "<b>case</b>", "--class", "site", "--reason", "<i>court</i>"]).expect_code(0);
    call(&base, &["keys", "init"]).expect_code(0);
    call(&base, &["expire", "--yes"]).expect_code(1);
    let (json, page) = both(&dir, &base, 1);
    assert_eq!((json["overdue"].as_u64(), json["overdue_files"][0]["reason"].as_str()), (Some(1), Some("held")));
    assert_eq!((json["holds"][0]["name"].as_str(), json["incidents"][0]["what"].as_str()), (Some("<b>case</b>"), Some("overdue")));
    assert_eq!((json["changed"].as_bool(), json["keys"]["mode"].as_str()), (Some(false), Some("local")));
    assert!(page.contains("fill=\"#A61B1B\"") && page.contains(">\noverdue\n</text>"), "red and in words");
    assert!(call(&base, &["report"]).expect_code(1).stdout_text().contains("overdue    1 file with records that are due and stay"));

    // Released, it goes, and is counted.
    call(&base, &["hold", "release", "<b>case</b>", "--reason", "settled"]).expect_code(0);
    call(&base, &["expire", "--yes"]).expect_code(0);
    let (json, page) = both(&dir, &base, 0);
    let volume = &json["classes"][0]["volume"];
    let counts = ["read", "clean", "rejected", "excluded", "deleted", "scrubbed"].map(|key| volume[key].as_u64().unwrap());
    assert_eq!(counts, [4, 3, 1, 0, 1, 1]);
    assert_eq!((json["days"][0]["read"].as_u64(), json["classes"][0]["forms"][1]["files"].as_u64()), (Some(4), Some(1)));
    assert_eq!(json["classes"][0]["forms"][1]["deadline"], Value::Null);
    let head = call(&base, &["--json", "ledger", "verify"]).json()["head"].clone();
    assert_eq!(json["ledger"]["head"], head);
    for elsewhere in ["<script", "<link", "<img", "src=", "href=", "url(", "@import", "http://", "https://", "<b>", "<i>", " style=", "203.0.113"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    // Headings in order: one first, and none that skips a step.
    let levels: Vec<u32> = page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].chars().next()?.to_digit(10)).collect();
    assert!(levels[0] == 1 && levels.iter().filter(|level| **level == 1).count() == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    assert_eq!((page.matches("<svg viewBox=\"0 0 720").count(), page.matches("</figure>").count()), (4, 4), "timeline, groups, days, storage");
    let (raw, clean) = (&json["risk"][0], &json["risk"][1]);
    assert_eq!((raw["not_measured"].is_string(), raw["sample"].is_null()), (true, true));
    assert_eq!((clean["policy"].as_str(), clean["sample"]["files"].as_u64(), clean["sample"]["records"].as_u64()), (Some("default"), Some(1), Some(3)));
    assert_eq!((clean["questions"].as_array().unwrap().len(), clean["sample"]["whole"].as_bool(), clean["sample"]["k"].as_u64()), (3, Some(true), Some(10)));
    assert_eq!((&json["classes"][0]["reasons"], json["classes"][0]["rejected_untold"].as_u64()), (&serde_json::json!({"layout": 1}), Some(0)));
}

#[test]
fn a_ledger_that_does_not_hold_is_reported_and_trusted_in_nothing() {
    let (dir, base) = place();
    call(&base, &["expire", "--yes"]).expect_code(0);
    let ledger = String::from_utf8(dir.read("state/ledger.jsonl")).unwrap();
    dir.file("state/ledger.jsonl", ledger.replacen("access.log.2", "access.log.9", 1).as_bytes());
    let (json, page) = both(&dir, &base, 4);
    assert_eq!((json["looked"].as_bool(), json["ledger"]["ok"].as_bool()), (Some(false), Some(false)));
    assert_eq!(json["classes"][0]["forms"][0]["files"], Value::Null);
    assert!(page.contains("Broken: ") && !page.contains("Nothing is overdue"));
    assert!(call(&base, &["report"]).expect_code(4).stdout_text().contains("broken"));
}

#[test]
fn a_form_that_is_not_looked_into_has_no_figures() {
    let dir = Dir::new();
    let config = CONFIG.replace("DIR/clean", "http://127.0.0.1:9/").replace("DIR", dir.path().to_str().unwrap());
    let config = dir.file("logfade.toml", config.as_bytes());
    let json = logfade(&["-c", &config, "--state", &dir.arg("state"), "--json", "report"]).run(b"").expect_code(0).json();
    let forms = json["classes"][0]["forms"].as_array().unwrap();
    assert_eq!(forms.iter().map(|form| form["files"].as_u64()).collect::<Vec<_>>(), [Some(0), None, Some(0)]);
    assert_eq!((forms[1]["state"].as_str(), json["risk"][1]["not_measured"].is_string()), (Some("not looked into"), true));
}

#[test]
fn a_page_takes_the_place_of_a_page_and_of_nothing_else() {
    let (dir, base) = place();
    let page = dir.arg("report.html");
    call(&base, &["report", "--html", &page]).expect_code(0);
    call(&base, &["report", "--html", &page]).expect_code(0);
    let before = dir.read("access.log.1");
    call(&base, &["report", "--html", &dir.arg("access.log.1")]).expect_code(2);
    assert_eq!(dir.read("access.log.1"), before);
    std::os::unix::fs::symlink(&page, dir.at("link.html")).unwrap();
    call(&base, &["report", "--html", &dir.arg("link.html")]).expect_code(2);
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(names.is_empty(), "{names:?}");
    assert!(call(&base, &["report", "--html", "-"]).expect_code(0).stdout_text().starts_with("<!DOCTYPE html>"));
    assert_eq!(logfade(&["-c", "/nonexistent/logfade.toml", "report"]).run(b"").code(), Some(2));
}

/// A seed that was kept can make again what was destroyed here: the report says so.
#[test]
fn fleet_keys_are_told_apart() {
    let (dir, base) = place();
    dir.file("seed", &std::array::from_fn::<u8, 32, _>(|at| (at as u8).wrapping_mul(73) ^ 0x5a));
    std::process::Command::new("chmod").arg("600").arg(dir.at("seed")).status().unwrap();
    call(&base, &["keys", "init", "--fleet", &dir.arg("seed")]).expect_code(0);
    let (json, _) = both(&dir, &base, 0);
    assert_eq!(json["keys"]["mode"], "fleet");
    assert!(json["keys"]["meaning"].as_str().unwrap().contains("a copy of the seed kept anywhere can recompute every later key"));
}

#[test]
fn what_a_where_leaves_out_of_one_sealed_form_is_not_excluded_from_the_log() {
    let dir = Dir::new();
    let root = dir.path().display();
    dir.file(
        "logfade.toml",
        format!(
            "[[class]]\nname = \"site\"\nraw = [\"{root}/access.log*\"]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"1 month\"\n\
             [[class.keep]]\nform = \"security\"\nuntil = \"40 years\"\noutput = \"{root}/security\"\nwhere = {{ status = [\"4xx\"] }}\nseal = true\n\
             [[class.keep]]\nform = \"default\"\nuntil = \"40 years\"\noutput = \"{root}/clean\"\n"
        )
        .as_bytes(),
    );
    let line = |status: u32| format!("203.0.113.7 - - [05/Jan/2026:10:00:00 +0000] \"GET / HTTP/1.1\" {status} 512 \"-\" \"curl/8.0\"\n");
    log(&dir, "access.log.1", &format!("{}{}{}torn\n", line(200), line(404), line(304)), DAY);
    let base: Vec<String> = ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state")].map(str::to_owned).into();
    call(&base, &["expire", "--yes"]).expect_code(0);
    let (json, _) = both(&dir, &base, 0);
    let sealed = &json["classes"][0]["forms"][1];
    assert_eq!((sealed["files"].as_u64(), sealed["state"].as_str()), (Some(1), Some("within its window")), "a sealed form is looked into");
    assert_eq!(json["keys"]["seals"], serde_json::json!({"alive": 1, "destroyed": 0, "restored": 0}));
    assert!(call(&base, &["report"]).stdout_text().contains("seals      1 alive, 0 destroyed"));
    let volume = &json["classes"][0]["volume"];
    assert_eq!(["read", "clean", "rejected", "excluded"].map(|key| volume[key].as_u64().unwrap()), [4, 3, 1, 0]);
    assert_eq!(json["classes"][0]["reasons"], serde_json::json!({"layout": 1}));
}
