//! Same format out: whatever a policy does to the values, the layout of each format stays what it was.

use serde_json::Value;

use super::samples::{Envelope, SAMPLES, Sample};
use super::support::{counts, holds, lines, pipe};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// A record of a visitor with a common browser; W3C writes blanks of an agent as plus signs.
fn record(sample: &Sample, path: &str, query: &str, agent: &str) -> Vec<u8> {
    let mut out = sample.header.as_bytes().to_vec();
    let plus = !sample.header.is_empty() && !sample.header.contains('\t');
    sample.write(&mut out, |slot, out| {
        let value = match slot {
            "ip" => "203.0.113.77".to_owned(),
            "path" => path.to_owned(),
            "query" => query.to_owned(),
            "ref" => "https://www.example.org/start/page".to_owned(),
            "ua" if plus => agent.replace(' ', "+"),
            "ua" => agent.to_owned(),
            other => format!("{other}4711"),
        };
        out.extend_from_slice(value.as_bytes());
    });
    out
}

fn scrubbed(sample: &Sample, input: &[u8], policy: &str) -> Vec<u8> {
    let outcome = pipe(&["--format", sample.format, "--policy", policy], input);
    assert_eq!(outcome.code(), Some(0), "{}: {}", sample.name(), outcome.stderr_text());
    assert_eq!(counts(&outcome.report()).rejected, 0, "{}: {}", sample.name(), outcome.report()["reasons"]);
    outcome.stdout
}

/// The quotes, brackets and tabs of a line, in their order; a policy puts none in and takes none out.
/// The message of an error log is dropped with all that is in it, so there the skeleton begins behind it.
fn skeleton(sample: &Sample, line: &[u8]) -> Vec<u8> {
    let behind = if sample.format.ends_with("-error") { memchr::memmem::rfind(line, b"refer").unwrap_or(0) } else { 0 };
    line[behind..].iter().copied().filter(|byte| b"\"[]{}\t|".contains(byte)).collect()
}

/// The member names of an object, with those of the objects within.
fn members(value: &Value) -> Vec<String> {
    value.as_object().into_iter().flatten().flat_map(|(name, inner)| [vec![name.clone()], members(inner)].concat()).collect()
}

#[test]
fn the_layout_of_every_format_stays() {
    let mut failures = Vec::new();
    for sample in SAMPLES {
        for policy in ["default", "strict", "analytics"] {
            let input = record(sample, "/index.html", "id=4711", AGENT);
            let output = scrubbed(sample, &input, policy);
            let (before, after) = (lines(&input), lines(&output));
            assert_eq!(before.len(), after.len(), "{}", sample.name());
            for (raw, clean) in before.iter().zip(&after) {
                let name = format!("{} under {policy}", sample.name());
                let json: Result<Value, _> = serde_json::from_slice(raw);
                if let (Ok(raw), Envelope::Bare) = (json, sample.envelope) {
                    match serde_json::from_slice::<Value>(clean) {
                        Ok(clean) if raw.is_object() && members(&raw).len() >= members(&clean).len() => {}
                        _ => failures.push(format!("{name}: the JSON object changed its members")),
                    }
                } else if skeleton(sample, raw) != skeleton(sample, clean) {
                    failures.push(format!("{name}: quotes, brackets or tabs changed"));
                } else if !sample.header.is_empty() && columns(sample, raw) != columns(sample, clean) {
                    failures.push(format!("{name}: {} columns became {}", columns(sample, raw), columns(sample, clean)));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn columns(sample: &Sample, line: &[u8]) -> usize {
    let tabbed = sample.record.contains('\t');
    line.split(|byte| *byte == if tabbed { b'\t' } else { b' ' }).count()
}

#[test]
fn a_clean_line_is_a_line_of_its_format_again() {
    for sample in SAMPLES {
        for policy in ["default", "strict", "analytics"] {
            // A family is no agent, so only a record without one stays what it is.
            let again = scrubbed(sample, &record(sample, "/shop/a%20b/item", "id=4711", AGENT), policy);
            scrubbed(sample, &again, policy);
            let once = scrubbed(sample, &record(sample, "/shop/a%20b/item", "id=4711", "-"), policy);
            let twice = scrubbed(sample, &once, policy);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            // The place of a dropped connection number is read as a part of the message.
            let same = text(&twice) == text(&once) || sample.format == "nginx-error";
            assert!(same, "{} under {policy}: scrubbing again changes\n{}{}", sample.name(), text(&once), text(&twice));
        }
    }
}

#[test]
fn a_dropped_query_takes_its_mark_along() {
    let mut failures = Vec::new();
    for sample in SAMPLES.iter().filter(|sample| sample.record.contains("<path>?<query>")) {
        let output = scrubbed(sample, &record(sample, "/index.html", "id=4711", AGENT), "default");
        let text = String::from_utf8_lossy(&output).into_owned();
        let after = text.split("/index.html").nth(1).and_then(|rest| rest.chars().next());
        if !after.is_some_and(|c| c.is_whitespace() || matches!(c, '"' | '\\')) {
            failures.push(format!("{}: behind the path stands {after:?}", sample.name()));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn directives_may_change_inside_a_file() {
    let input = "#Version: 1.0\n#Fields: date time c-ip cs-username cs-uri-stem sc-status\n2023-10-10 13:55:36 203.0.113.77 frank /a 200\n\
                 #Date: 2023-10-11 00:00:00\n#Fields: c-ip sc-status cs-uri-stem\n203.0.113.78 404 /b\n#Fields: cs-uri-stem time c-ip\n/c 13:55:38 203.0.113.79\n";
    let outcome = pipe(&["--format", "w3c"], input.as_bytes());
    outcome.expect_code(0);
    let want = input.replace("203.0.113.77 frank", "203.0.113.0 -").replace("203.0.113.78", "203.0.113.0").replace("203.0.113.79", "203.0.113.0");
    assert_eq!(outcome.stdout_text(), want);
    assert_eq!(counts(&outcome.report()).rejected, 0);
}

#[test]
fn directives_are_no_hiding_place() {
    let head = "#Fields: c-ip sc-status\n";
    for line in ["#Remark: 203.0.113.77 eve@example.net", "#Date: 203.0.113.77 words", "#Software: 203.0.113.77", "#Note 203.0.113.77", "#Fields: c-ip 203.0.113.77"] {
        let outcome = pipe(&["--format", "w3c"], format!("{head}{line}\n").as_bytes());
        let out = outcome.expect_code(0).stdout_text();
        assert!(!out.contains("203.0.113.77") && !out.contains("eve@"), "{line}");
        assert!(out.matches("words").count() <= 1, "{line}: a part was written twice");
    }
}

#[test]
fn partial_cri_lines_are_put_together_per_stream() {
    let parts = [
        "2023-10-10T13:55:36.1Z stdout P 203.0.113.77 - frank [10/Oct/2023:13:55",
        "2023-10-10T13:55:36.1Z stderr P 198.51.",
        "2023-10-10T13:55:36.2Z stdout P :36 +0000] \"GET /a?session=abc",
        "2023-10-10T13:55:36.2Z stderr F 100.99 - anna [10/Oct/2023:13:55:36 +0000] \"GET /b HTTP/1.1\" 404 7 \"-\" \"-\"",
        "2023-10-10T13:55:36.3Z stdout F def HTTP/1.1\" 200 5 \"-\" \"-\"",
    ];
    let outcome = pipe(&["--format", "combined"], format!("{}\n", parts.join("\n")).as_bytes());
    outcome.expect_code(0);
    let counts = counts(&outcome.report());
    assert_eq!((counts.read, counts.clean, counts.rejected), (5, 5, 0));
    let text = outcome.stdout_text();
    for secret in ["203.0.113.77", "198.51.100.99", "198.51.\n", "100.99", "frank", "anna", "session", "abc", "def"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("203.0.113.0 - - [10/Oct/2023:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 5"), "{text}");
    assert!(text.contains("198.51.100.0 - - [10/Oct/2023:13:55:36 +0000] \"GET /b HTTP/1.1\" 404 7"), "{text}");
}

#[test]
fn numbers_are_numbers_in_json_too() {
    let whole = r#"{"remote_addr":"203.0.113.0","time_local":"10/Oct/2023:13:55:36 +0000","request":"GET / HTTP/1.1","status":"200","body_bytes_sent":5,"request_time":0.004}"#;
    for (from, to) in [
        ("\"200\"", "\"Zebra\""),
        ("\"200\"", "{\"Zebra\":\"Zebra\"}"),
        ("\"200\"", "[\"Zebra\"]"),
        (":5,", ":\"Zebra\","),
        ("0.004", "\"Zebra\""),
        ("10/Oct/2023:13:55:36 +0000", "Zebra"),
    ] {
        let line = whole.replace(from, to);
        let outcome = pipe(&["--format", "nginx-json"], format!("{line}\n").as_bytes());
        assert!(!holds(&outcome.expect_code(0).stdout, b"Zebra"), "{to} for {from} passes");
    }
    let kept = pipe(&["--format", "nginx-json"], format!("{whole}\n").as_bytes());
    assert_eq!(kept.stdout_text().trim_end(), whole);
}

#[test]
fn json_escapes_are_read_and_left_as_they_are() {
    let line = r#"{"remote_addr":"203.0.113.0","time_local":"10\/Oct\/2023:13:55:36 +0000","request":"GET \/a\/caf\u00e9 HTTP\/1.1","status":"200"}"#;
    let same = pipe(&["--format", "nginx-json"], format!("{line}\n").as_bytes());
    assert_eq!(same.expect_code(0).stdout_text().trim_end(), line, "nothing in it has to go");
    let hidden = line.replace("203.0.113.0", r"\u0032\u0030\u0033.0.113.77").replace(r"caf\u00e9", r"eve\u0040example.net");
    let text = pipe(&["--format", "nginx-json"], format!("{hidden}\n").as_bytes()).expect_code(0).stdout_text();
    assert!(text.contains("203.0.113.0") && text.contains(r"GET \/a\/"), "{text}");
    assert!(!text.contains("example.net") && !text.contains(".77"), "{text}");
}

#[test]
fn an_unknown_member_is_decided_by_other() {
    let line = r#"{"remote_addr":"203.0.113.77","time_local":"10/Oct/2023:13:55:36 +0000","request":"GET / HTTP/1.1","status":"200","secret":"Zebra","deep":{"a":[{"b":"Zebra"}]},"n":4711,"t":true}"#;
    let text = pipe(&["--format", "nginx-json"], format!("{line}\n").as_bytes()).expect_code(0).stdout_text();
    let object: Value = serde_json::from_str(&text).expect("still JSON");
    assert!(!text.contains("Zebra") && !text.contains("4711"), "{text}");
    assert_eq!(object["secret"], "-", "a string becomes a dash");
    assert!(object["n"].is_null(), "a number becomes null");
}

#[test]
fn an_unknown_agent_is_other_whatever_it_calls_itself() {
    for agent in ["zebra4711/1.0", "zebra4711bot/1.0", "zebra4711-crawler (x)", "Mozilla/5.0 (zebra4711) Gecko", "zebra4711@example.net spider"] {
        let line = format!("203.0.113.77 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"{agent}\"\n");
        let text = pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).stdout_text();
        assert!(!text.contains("zebra4711"), "`{agent}` leaves its own word");
    }
}

#[test]
fn secrets_in_paths_are_masked() {
    for secret in [
        "550e8400-e29b-41d4-a716-446655440000",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "4111111111111111",
        "4111-1111-1111-1111",
        "+46701234567",
        "eve.lastname@example.net",
        "eve%40example.net",
        "16C7e42F292c6912E7710c838347Ae178B4a",
        "d41d8cd98f00b204e9800998ecf8427e",
    ] {
        for policy in ["default", "strict", "analytics"] {
            let line = format!("203.0.113.77 - - [10/Oct/2023:13:55:36 +0000] \"GET /account/{secret}/edit HTTP/1.1\" 200 5\n");
            let text = pipe(&["--format", "common", "--policy", policy], line.as_bytes()).expect_code(0).stdout_text();
            assert!(!text.contains(secret), "`{secret}` stays under {policy}: {text}");
            assert!(text.contains("/account/") && text.contains("/edit"), "the rest of the path stays: {text}");
        }
    }
}

#[test]
fn a_cut_referrer_ends_at_a_whole_character() {
    for referrer in [r"https://www.example.org\x22words", r"https://www.example.org/\x22words", r"https://www.example.org/a\\"] {
        let line = format!("203.0.113.77 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"{referrer}\" \"-\"\n");
        let text = pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).stdout_text();
        let field = text.split('"').nth(3).unwrap_or_default();
        assert!(!field.contains("words") && !field.contains(r"\/") && !field.ends_with('\\'), "{referrer} became {field}");
    }
}

#[test]
fn an_origin_is_a_host_and_a_port_and_nothing_else() {
    for behind in [
        "%3Fq=words",
        "%2Fwords",
        "%23words",
        "%22words",
        ";words",
        ",words",
        "|words",
        "&words=1",
        "=words",
        ":words/",
        r"\\words",
        r"\x3Fwords",
        r"\x2Fwords",
        "?words",
        "#words",
        "/words",
    ] {
        let line = format!("203.0.113.77 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"https://www.example.org{behind}\" \"-\"\n");
        let text = pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).stdout_text();
        assert!(!text.contains("words"), "`{behind}` stays behind the host: {text}");
    }
    for userinfo in ["words@", "a:words@", "words:b@", "words%40", "words:b%40"] {
        let line = format!("203.0.113.77 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"https://{userinfo}www.example.org/x\" \"-\"\n");
        let text = pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).stdout_text();
        assert!(!text.contains("words"), "`{userinfo}` stays before the host: {text}");
    }
}
