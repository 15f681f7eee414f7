//! What people get wrong, and what they are told: the cause, the place, the remedy, and nothing of a log.

use super::support::{Dir, logfade};

/// Texts of raw logs: one line each of what servers write.
const LOGS: [&str; 7] = [
    "203.0.113.42 - karin [14/Mar/2025:09:12:31 +0000] \"GET /?q=karin HTTP/2.0\" 200 5316\n",
    "[Fri Mar 14 09:12:31.000000 2025] [core:error] [pid 7] [client 203.0.113.42:7] karin\n",
    "{\"remote_addr\":\"203.0.113.42\",\"user\":\"karin\",\"a\"=\"b\"}\n",
    "#Version: 1.0\n#Fields: date c-ip cs-username\n2025-03-14 203.0.113.42 karin=1\n",
    "Mar 14 09:12:31 web nginx: 203.0.113.42 - karin\n",
    "time=2025-03-14T09:12:31Z ip=203.0.113.42 user=karin\n",
    "msg=\"GET /\" ip=203.0.113.42 user=\"karin\"\n",
];

#[test]
fn a_log_in_the_place_of_settings_is_not_shown() {
    let dir = Dir::new();
    let log = dir.file("access.log", b"");
    for text in LOGS {
        dir.file("access.log", text.as_bytes());
        let form = "[[class]]\nname = \"site\"\nraw = [\"/var/log/x/*\"]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"1 day\"\n[[class.keep]]\nform = \"access.log\"\noutput = \"/srv/x\"\nuntil = \"1 year\"\n";
        let config = dir.file("logfade.toml", form.as_bytes());
        for args in [["check", "--policy", &log], ["-c", &log, "check"], ["-c", &config, "check"]] {
            let said = logfade(&args).run(b"").expect_code(2).stderr_text();
            assert!(!said.contains("karin") && !said.contains("203.0"), "{said}");
        }
    }
    let said = logfade(&["check", "--policy", &log]).run(b"").stderr_text();
    assert!(said.contains("access.log:1: this is no policy") && said.contains("\nname a policy in TOML"), "{said}");
}

#[test]
fn settings_at_fault_are_shown_whatever_they_begin_with() {
    let dir = Dir::new();
    for (text, caret) in [
        ("\u{FEFF}# a\n[[class]\nname = 1\n", "unclosed array table"),
        ("client_addr = drop\n", "string values must be quoted"),
        ("\"client_addr\" = \"drp\"\n", "not an action of this field"),
        ("query.default = \"drp\"\n", "-->"),
        ("about = \"a = b, 'c' = d\" # x = y\nclient_addr = \"drp\"\n", "not an action of this field"),
        ("about = \"a \\\"b\\\" = c\"\nclient_addr = \"drp\"\n", "not an action of this field"),
    ] {
        let policy = dir.file("p.toml", text.as_bytes());
        let said = logfade(&["check", "--policy", &policy]).run(b"").expect_code(2).stderr_text();
        assert!(said.contains(" | ") && said.contains(caret), "{said}");
    }
}

#[test]
fn each_mistake_has_its_cause_and_its_remedy() {
    let dir = Dir::new();
    let (state, ids) = (dir.arg("state"), dir.file("ids.txt", b"ip 192.0.2.1\nname karin\n"));
    let config = dir.file(
        "logfade.toml",
        format!("[[class]]\nname = \"site\"\nraw = [\"{}/access.log*\"]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"1 day\"\n", dir.arg("log")).as_bytes(),
    );
    let missing = dir.arg("missing");
    let told: [(&[&str], i32, &str); 9] = [
        (&["pipe", "access.log"], 2, "pipe reads standard input, and opens no file\nlogfade pipe < access.log"),
        (&["pipe", "--format", "nginx:$remote_addr [$time_local] $status$request"], 2, ":1:35\n"),
        (&["pipe", "--format", "apache:%h %>s%b"], 2, "put text between the two"),
        (&["explain", "--policy", &missing], 2, "and no file is there\nuse default"),
        (&["init", "-o", "-", &missing], 3, "os error 2)\ncheck the name"),
        (&["--state", &state, "incident", "close", "one", "x"], 2, "write the number that `logfade incident list` shows"),
        (&["-c", &config, "--state", &state, "subject", "find", "--from-file", &ids], 2, "ids.txt:2: this is no identifier\nwrite `ip ADDR`"),
        (&["-c", &config, "--state", &state, "expire", "--unproven", &missing, "--reason", "x"], 4, "missing is no raw file of a class\nonly files"),
        (&["detect", &missing], 3, "os error 2)\ncheck the name"),
    ];
    for (args, code, words) in told {
        let said = logfade(args).run(b"").expect_code(code).stderr_text();
        assert!(said.contains(words) && !said.contains("karin"), "{args:?}: {said}");
    }
    let said = logfade(&["--state", &missing, "ledger", "verify"]).run(b"").expect_code(0).stdout_text();
    assert!(said.starts_with("no entry: ") && said.contains("--state"), "{said}");
}

#[test]
fn one_bad_file_leaves_the_others_their_format() {
    let dir = Dir::new();
    let log = dir.file("access.log", LOGS[0].as_bytes());
    let outcome = logfade(&["detect", &dir.arg("missing"), &log]).run(b"");
    assert!(outcome.expect_code(3).stdout_text().contains("access.log: c"), "{}", outcome.stdout_text());
}
