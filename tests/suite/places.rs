//! Countries and networks in the place of addresses, or beside them: looked up before anything is cut, and never an address instead.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::mmdb::{asn, country, database};
use super::support::{Dir, corpora, decoded, holds, lines, logfade, pipe};

fn common(client: &str) -> String {
    format!("{client} - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n")
}

fn shelf() -> (Dir, String) {
    let dir = Dir::new();
    let countries = dir.file("c.mmdb", &database("Test-Country", &[("203.0.113.128/25", country("SE")), ("203.0.113.0/25", country("NO")), ("2001:db8:1::/48", country("DK"))]));
    let numbers = dir.file("a.mmdb", &database("Test-ASN", &[("203.0.113.128/25", asn(1257)), ("2001:db8::/32", asn(64_500))]));
    let list = format!("[{countries:?}, {numbers:?}]");
    (dir, list)
}

fn run(dir: &Dir, policy: &str, args: &[&str], input: &str) -> super::support::Outcome {
    let path = dir.file("policy.toml", policy.as_bytes());
    pipe(&[&["--policy", path.as_str()], args].concat(), input.as_bytes())
}

#[test]
fn an_archive_is_made_anew_with_another_database() {
    let dir = Dir::new();
    let policy = format!("geoip = {:?}\nclient_addr = \"country\"\nother = \"keep\"\n", dir.arg("c.mmdb"));
    let (policy, raw) = (dir.file("policy.toml", policy.as_bytes()), dir.file("access.log", common("203.0.113.200").as_bytes()));
    let (state, out) = (dir.arg("state"), dir.arg("out"));
    for (code, status) in [("SE", "done"), ("SE", "skipped"), ("NO", "done")] {
        dir.file("c.mmdb", &database("Test-Country", &[("203.0.113.0/24", country(code))]));
        let outcome = logfade(&["--json", "--state", &state, "batch", &raw, "--out", &out, "--policy", &policy, "--format", "common"]).run(b"");
        assert_eq!(outcome.expect_code(0).json()["files"][0]["status"], status, "{code}");
        assert!(decoded(&dir.read("out/access.log.zst")).starts_with(code.as_bytes()));
    }
}

fn clients(out: &[u8]) -> Vec<String> {
    lines(out).into_iter().map(|line| String::from_utf8_lossy(line.split(|byte| *byte == b' ').next().unwrap()).into_owned()).collect()
}

#[test]
fn a_country_or_a_network_takes_the_place_of_an_address_in_every_form() {
    let (dir, list) = shelf();
    let forms = [
        "203.0.113.200",
        "203.0.113.100:80",
        "::ffff:203.0.113.200",
        "[2001:DB8:1::5]:443",
        "2001:db8:2::5",
        "192.0.2.1",
        "host.example",
        "unix:",
        "-",
        "10.0.0.7",
        "2002:cb00:71c8::1",
    ];
    let input: String = forms.iter().map(|form| common(form)).collect();
    for (action, expected) in [
        ("country", ["SE", "NO", "SE", "DK", "-", "-", "-", "unix:", "-", "10.0.0.7", "SE"]),
        ("asn", ["AS1257", "-", "AS1257", "AS64500", "AS64500", "-", "-", "unix:", "-", "10.0.0.7", "AS1257"]),
    ] {
        let policy = format!("geoip = {list}\nclient_addr = \"{action}\"\nexcept = [\"10.0.0.0/8\"]\nother = \"keep\"\n");
        let out = run(&dir, &policy, &["--format", "common"], &input);
        assert_eq!(clients(&out.expect_code(0).stdout), expected, "{action}");
    }
    let policy = format!("geoip = {list}\nclient_addr = \"country\"\nproxied_addr = \"asn\"\nother = \"keep\"\n");
    let out = run(&dir, &policy, &["--format", "nginx:$remote_addr \"$http_x_forwarded_for\""], "203.0.113.200 \"203.0.113.200, 203.0.113.7, x, 2001:db8::1\"\n");
    assert_eq!(out.expect_code(0).stdout_text(), "SE \"AS1257, -, -, AS64500\"\n");
}

#[test]
fn what_is_added_comes_from_the_whole_address_and_stands_beside_any_action() {
    let (dir, list) = shelf();
    let state = dir.arg("state");
    logfade(&["--state", &state, "keys", "init"]).run(b"").expect_code(0);
    for action in ["drop", "truncate/16,24", "black-marker", "country", "asn", "hash", "encrypt-prefix", "keep"] {
        let policy = format!("geoip = {list}\nclient_addr = \"{action}\"\ncountry = \"add\"\nasn = \"add\"\nother = \"keep\"\n");
        let input = [common("203.0.113.200"), common("[2001:db8:1::5]:443"), common("192.0.2.1"), common("203.0.113.7")].concat();
        let out = run(&dir, &policy, &["--state", &state, "--format", "common", "--output", "json"], &input);
        let rows: Vec<Value> = lines(&out.expect_code(0).stdout).into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
        for side in ["client", "source"] {
            let of = |row: usize| (rows[row][side]["geo"]["country_iso_code"].as_str(), rows[row][side]["as"]["number"].as_u64());
            assert_eq!([of(0), of(1), of(2), of(3)], [(Some("SE"), Some(1257)), (Some("DK"), Some(64_500)), (None, None), (Some("NO"), None)], "{action}");
            assert!(rows[2][side]["geo"].is_null() && rows[2][side]["as"].is_null());
        }
        assert_eq!(holds(&out.stdout, b"203.0.113.200"), action == "keep", "{action}");
        let text = run(&dir, &policy, &["--state", &state, "--format", "common"], &input);
        assert!(!holds(&text.stdout, b"country_iso") && text.code() == Some(0));
    }
    let policy = format!("geoip = {list}\nclient_addr = \"drop\"\ncountry = \"add\"\nasn = \"off\"\nother = \"keep\"\n");
    let out = run(&dir, &policy, &["--format", "common", "--output", "json"], &common("203.0.113.200"));
    let row: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(row["client"], serde_json::json!({"geo": {"country_iso_code": "SE"}}));
    let told = logfade(&["pipe", "--policy", &dir.arg("policy.toml"), "--format", "common"]).run(common("203.0.113.200").as_bytes());
    assert!(told.stderr_text().contains("--output json"), "{}", told.stderr_text());
}

#[test]
fn without_a_good_database_nothing_is_read_and_nothing_written() {
    let (dir, _) = shelf();
    let bytes = dir.read("c.mmdb");
    let broken = dir.file("broken.mmdb", &bytes[..bytes.len() - 20]);
    for (geoip, action, words) in [
        (String::new(), "client_addr = \"country\"", "database of places"),
        (String::new(), "client_addr = \"drop\"\ncountry = \"add\"", "database of places"),
        ("geoip = \"/nonexistent.mmdb\"\n".to_owned(), "client_addr = \"country\"", "no such database"),
        (format!("geoip = {broken:?}\n"), "client_addr = \"country\"", "damaged"),
        (format!("geoip = {:?}\n", dir.arg("policy.toml")), "client_addr = \"country\"", "MaxMind"),
        (format!("geoip = {:?}\n", dir.arg("a.mmdb")), "client_addr = \"country\"", "no countries"),
        (format!("geoip = [{:?}]\n", dir.arg("c.mmdb")), "asn = \"add\"", "no autonomous systems"),
    ] {
        let policy = format!("{geoip}{action}\nother = \"drop\"\n");
        let out = run(&dir, &policy, &["--format", "common", "-o", &dir.arg("out.log")], &common("203.0.113.200"));
        assert_eq!(out.code(), Some(2), "{policy}{}", out.stderr_text());
        assert!(out.stderr_text().contains(words), "{words}: {}", out.stderr_text());
        assert!(!dir.at("out.log").exists() && out.stdout.is_empty());
        for verb in ["check", "explain"] {
            assert_eq!(logfade(&[verb, "--policy", &dir.arg("policy.toml")]).run(common("203.0.113.200").as_bytes()).code(), Some(2), "{verb}");
        }
    }
}

#[test]
fn explain_shows_the_country() {
    let (dir, list) = shelf();
    let policy = dir.file("policy.toml", format!("geoip = {list}\nclient_addr = \"country\"\nother = \"drop\"\n").as_bytes());
    let shown = logfade(&["explain", "--json", "--policy", &policy, "--format", "common"]).run(common("203.0.113.200").as_bytes()).expect_code(0).json();
    assert_eq!((shown[0]["fields"][0]["action"].as_str(), shown[0]["fields"][0]["after"].as_str()), (Some("country"), Some("SE")), "{shown}");
}

#[test]
fn a_database_that_changes_under_a_running_pipe_is_read_again_and_a_broken_one_is_not() {
    use std::io::{BufRead, BufReader, Write};
    let (dir, list) = shelf();
    let policy = dir.file("policy.toml", format!("geoip = {list}\nclient_addr = \"country\"\nother = \"keep\"\n").as_bytes());
    let mut child = logfade(&["pipe", "-q", "--policy", &policy, "--format", "common"]).spawn();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut turn = || {
        let mut clean = String::new();
        stdin.write_all(common("203.0.113.200").as_bytes()).unwrap();
        stdout.read_line(&mut clean).unwrap();
        clean.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(turn(), "SE");
    let replace = |bytes: &[u8]| {
        dir.file("new", bytes);
        std::fs::rename(dir.at("new"), dir.at("c.mmdb")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    };
    replace(b"broken");
    assert_eq!([turn(), turn()], ["SE", "SE"]);
    replace(&database("Test-Country", &[("203.0.113.0/24", country("FI"))]));
    assert_eq!(turn(), "FI");
    drop(stdin);
    let stderr = String::from_utf8(super::support::all_of(child.stderr.take().unwrap())).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    assert!(stderr.contains("c.mmdb") && !stderr.contains("203.0.113"), "{stderr}");
}

/// The networks of a vector file and what they say.
fn networks(path: &std::path::Path, value: impl Fn(&Value) -> Option<String>) -> BTreeMap<IpNet, String> {
    let rows: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for (network, record) in rows.as_array().unwrap().iter().flat_map(|row| row.as_object().unwrap()) {
        let network: IpNet = network.parse().unwrap();
        // IPv4 stands at ::/96 in these files.
        let network = match network {
            IpNet::V6(six) if six.prefix_len() >= 96 && six.addr().to_bits() >> 32 == 0 && six.addr().to_bits() > 0xffff => {
                IpNet::new(IpAddr::V4(std::net::Ipv4Addr::from_bits(six.addr().to_bits() as u32)), six.prefix_len() - 96).unwrap()
            }
            other => other,
        };
        found.insert(network.trunc(), value(record).unwrap_or_else(|| "-".to_owned()));
    }
    found
}

#[test]
fn every_network_of_the_vectors_is_found() {
    let Some(root) = corpora() else { return };
    let country = |record: &Value| record["country"]["iso_code"].as_str().map(str::to_owned);
    let number = |record: &Value| record["autonomous_system_number"].as_u64().map(|number| format!("AS{number}"));
    let cases: [(&str, &str, BTreeMap<IpNet, String>); 2] = [
        ("GeoLite2-Country-Test", "country", networks(&root.join("geoip/GeoLite2-Country-Test.json"), country)),
        ("GeoLite2-ASN-Test", "asn", networks(&root.join("geoip/GeoLite2-ASN-Test.json"), number)),
    ];
    for (name, action, networks) in cases {
        let dir = Dir::new();
        let policy = format!("geoip = {:?}\nclient_addr = \"{action}\"\nother = \"keep\"\n", root.join(format!("geoip/{name}.mmdb")).to_str().unwrap());
        let asked: Vec<IpAddr> = networks.keys().flat_map(|network| [network.network(), network.broadcast()]).collect();
        let input: String = asked.iter().map(|ip| common(&ip.to_string())).collect();
        let out = run(&dir, &policy, &["--format", "common"], &input);
        let found = clients(&out.expect_code(0).stdout);
        assert_eq!(found.len(), asked.len());
        let mut checked = 0;
        for (ip, found) in asked.iter().zip(&found) {
            let narrowest = networks.iter().filter(|(network, _)| network.contains(ip)).max_by_key(|(network, _)| network.prefix_len()).map(|(_, says)| says.as_str());
            // An IPv4 address in IPv6 dress is asked for as what it is.
            let inside = matches!(ip, IpAddr::V6(six) if six.to_bits() >> 112 == 0x2002 || six.to_bits() >> 96 == 0x2001_0000);
            if !inside {
                assert_eq!(Some(found.as_str()), narrowest, "{name}: {ip}");
                checked += 1;
            }
        }
        println!("{name}: {checked} addresses");
        assert!(checked > 300);
    }
    // A database that holds neither, and odd types of every kind.
    let dir = Dir::new();
    let policy = format!("geoip = {:?}\nclient_addr = \"country\"\nother = \"keep\"\n", root.join("geoip/MaxMind-DB-test-decoder.mmdb").to_str().unwrap());
    assert_eq!(run(&dir, &policy, &["--format", "common"], &common("203.0.113.9")).code(), Some(2));
}
