//! `logfade init`: a configuration of what is there, which deletes nothing and says what a person has to decide.

use super::support::{Dir, logfade};

const LINE: &str = "203.0.113.7 - - [05/Jan/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n";
const FAULT: &str =
    "2026/01/05 10:00:00 [error] 7#7: *1 open() \"/srv/x\" failed (2: No such file or directory), client: 203.0.113.7, server: a, request: \"GET /x HTTP/1.1\", host: \"a\"\n";

fn place() -> Dir {
    let dir = Dir::new();
    for (name, text) in [
        ("nginx/access.log", ""),
        ("nginx/access.log.1", LINE),
        ("nginx/shop-20260101.log", LINE),
        ("nginx/error.log", FAULT),
        ("nginx/odd\".txt", "neither this\nnor that\n"),
        ("nginx/.hidden", LINE),
    ] {
        std::fs::create_dir_all(dir.at(name).parent().unwrap()).unwrap();
        dir.file(name, text.as_bytes());
    }
    dir
}

#[test]
fn what_is_there_becomes_classes_and_the_deadline_is_left_to_a_person() {
    let dir = place();
    let (config, state) = (dir.arg("logfade.toml"), dir.arg("state"));
    let init = |args: &[&str]| {
        let base = ["--state", &state, "--json", "init", "-o", &config];
        logfade(&[&base, args].concat()).run(b"")
    };
    let json = init(&[&dir.arg("nginx")]).expect_code(0).json();
    let base = dir.path().canonicalize().unwrap();
    let glob = |name: &str| format!("{}/nginx/{name}", base.display());
    let classes = json["classes"].as_array().unwrap();
    let told: Vec<_> = classes.iter().map(|class| (class["class"].as_str().unwrap(), class["format"].as_str().unwrap(), class["files"].as_u64().unwrap())).collect();
    assert_eq!(told, [("nginx", "combined", 3), ("nginx-error", "nginx-error", 1)]);
    assert_eq!(classes[0]["raw"], serde_json::json!([glob("access.log*"), glob("shop-*.log*")]));
    assert_eq!(json["unknown"], serde_json::json!([glob("odd\".txt")]));
    assert!(!dir.at("state").exists(), "nothing but the configuration is written");

    // What a person has to decide is refused until it is decided, class by class, at its place.
    let check = || logfade(&["-c", &config, "--state", &state, "check"]).run(b"");
    let decide = |times: usize| {
        let text = String::from_utf8(dir.read("logfade.toml")).unwrap();
        dir.file("logfade.toml", text.replacen("# until = \"6 months\"", "until = \"6 months\"", times).as_bytes());
    };
    let first = check();
    assert!(first.expect_code(2).stderr_text().contains("until"), "{}", first.stderr_text());
    decide(1);
    check().expect_code(2);
    decide(1);
    let text = check().expect_code(0).stdout_text();
    for open in ["[controller] is missing", "class nginx: purpose is missing", "class nginx-error: basis is missing"] {
        assert!(text.contains(open), "{open}: {text}");
    }
    let plan = logfade(&["-c", &config, "--state", &state, "--json", "plan"]).run(b"").json();
    assert_eq!(plan["files"].as_array().unwrap().iter().filter(|file| file["form"] == "raw").count(), 4);

    // Nothing is written over.
    let before = dir.read("logfade.toml");
    init(&[&dir.arg("nginx")]).expect_code(2);
    assert_eq!(dir.read("logfade.toml"), before);
}

#[test]
fn without_logs_there_is_an_example_to_fill_in() {
    let dir = Dir::new();
    std::fs::create_dir(dir.at("logs")).unwrap();
    let outcome = logfade(&["init", "-o", "-", &dir.arg("logs")]).run(b"");
    let text = outcome.expect_code(0).stdout_text();
    assert!(text.contains("# [[class]]") && text.contains("# until  = \"6 months\""), "{text}");
    let config = dir.file("logfade.toml", text.as_bytes());
    logfade(&["-c", &config, "check"]).run(b"").expect_code(0);
    logfade(&["init", "-o", &dir.arg("x.toml"), &dir.arg("missing")]).run(b"").expect_code(3);
    assert!(!dir.at("x.toml").exists(), "no configuration of what happens to be readable");
}

#[test]
fn a_deadline_may_be_decided_at_once() {
    let dir = place();
    let (config, state) = (dir.arg("logfade.toml"), dir.arg("state"));
    let init = |span: &str| logfade(&["--state", &state, "init", "--raw", span, "-o", &config, &dir.arg("nginx")]).run(b"");
    for fault in ["soon", "", "6 months\"\nstate = \"/x"] {
        assert!(init(fault).expect_code(2).stderr_text().contains("6 months"), "a remedy");
        assert!(!dir.at("logfade.toml").exists());
    }
    assert!(init("7 days").expect_code(0).stdout_text().contains("raw records stay 7 days"));
    logfade(&["-c", &config, "--state", &state, "check"]).run(b"").expect_code(0);
    let plan = logfade(&["-c", &config, "--state", &state, "--json", "plan", "--now", "2026-01-20T00:00:00Z"]).run(b"").json();
    let due = plan["files"].as_array().unwrap().iter().filter(|file| file["reason"] == "expired").count();
    assert_eq!(due, 3, "{plan}");
}

#[test]
fn a_file_of_comments_gives_way_and_nothing_else() {
    let dir = place();
    let (config, logs) = (dir.arg("logfade.toml"), dir.arg("nginx"));
    let init = || logfade(&["--state", &dir.arg("state"), "init", "-o", &config, &logs]).run(b"");
    for (kept, code) in [("# a\n\n  # b\nstate = \"/x\"\n", 2), ("\u{feff}# a\n", 2), ("# a\n\n  # b\n", 0), ("", 0)] {
        dir.file("logfade.toml", kept.as_bytes());
        init().expect_code(code);
        let after = String::from_utf8(dir.read("logfade.toml")).unwrap();
        assert_eq!(after.contains("[[class]]"), code == 0, "{kept:?}: {after}");
        assert!(code == 0 || after == kept);
    }
    // Comments that somebody else's file has are reached by no link.
    dir.file("other", b"# mine\n");
    std::fs::remove_file(&config).unwrap();
    std::os::unix::fs::symlink(dir.at("other"), &config).unwrap();
    init().expect_code(2);
    assert_eq!(dir.read("other"), b"# mine\n");
    // One that is too long to be looked through is kept.
    std::fs::remove_file(&config).unwrap();
    dir.file("logfade.toml", "# more\n".repeat(10_000).as_bytes());
    init().expect_code(2);
    let leftovers: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}
