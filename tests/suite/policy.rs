//! Policies and the small commands: errors point at the place, lists are complete.

use serde_json::Value;

use super::pipe::combined;
use super::support::{Dir, holds, lines, logfade, pipe};

/// Every name of the contract; `nginx:` and `apache:` take a string of their own.
const FORMATS: [&str; 40] = [
    "combined",
    "common",
    "combined_vhost",
    "common_vhost",
    "nginx",
    "apache",
    "ingress-nginx",
    "nginx-error",
    "apache-error",
    "traefik-clf",
    "traefik-json",
    "caddy-json",
    "nginx-json",
    "haproxy-http",
    "haproxy-tcp",
    "envoy",
    "squid",
    "varnishncsa",
    "litespeed",
    "tomcat",
    "jetty",
    "iis",
    "w3c",
    "aws-elb",
    "aws-alb",
    "aws-nlb",
    "aws-s3",
    "aws-cloudfront",
    "gcp-lb-json",
    "azure-frontdoor-json",
    "azure-appgw-json",
    "cloudflare-json",
    "fastly-json",
    "akamai-json",
    "uwsgi",
    "ltsv",
    "icecast",
    "shoutcast",
    "json",
    "auto",
];

const TOTAL: &str = "client_addr = \"truncate/24,32\"\nother = \"drop\"\n";

fn refused(policy: &str) -> String {
    let dir = Dir::new();
    let path = dir.file("policy.toml", policy.as_bytes());
    let outcome = logfade(&["pipe", "--format", "combined", "--policy", &path]).run(&combined(2));
    assert_eq!(outcome.code(), Some(2), "{policy}\n{}", outcome.stderr_text());
    assert!(outcome.stdout.is_empty(), "a bad policy lets nothing through:\n{policy}");
    outcome.stderr_text()
}

#[test]
fn an_error_shows_the_place_a_caret_and_a_remedy() {
    for (policy, line, word) in [
        (format!("{TOTAL}clientaddr = \"drop\"\n"), 3, "clientaddr"),
        (format!("{TOTAL}path = \"mask\"\n"), 3, "mask"),
        (format!("{TOTAL}status = \"hour\"\n"), 3, "hour"),
        (format!("{TOTAL}except = [\"10.0.0.0/33\"]\n"), 3, "10.0.0.0/33"),
        (format!("{TOTAL}except = [\"ten/8\"]\n"), 3, "ten/8"),
        ("client_addr = \"truncate/33,32\"\nother = \"drop\"\n".to_owned(), 1, "truncate/33,32"),
        ("client_addr = \"truncate/24\"\nother = \"drop\"\n".to_owned(), 1, "truncate/24"),
        (format!("{TOTAL}query = {{ default = \"drop\", keeep = [\"page\"] }}\n"), 3, "keeep"),
        (format!("{TOTAL}user = 7\n"), 3, "user"),
        (format!("{TOTAL}user = \"drop\"\nuser = \"drop\"\n"), 4, "user"),
        (format!("{TOTAL}user = \"dr\n"), 3, "user"),
    ] {
        let stderr = refused(&policy);
        assert!(stderr.contains(&format!("policy.toml:{line}")), "line {line} of\n{policy}{stderr}");
        assert!(stderr.contains('^'), "a caret:\n{stderr}");
        assert!(stderr.contains(word), "the word `{word}`:\n{stderr}");
        assert!(stderr.lines().filter(|line| !line.trim().is_empty()).count() >= 4, "cause, place and remedy:\n{stderr}");
    }
}

#[test]
fn a_policy_that_does_not_decide_everything_is_refused() {
    let stderr = refused("client_addr = \"truncate/24,32\"\n");
    assert!(stderr.contains("other"), "{stderr}");
    assert!(refused("").contains("other"));
}

#[test]
fn unkeyed_hashing_is_refused() {
    for policy in ["client_addr = \"hash\"\nother = \"drop\"\n", "client_addr = \"drop\"\nquery = { default = \"drop\", hash = [\"uid\"] }\nother = \"drop\"\n"] {
        let stderr = refused(policy);
        assert!(stderr.contains("key"), "the remedy names the key:\n{stderr}");
        assert!(stderr.contains("policy.toml:") && stderr.contains('^'), "{stderr}");
    }
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let outcome = logfade(&["pipe", "--policy", "/nonexistent/policy.toml"]).run(b"");
    assert_eq!(outcome.code(), Some(2));
    assert!(outcome.stderr_text().contains("/nonexistent/policy.toml"));
}

#[test]
fn each_action_does_what_the_contract_says() {
    let line = br#"203.0.113.77 anna frank [10/Oct/2023:13:55:36 +0200] "GET /shop/42/cart?page=2&uid=77 HTTP/1.1" 200 5120 "https://news.example.co.uk/a/b?q=x" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0""#;
    for (field, action, expected) in [
        ("client_addr", "\"keep\"", "203.0.113.77 "),
        ("client_addr", "\"drop\"", "- - - ["),
        ("client_addr", "\"truncate/16,24\"", "203.0.0.0 "),
        ("client_addr", "\"truncate/0,0\"", "0.0.0.0 "),
        ("client_addr", "\"truncate/32,128\"", "203.0.113.77 "),
        ("ident", "\"keep\"", " anna "),
        ("user", "\"keep\"", " frank ["),
        ("user", "\"drop\"", " - ["),
        ("time", "\"keep\"", "[10/Oct/2023:13:55:36 +0200]"),
        ("time", "\"second\"", "[10/Oct/2023:13:55:36 +0200]"),
        ("time", "\"minute\"", "[10/Oct/2023:13:55:00 +0200]"),
        ("time", "\"hour\"", "[10/Oct/2023:13:00:00 +0200]"),
        ("time", "\"day\"", "[10/Oct/2023:00:00:00 +0200]"),
        ("query", "\"keep\"", "?page=2&uid=77 HTTP"),
        ("query", "{ default = \"drop\", keep = [\"page\"] }", "?page=2 HTTP"),
        ("path", "\"keep\"", " /shop/42/cart"),
        ("referrer", "\"keep\"", "\"https://news.example.co.uk/a/b?q=x\""),
        ("referrer", "\"no-query\"", "\"https://news.example.co.uk/a/b\""),
        ("referrer", "\"origin\"", "\"https://news.example.co.uk/\""),
        ("referrer", "\"drop\"", "\"-\""),
        ("user_agent", "\"family\"", "\"Firefox/128 (Linux; desktop)\""),
        ("user_agent", "\"drop\"", "\"-\""),
        ("status", "\"keep\"", "\" 200 "),
        ("bytes", "\"keep\"", " 5120 "),
    ] {
        let mut policy: String = ["client_addr", "ident", "user", "time", "path", "query", "referrer", "user_agent", "status", "bytes", "method"]
            .iter()
            .filter(|name| **name != field)
            .map(|name| format!("{name} = \"drop\"\n"))
            .collect();
        policy.push_str(&format!("{field} = {action}\nother = \"keep\"\n"));
        let (dir, mut input) = (Dir::new(), line.to_vec());
        input.push(b'\n');
        let path = dir.file("policy.toml", policy.as_bytes());
        let outcome = pipe(&["--format", "combined", "--policy", &path], &input);
        assert_eq!(outcome.code(), Some(0), "{field} = {action}: {}", outcome.stderr_text());
        let out = outcome.stdout_text();
        assert!(out.contains(expected), "{field} = {action}: `{expected}` is not in `{out}`");
        let secrets = [("203.0.113.77", "client_addr"), ("anna", "ident"), ("frank", "user"), ("uid=77", "query"), ("q=x", "referrer"), ("Gecko", "user_agent")];
        for (secret, owner) in secrets {
            assert!(owner == field || !out.contains(secret), "{field} = {action} lets {owner} through: {out}");
        }
    }
}

#[test]
fn an_origin_ends_with_its_host_however_the_rest_is_written() {
    for (referrer, expected) in [
        ("https://news.example.co.uk/a/letter-7", "https://news.example.co.uk/"),
        ("https://news.example.co.uk?letter-7", "https://news.example.co.uk/"),
        ("https://news.example.co.uk#letter-7", "https://news.example.co.uk/"),
        ("https%3A%2F%2Fnews.example.co.uk%2Fa%2Fletter-7", "https%3A%2F%2Fnews.example.co.uk%2F"),
        ("https%3a%2f%2fnews.example.co.uk%3fletter-7", "https%3a%2f%2fnews.example.co.uk%2F"),
    ] {
        let line = format!("203.0.113.7 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"{referrer}\" \"-\"\n");
        let out = pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).stdout_text();
        assert!(out.ends_with(&format!(" 200 5 \"{expected}\" \"-\"\n")), "{referrer}: {out}");
    }
}

#[test]
fn own_networks_are_left_alone_and_no_others() {
    let dir = Dir::new();
    let path = dir.file("policy.toml", format!("{TOTAL}except = [\"10.0.0.0/8\", \"2001:db8:7::/48\"]\n").as_bytes());
    for (address, expected) in [
        ("10.20.30.40", "10.20.30.40"),
        ("11.20.30.40", "11.20.30.0"),
        ("::ffff:10.20.30.40", "::ffff:10.20.30.40"),
        ("2001:db8:7::9", "2001:db8:7::9"),
        ("2001:db8:8::9", "2001:db8::"),
    ] {
        let line = format!("{address} - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n");
        let outcome = pipe(&["--format", "common", "--policy", &path], line.as_bytes());
        let out = outcome.expect_code(0).stdout_text();
        assert_eq!(out.split(' ').next(), Some(expected), "{address}");
    }
}

#[test]
fn the_built_in_policies_are_listed_and_shown_and_are_files() {
    let listed = logfade(&["policies"]).run(b"").expect_code(0).stdout_text();
    for name in ["default", "strict", "analytics", "security"] {
        assert!(listed.contains(name), "{name} in {listed}");
        let shown = logfade(&["policies", "show", name]).run(b"").expect_code(0).stdout.clone();
        let file = format!("{}/samples/policies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        if let Ok(bytes) = std::fs::read(&file) {
            assert!(holds(&shown, bytes.trim_ascii()), "{name} is shown as its file has it");
        } else {
            assert!(option_env!("CARGO_BIN_EXE_logfade").is_none() || std::env::var_os("LOGFADE_BIN").is_some(), "{file} is there");
        }
        let dir = Dir::new();
        let path = dir.file("copy.toml", &shown);
        if name != "security" {
            let by_name = pipe(&["--format", "combined", "--policy", name], &combined(20));
            let by_file = pipe(&["--format", "combined", "--policy", &path], &combined(20));
            assert!(by_name.expect_code(0).stdout == by_file.expect_code(0).stdout, "{name}: name and file do the same");
        }
    }
    assert_eq!(logfade(&["policies", "show", "nothing"]).run(b"").code(), Some(2));
}

#[test]
fn every_format_of_the_contract_is_listed() {
    let listed = logfade(&["formats"]).run(b"").expect_code(0).stdout_text();
    let missing: Vec<_> = FORMATS.iter().filter(|name| **name != "auto" && !listed.contains(**name)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    for name in FORMATS.iter().filter(|name| !["nginx", "apache", "json"].contains(name)) {
        let outcome = pipe(&["--format", name], b"");
        assert_eq!(outcome.code(), Some(0), "{name}: {}", outcome.stderr_text());
    }
}

#[test]
fn detection_names_the_format_and_its_runners_up() {
    let dir = Dir::new();
    let combined_path = dir.file("a.log", &combined(50));
    let json_path =
        dir.file("b.log", br#"{"ClientHost":"203.0.113.9","RequestMethod":"GET","RequestPath":"/","DownstreamStatus":200,"request_User-Agent":"x","time":"2023-10-10T13:55:36Z"}"#);
    let noise_path = dir.file("c.log", b"one\ntwo\nthree\n");
    let found = logfade(&["detect", "--json", &combined_path, &json_path, &noise_path]).run(b"").expect_code(0).json();
    let entries = found.as_array().expect("a list");
    assert_eq!(entries.len(), 3);
    for (entry, path) in entries.iter().zip([&combined_path, &json_path, &noise_path]) {
        assert_eq!(entry["path"], path.as_str());
        assert!(entry["score"].is_number(), "{entry}");
        for runner_up in entry["runners_up"].as_array().expect("a list") {
            assert!(runner_up["format"].is_string() && runner_up["score"].is_number(), "{entry}");
        }
    }
    assert_eq!(entries[0]["format"], "combined");
    assert_eq!(entries[1]["format"], "traefik-json");
    assert!(entries[0]["score"].as_f64() > entries[2]["score"].as_f64());
    assert!(!holds(found.to_string().as_bytes(), b"203.0.113"), "detection quotes nothing");
    assert_eq!(logfade(&["detect", "/nonexistent.log"]).run(b"").code(), Some(3));
}

#[test]
fn explain_shows_before_and_after_unless_told_not_to() {
    let dir = Dir::new();
    let path = dir.file("a.log", &combined(3));
    let shown = logfade(&["explain", "--json", "--format", "combined", &path]).run(b"").expect_code(0).json();
    let first = &shown.as_array().expect("a list")[0];
    assert_eq!(first["line"], 1);
    let slot = |name: &str| -> Value {
        let fields = first["fields"].as_array().expect("fields").iter();
        fields.clone().find(|field| field["field"] == name).cloned().unwrap_or_else(|| panic!("no {name} in {first}"))
    };
    for (name, before, after) in [
        ("client_addr", "203.0.113.1", "203.0.113.0"),
        ("user", "frank", "-"),
        ("method", "GET", "GET"),
        ("path", "/shop/item-0", "/shop/item-0"),
        ("status", "200", "200"),
        ("bytes", "1000", "1000"),
        ("referrer", "https://www.example.org/start?q=secret0", "https://www.example.org/"),
    ] {
        assert_eq!((slot(name)["before"].as_str(), slot(name)["after"].as_str()), (Some(before), Some(after)), "{name}");
        assert!(slot(name)["action"].is_string(), "{name}");
    }
    assert_eq!(slot("query")["before"].as_str().map(|query| query.trim_start_matches('?')), Some("session=abcdef0"));
    let from_stdin = logfade(&["explain", "--format", "combined"]).run(&combined(1));
    assert!(from_stdin.expect_code(0).stdout_text().contains("203.0.113.1"), "a table for people");
    let hidden = logfade(&["explain", "--no-raw", "--format", "combined", &path]).run(b"").expect_code(0).stdout_text();
    assert!(!hidden.contains("203.0.113.1") && !hidden.contains("frank") && !hidden.contains("secret"), "{hidden}");
    let hidden = logfade(&["explain", "--no-raw", "--json", "--format", "combined", &path]).run(b"").expect_code(0).stdout_text();
    assert!(!hidden.contains("203.0.113.1") && !hidden.contains("frank") && !hidden.contains("secret"), "{hidden}");
}

#[test]
fn check_judges_policies_formats_and_configurations() {
    let dir = Dir::new();
    let good = dir.file("good.toml", TOTAL.as_bytes());
    assert_eq!(logfade(&["check", "--policy", &good, "--format", "nginx:$remote_addr [$time_local]"]).run(b"").code(), Some(0));
    let bad = dir.file("bad.toml", format!("{TOTAL}usr = \"drop\"\n").as_bytes());
    let outcome = logfade(&["check", "--policy", &bad]).run(b"");
    assert_eq!(outcome.code(), Some(2));
    assert!(outcome.stderr_text().contains("bad.toml:3") && outcome.stderr_text().contains('^'), "{}", outcome.stderr_text());
    assert_eq!(logfade(&["check", "--format", "nginx:${remote_addr"]).run(b"").code(), Some(2));
    let unknown = dir.file("logfade.toml", b"[[class]]\nname = \"site\"\nrav = [\"x\"]\n");
    let outcome = logfade(&["-c", &unknown, "check"]).run(b"");
    assert_eq!(outcome.code(), Some(2));
    assert!(outcome.stderr_text().contains("logfade.toml"), "{}", outcome.stderr_text());
    assert_eq!(logfade(&["-c", "/nonexistent.toml", "check"]).run(b"").code(), Some(2));
}

#[test]
fn the_manual_and_the_completions_are_written() {
    let manual = logfade(&["man"]).run(b"").expect_code(0).stdout_text();
    assert!(manual.contains(".TH") && manual.contains("logfade"));
    let completions = logfade(&["completions", "bash"]).run(b"").expect_code(0).stdout_text();
    assert!(completions.contains("complete") && completions.contains("logfade") && completions.contains("pipe"));
    let help = logfade(&["--help"]).run(b"").expect_code(0).stdout_text();
    for command in ["pipe", "detect", "formats", "policies", "explain", "check"] {
        assert!(help.contains(command), "{command}");
    }
    let version = logfade(&["--version"]).run(b"").expect_code(0).stdout.clone();
    assert_eq!(lines(&version).len(), 1);
}

/// What was remembered for one field must not be used for another that has a different action.
#[test]
fn two_address_fields_keep_their_own_actions() {
    let dir = Dir::new();
    let policy = dir.file("p.toml", b"client_addr = \"truncate/24,64\"\nproxied_addr = \"black-marker\"\nother = \"keep\"\n");
    let format = "nginx:$remote_addr $http_x_forwarded_for $status";
    let line = "2001:db8:1:2:3:4:5:6 2001:db8:1:2:3:4:5:6 200\n";
    let outcome = pipe(&["--format", format, "--policy", &policy], line.repeat(3).as_bytes());
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), "2001:db8:1:2:: :: 200\n".repeat(3));
}
