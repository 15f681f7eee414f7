//! `logfade explain --risk`: figures that can be counted by eye, words that fit the policy, and no value of the file.

use serde_json::Value;

use super::pipe::combined;
use super::support::{Dir, holds, logfade, pipe};

/// Eight clean records and the place of a reject. Address, agent and hour: four records, two, one, one.
const CLEAN: &str = r#"203.0.113.0 - - [14/Mar/2025:09:12:31 +0000] "GET /a HTTP/1.1" 200 10 "-" "Firefox/128 (Linux; desktop)"
203.0.113.0 - - [14/Mar/2025:09:20:00 +0000] "GET /b HTTP/1.1" 200 20 "-" "Firefox/128 (Linux; desktop)"
203.0.113.0 - - [14/Mar/2025:09:30:00 +0000] "GET /a HTTP/1.1" 200 30 "-" "Firefox/128 (Linux; desktop)"
203.0.113.0 - - [14/Mar/2025:09:59:59 +0000] "GET /a HTTP/1.1" 200 40 "-" "Firefox/128 (Linux; desktop)"
- - - [14/Mar/2025:09:59:59 +0000] GET - - 200
198.51.100.0 - - [14/Mar/2025:09:12:31 +0000] "GET /c HTTP/1.1" 200 50 "-" "curl/8 (Other; bot)"
198.51.100.0 - - [14/Mar/2025:09:13:31 +0000] "GET /c HTTP/1.1" 200 60 "-" "curl/8 (Other; bot)"
203.0.113.0 - - [14/Mar/2025:10:00:00 +0000] "GET /a HTTP/1.1" 200 70 "-" "Firefox/128 (Linux; desktop)"
203.0.113.0 - - [14/Mar/2025:09:12:31 +0000] "GET /d HTTP/1.1" 404 80 "-" "curl/8 (Other; bot)"
"#;

fn risk(clean: &[u8], args: &[&str]) -> Value {
    let mut all = vec!["explain", "--risk", "--json"];
    all.extend_from_slice(args);
    let outcome = logfade(&all).run(clean);
    outcome.expect_code(0);
    outcome.json()
}

fn field<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["fields"].as_array().unwrap().iter().find(|field| field["field"] == name).unwrap_or(&Value::Null)
}

#[test]
fn figures_can_be_counted_by_eye() {
    let report = risk(CLEAN.as_bytes(), &["--k", "4"]);
    assert_eq!((&report["records"], &report["unparsed"], &report["k"]), (&8.into(), &1.into(), &4.into()));
    let groups = &report["groups"];
    assert_eq!((groups["distinct"].as_u64(), groups["unique"].as_f64(), groups["below_k"].as_f64()), (Some(4), Some(2.0 / 8.0), Some(4.0 / 8.0)));
    assert_eq!(groups["alike"].as_f64(), Some(2.0 / 8.0), "both of curl's records ask for one path");
    let bars: Vec<(u64, u64)> = groups["histogram"].as_array().unwrap().iter().map(|bar| (bar["groups"].as_u64().unwrap(), bar["records"].as_u64().unwrap())).collect();
    assert_eq!(bars, [(2, 2), (2, 6), (0, 0), (0, 0), (0, 0), (0, 0)]);
    assert_eq!((&report["chains"]["distinct"], &report["chains"]["longest"], &report["chains"]["mean"]), (&2.into(), &6.into(), &4.0.into()));
    // Six of eight and two of eight: 0.75 * 0.415 + 0.25 * 2 = 0.811 bits.
    let client = field(&report, "client_addr");
    assert_eq!((&client["records"], &client["distinct"]), (&8.into(), &2.into()));
    assert!((client["entropy_bits"].as_f64().unwrap() - 0.8113).abs() < 1e-4);
    // Eight different numbers: three bits. One method: none.
    assert_eq!((field(&report, "bytes")["entropy_bits"].as_f64(), field(&report, "method")["entropy_bits"].as_f64()), (Some(3.0), Some(0.0)));
    assert_eq!(field(&report, "user"), &Value::Null, "a dropped value is none");
    assert_eq!(risk(CLEAN.as_bytes(), &["--k", "2"])["groups"]["below_k"].as_f64(), Some(2.0 / 8.0));
}

#[test]
fn every_codec_and_layout_gives_the_same_groups() {
    let raw = combined(500);
    let text = pipe(&["--format", "combined"], &raw).stdout;
    let expected = risk(&text, &[]);
    let dir = Dir::new();
    let packed = dir.file("clean.zst", &pipe(&["--format", "combined", "--compress", "zstd"], &raw).stdout);
    let json = pipe(&["--format", "combined", "--output", "json"], &raw).stdout;
    for (what, found) in [("packed", risk(b"", &[&packed])), ("as JSON", risk(&json, &[]))] {
        assert_eq!((&found["records"], &found["groups"], &found["chains"]), (&expected["records"], &expected["groups"], &expected["chains"]), "{what}");
    }
}

#[test]
fn a_stricter_policy_shows_in_the_figures() {
    let raw = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/access.log")).unwrap();
    let of = |policy: &str| risk(&pipe(&["--policy", policy], &raw).stdout, &["--policy", policy]);
    let (default, strict, security) = (of("default"), of("strict"), of("security"));
    let bits = |report: &Value| field(report, "time")["entropy_bits"].as_f64().unwrap();
    assert!(bits(&strict) < bits(&default));
    let telling = |report: &Value| report["standing"].as_str().unwrap().to_owned();
    assert!(telling(&default).starts_with("pseudonymised data as long as the raw log exists") && telling(&default).contains("candidate for anonymisation"));
    assert!(telling(&security).starts_with("personal data"));
    let answer = |report: &Value, index: usize| report["questions"][index]["answer"].as_str().unwrap().to_owned();
    assert!(answer(&default, 0).contains("the second of a visit") && !answer(&strict, 0).contains("of a visit"));
    assert!(answer(&default, 1).contains("256 addresses") && answer(&strict, 1).contains("65536 addresses"));
    let names: Vec<&str> = default["questions"].as_array().unwrap().iter().map(|question| question["question"].as_str().unwrap()).collect();
    assert_eq!(names, ["singling out", "linkability", "inference"]);
}

#[test]
fn no_value_of_the_file_is_shown_and_nothing_is_called_anonymous() {
    for args in [&["explain", "--risk"][..], &["explain", "--risk", "--json"], &["explain", "--risk", "--policy", "security"]] {
        let outcome = logfade(args).run(CLEAN.as_bytes());
        outcome.expect_code(0);
        for value in ["203.0.113", "198.51", "Firefox", "curl", "/a", "/d ", "anonymous"] {
            assert!(!holds(&outcome.stdout, value.as_bytes()) && !holds(&outcome.stderr, value.as_bytes()), "{args:?} shows {value}");
        }
    }
    let text = logfade(&["explain", "--risk", "--k", "4"]).run(CLEAN.as_bytes()).stdout_text();
    for part in ["8 records", "alone: 25.0 % of the records; with fewer than 4: 50.0 %", "longest chain under one client_addr: 6 records", "singling out? yes"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn beyond_the_bound_it_says_that_it_is_a_sample() {
    let line = |number: u32| format!("- - - [14/Mar/2025:09:12:31 +0000] \"GET /page-{number} HTTP/1.1\" 200 10 \"-\" \"-\"\n");
    let clean: String = (0..40_000).map(line).collect();
    let report = risk(clean.as_bytes(), &["--format", "combined"]);
    let path = field(&report, "path");
    let distinct = path["distinct"].as_u64().unwrap();
    assert!(path["one_in"].as_u64().unwrap() > 1 && (38_000..42_000).contains(&distinct), "{path}");
    assert_eq!((&report["groups"]["one_in"], &report["chains"]), (&1.into(), &Value::Null));
    assert_eq!(risk(clean.as_bytes(), &["--format", "combined"]), report, "the same sample each time");
}

#[test]
fn nothing_and_nonsense_have_their_answers() {
    let report = risk(b"", &[]);
    assert_eq!((&report["records"], &report["groups"]["unique"]), (&0.into(), &0.0.into()));
    assert_eq!(risk(b"what is this\nand this\n", &[])["unparsed"], 2);
    assert_eq!(logfade(&["explain", "--risk", "--k", "1"]).run(b"").code(), Some(2));
    assert_eq!(logfade(&["explain", "--k", "5"]).run(b"").code(), Some(2), "--k is about --risk");
    let dir = Dir::new();
    let packed = pipe(&["--compress", "gzip"], &combined(100)).stdout;
    assert_eq!(logfade(&["explain", "--risk", &dir.file("cut.gz", &packed[..packed.len() - 9])]).run(b"").code(), Some(3));
}
