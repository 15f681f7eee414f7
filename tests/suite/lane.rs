//! The common case has a way of its own through the gate; it writes what the general way writes.

use super::keys::{Keyed, today};
use super::pipe::combined;
use super::support::{Outcome, corpora, pipe};

/// The same layout in a server's own words, which takes the general way.
const GENERAL: &str = "apache:%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"";

/// What the lane would work on, with keys: each of its values, and one that it leaves to the general way.
const KEYED: [&str; 5] = [
    "client_addr = \"hash\"",
    "client_addr = \"encrypt-prefix\"",
    "user_agent = \"hash\"",
    "user = \"hash\"",
    "client_addr = \"hash/address\"\nuser = \"hash\"\nuser_agent = \"hash\"",
];

fn both(input: &[u8], what: &str) {
    for policy in ["default", "strict", "analytics", "security"] {
        let lane = pipe(&["--format", "combined", "--policy", policy, "--on-reject", "drop"], input);
        let general = pipe(&["--format", GENERAL, "--policy", policy, "--on-reject", "drop"], input);
        compare(&lane, &general, &format!("{what} under {policy}"));
    }
    if super::support::decoded(input) != input {
        return;
    }
    let keyed = Keyed::local();
    let mut input = today(input);
    for fields in KEYED {
        let names: Vec<&str> = fields.lines().filter_map(|line| line.split(' ').next()).collect();
        let rest = include_str!("../../samples/policies/default.toml").lines().filter(|line| !names.iter().any(|name| line.starts_with(&format!("{name} "))));
        let policy = format!("{fields}\n{}\n", rest.map(|line| line.replace("\"second\"", "\"keep\"")).collect::<Vec<_>>().join("\n"));
        let lane = keyed.pipe(&policy, &["--format", "combined", "--on-reject", "drop"], &input);
        let general = keyed.pipe(&policy, &["--format", GENERAL, "--on-reject", "drop"], &input);
        compare(&lane, &general, &format!("{what} under {fields}"));
        input.truncate(1 << 20);
    }
}

fn compare(lane: &Outcome, general: &Outcome, what: &str) {
    {
        assert_eq!((lane.code(), general.code()), (Some(0), Some(0)), "{what}: {}", lane.stderr_text());
        let (lane, general): (Vec<&[u8]>, Vec<&[u8]>) = (lane.stdout.split(|byte| *byte == b'\n').collect(), general.stdout.split(|byte| *byte == b'\n').collect());
        // `combined` knows more generations of its layout, so it may write more lines, in the same order.
        let mut lane = lane.into_iter();
        for line in general.into_iter().filter(|line| !line.is_empty()) {
            assert!(lane.any(|found| found == line), "{what}: {}", String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn both_ways_write_the_same() {
    both(&combined(5000), "generated lines");
    let stamp = "[10/Oct/2000:13:55:36 -0700]";
    let requests = [
        "GET /a HTTP/1.1",
        "GET /a?b=c HTTP/1.0",
        "GET /a#b HTTP/1.1",
        "GET /a%20b HTTP/1.1",
        "GET /a%3Fb HTTP/1.1",
        "GET /a%3fb?c HTTP/1.1",
        "GET /a%253Fb HTTP/1.1",
        "GET //h/a HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a HTTP/1.1 HTTP/1.1",
        "GET /a?b HTTP/2",
        "GET /a",
        "POST /a HTTP/1.1",
        "HEAD / HTTP/1.1",
        "PUT / HTTP/1.1",
        "GET http://h/a HTTP/1.1",
        r"GET /a\x22b HTTP/1.1",
        r#"GET /a\"b HTTP/1.1"#,
        r#"GET /a?\"b HTTP/1.1"#,
        "-",
        "",
        r"\x16\x03",
        "GET /192.0.2.9/1-2-3-4?x HTTP/1.1",
        "GET /? HTTP/1.1",
        "GET /?HTTP/1.1",
        "GET /a?b HTTP/1.1x",
        "get / HTTP/1.1",
    ];
    let referrers = [
        "-",
        "",
        "https://www.example.org/a?b",
        "http://h",
        "http:///a",
        "https://u:p@h.example/x",
        "https://203.0.113.9/",
        r"https://h\x22/x",
        r#"a\"b"#,
        "android-app://com.example/",
    ];
    let agents =
        ["-", "curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", r"Mozilla\x22", r#"a \"b\" c"#, r"ends\\", "Chrome/120.0.0.0 203.0.113.9"];
    let clients = ["203.0.113.9", "2001:db8:1:2:3:4:5:6", "2001:db8::1", "h.example", "-", "203.0.113.9:80", "[2001:db8::1]:80", "::ffff:203.0.113.9", "999.1.1.1", "unix:"];
    let mut input = String::new();
    for (at, request) in requests.iter().enumerate() {
        for (turn, referrer) in referrers.iter().enumerate() {
            let (agent, client) = (agents[(at + turn) % agents.len()], clients[(at * 3 + turn) % clients.len()]);
            for (status, bytes) in [("200", "5"), ("404", "-"), ("-", "0"), ("20", "5"), ("200", "12345678901234567890123")] {
                input += &format!("{client} - - {stamp} \"{request}\" {status} {bytes} \"{referrer}\" \"{agent}\"\n");
                input += &format!("{client} - b {stamp} \"{request}\" {status} {bytes} \"{referrer}\" \"{agent}\"\n");
                input += &format!("{client} - bob {stamp} \"{request}\" {status} {bytes} \"{referrer}\" \"{agent}\"\r\n");
            }
        }
    }
    both(input.as_bytes(), "odd lines");
}

#[test]
fn both_ways_write_the_same_of_real_logs() {
    let Some(root) = corpora() else { return };
    for entry in std::fs::read_dir(root.join("combined")).unwrap().chain(std::fs::read_dir(root.join("hostile")).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log" || extension == "zst") {
            both(&std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}
