//! Keyed pseudonyms from the outside: what is written is the documented MAC under the key of the record's own day, and nothing without it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use sha2::Sha256;

use super::support::{Dir, Outcome, counts, holds, lines, logfade, pipe};

pub const REST: &str = "other = \"keep\"\n";
const NGINX: &str =
    "nginx:$remote_addr - $remote_user [$time_local] \"$request\" $status \"$http_x_forwarded_for\" $request_id \"$cookie_session\" \"$http_cookie\" \"$http_x_device\"";

/// A state directory with keys.
pub struct Keyed {
    pub dir: Dir,
}

impl Keyed {
    pub fn local() -> Self {
        let dir = Dir::new();
        logfade(&["--state", &dir.arg("state"), "keys", "init"]).run(b"").expect_code(0);
        Self { dir }
    }

    pub fn fleet(seed: &[u8]) -> Self {
        let dir = Dir::new();
        let path = dir.file("seed", seed);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        logfade(&["--state", &dir.arg("state"), "keys", "init", "--fleet", &path]).run(b"").expect_code(0);
        assert!(!dir.at("seed").exists());
        Self { dir }
    }

    pub fn keys(&self, args: &[&str]) -> Outcome {
        let state = self.dir.arg("state");
        logfade(&[&["--state", state.as_str(), "keys"], args].concat()).run(b"")
    }

    pub fn pipe(&self, policy: &str, args: &[&str], input: &[u8]) -> Outcome {
        let (state, policy) = (self.dir.arg("state"), self.dir.file("policy.toml", policy.as_bytes()));
        pipe(&[&["--state", state.as_str(), "--policy", &policy], args].concat(), input)
    }

    /// The 32 bytes of a day's key, as its holder exports them.
    fn export(&self, day: &str) -> [u8; 32] {
        let name = format!("export-{day}");
        self.keys(&["export", day, "-o", &self.dir.arg(&name)]).expect_code(0);
        self.dir.read(&name).try_into().unwrap()
    }

    pub fn key_file(&self, day: &str) -> std::path::PathBuf {
        self.dir.at("state").join("keys").join(format!("{day}.key"))
    }
}

/// RFC 5869, one block of Expand.
fn expand(key: &[u8], info: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(info).chain_update([1]).finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pseudonym as the documentation has it.
fn pseudonym(key: &[u8; 32], domain: &str, value: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(&expand(key, b"logfade hash 1")).unwrap();
    let length = u32::try_from(domain.len()).unwrap().to_be_bytes();
    hex(&mac.chain_update(length).chain_update(domain).chain_update(value).finalize().into_bytes()[..16])
}

fn octets(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Noon of this UTC day or one near it: a day's key is there from a day before to a day after.
pub fn noon(days: i64) -> Timestamp {
    let today = Timestamp::now().as_second().div_euclid(86_400);
    Timestamp::from_second((today + days) * 86_400 + 43_200).unwrap()
}

fn shown(time: Timestamp, shape: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(shape).to_string()
}

pub fn day(days: i64) -> String {
    shown(noon(days), "%Y-%m-%d")
}

pub fn stamp(time: Timestamp) -> String {
    shown(time, "%d/%b/%Y:%H:%M:%S +0000")
}

/// The samples' day, in all its spellings, becomes today.
pub fn today(input: &[u8]) -> Vec<u8> {
    let mut text = input.to_vec();
    let shapes = [
        ("10/Oct/2023", "%d/%b/%Y"),
        ("10/Oct/2000", "%d/%b/%Y"),
        ("2023-10-10", "%Y-%m-%d"),
        ("2023/10/10", "%Y/%m/%d"),
        ("Tue Oct 10", "%a %b %d"),
        ("Oct 10", "%b %d"),
        (" 2023]", " %Y]"),
        ("1696946136", "%s"),
    ];
    for (from, shape) in shapes {
        let to = shown(noon(0), shape);
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some(at) = memchr::memmem::find(rest, from.as_bytes()) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        text = out;
    }
    text
}

pub fn common(client: &str, user: &str, time: &str) -> String {
    format!("{client} - {user} [{time}] \"GET / HTTP/1.1\" 200 5\n")
}

pub fn first(line: &[u8]) -> String {
    String::from_utf8_lossy(line.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned()
}

fn columns(out: &Outcome) -> Vec<String> {
    lines(&out.stdout).into_iter().map(first).collect()
}

#[test]
fn every_hashed_field_is_the_documented_mac_of_its_plain_value() {
    let keyed = Keyed::local();
    let policy = "client_addr = \"hash\"\nproxied_addr = \"hash\"\nuser = \"hash\"\nrequest_id = \"hash\"\nquery = { default = \"drop\", keep = [\"page\"], hash = [\"uid\"] }\n\
                  cookie = { default = \"drop\", hash = [\"session\", \"sid\"] }\nheader = { default = \"drop\", hash = [\"x_device\"] }\nother = \"keep\"\n";
    let time = stamp(noon(0));
    let line = format!(
        "[2001:DB8::1]:443 - fr\\x61nk [{time}] \"GET /a?x=1&page=2&uid=a%2Bb+c&uid=-&uid= HTTP/1.1\" 200 \"192.0.2.7, ::ffff:192.0.2.8, Proxy.Example.:80\" 4f9c \"se\\x22s\" \"a=1; sid=s1 ; b=2\" \"d-1\"\n"
    );
    let out = keyed.pipe(policy, &["--format", NGINX], line.as_bytes());
    out.expect_code(0);
    let key = keyed.export(&day(0));
    let of = |domain: &str, value: &[u8]| pseudonym(&key, domain, value);
    let address = |domain: &str, text: &str| of(domain, &octets(text));
    let expected = format!(
        "{} - {} [{time}] \"GET /a?page=2&uid={}&uid=-&uid= HTTP/1.1\" 200 \"{}, {}, {}\" {} \"{}\" \"sid={}\" \"{}\"\n",
        address("client_addr", "2001:db8::1"),
        of("user", b"frank"),
        of("query:uid", b"a+b c"),
        address("proxied_addr", "192.0.2.7"),
        address("proxied_addr", "192.0.2.8"),
        of("proxied_addr", b"proxy.example"),
        of("request_id", b"4f9c"),
        of("cookie:session", b"se\"s"),
        of("cookie:sid", b"s1"),
        of("header:x_device", b"d-1"),
    );
    assert_eq!(out.stdout_text(), expected);
    assert_eq!(out.report()["keyless"], 0);
}

#[test]
fn one_text_in_two_fields_has_two_pseudonyms_unless_a_domain_joins_them() {
    let keyed = Keyed::local();
    let line = format!("192.0.2.1 - same [{}] \"GET /?uid=same HTTP/1.1\" 200 \"192.0.2.1\" same \"same\" \"uid=same\" \"same\"\n", stamp(noon(0)));
    let hashes = |policy: &str| -> Vec<String> {
        let out = keyed.pipe(policy, &["--format", NGINX], line.as_bytes()).expect_code(0).stdout_text();
        out.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 32).map(str::to_owned).collect()
    };
    let apart = "client_addr = \"hash\"\nproxied_addr = \"hash\"\nuser = \"hash\"\nrequest_id = \"hash\"\nquery = { default = \"hash\" }\ncookie = { default = \"hash\" }\nheader = { default = \"hash\" }\nother = \"drop\"\n";
    let found = hashes(apart);
    assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (8, 8), "{found:?}");
    let joined = "client_addr = { action = \"hash\", domain = \"who\" }\nproxied_addr = { action = \"hash\", domain = \"who\" }\nuser = { action = \"hash\", domain = \"who\" }\nrequest_id = \"drop\"\n\
                  query = { default = \"hash\", domain = \"who\" }\ncookie = { default = \"hash\", domain = \"who\" }\nheader = \"drop\"\nother = \"drop\"\n";
    let found = hashes(joined);
    assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (6, 2), "addresses and texts: {found:?}");
}

#[test]
fn a_pseudonym_is_of_the_records_own_utc_day_whatever_was_seen_before() {
    let keyed = Keyed::local();
    // 00:30 in Stockholm is the day before in UTC; an address and an agent that come on both days come in turn.
    let late = noon(0).checked_sub(13.hours().minutes(30)).unwrap();
    let zoned = late.to_zoned(TimeZone::fixed(jiff::tz::offset(2))).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    assert!(zoned.contains(":00:30:00 +0200"), "{zoned}");
    let mut input = String::new();
    for time in [&stamp(noon(0)), &stamp(noon(-1)), &zoned].repeat(50) {
        input += &common("2001:db8:1:2:3:4:5:6", "someone-with-a-long-name", time);
    }
    let policy = format!("client_addr = \"hash\"\nuser = \"hash\"\n{REST}");
    for threads in ["1", "3"] {
        let out = keyed.pipe(&policy, &["--format", "common", "--threads", threads], input.as_bytes());
        out.expect_code(0);
        let (here, before) = (keyed_client(&keyed, 0), keyed_client(&keyed, -1));
        let expected = [here.clone(), before.clone(), before].into_iter().cycle().take(150).collect::<Vec<_>>();
        assert_eq!(columns(&out), expected);
    }
}

fn keyed_client(keyed: &Keyed, days: i64) -> String {
    std::fs::remove_file(keyed.dir.at(&format!("export-{}", day(days)))).ok();
    pseudonym(&keyed.export(&day(days)), "client_addr", &octets("2001:db8:1:2:3:4:5:6"))
}

#[test]
fn how_the_input_is_cut_changes_nothing() {
    let keyed = Keyed::local();
    let mut input = String::new();
    for number in 0..60_000_i64 {
        let client = if number % 5 == 0 { format!("2001:db8::{:x}", number % 700) } else { format!("198.51.100.{}", number % 256) };
        input += &common(&client, "frank", &stamp(noon(-(number / 777 % 2))));
    }
    let policy = format!("client_addr = \"hash\"\nuser = \"hash\"\n{REST}");
    let one = keyed.pipe(&policy, &["--format", "common", "--threads", "1"], input.as_bytes());
    let four = keyed.pipe(&policy, &["--format", "common", "--threads", "4"], input.as_bytes());
    assert!(one.stdout == four.stdout && counts(&one.report()).clean == 60_000);
    let slow = logfade(&["pipe", "--json", "--state", &keyed.dir.arg("state"), "--policy", &keyed.dir.arg("policy.toml"), "--format", "common"]).stream(|sink| {
        for part in input.as_bytes()[..200_000].chunks(7_001) {
            sink.write_all(part)?;
            sink.flush()?;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(())
    });
    let whole = lines(&slow.stdout).len() - 1;
    assert_eq!(lines(&slow.stdout)[..whole], lines(&one.stdout)[..whole]);
}

#[test]
fn records_without_a_key_are_cut_and_counted() {
    let keyed = Keyed::local();
    let input = [
        common("203.0.113.77", "frank", "10/Oct/2000:13:55:36 +0000"),
        common("[2001:db8:1::5]:80", "frank", "10/Oct/2099:13:55:36 +0000"),
        common("h.example", "frank", &stamp(noon(0))),
    ]
    .concat();
    for action in ["hash", "hash/address", "encrypt-prefix"] {
        let policy = format!("client_addr = \"{action}\"\nuser = \"hash\"\n{REST}");
        let out = keyed.pipe(&policy, &["--format", "common"], input.as_bytes());
        let text = out.expect_code(0).stdout_text();
        assert!(text.starts_with("203.0.113.0 - - [10/Oct/2000:13:55:36 +0000] "), "{text}");
        assert!(text.contains("\n[2001:db8::] - - [10/Oct/2099:13:55:36 +0000] "), "{text}");
        assert!(!text.contains("frank") && !text.contains("h.example"));
        assert_eq!((out.report()["keyless"].as_u64(), counts(&out.report()).clean), (Some(2), 3));
        assert!(!keyed.dir.at("state/keys/2000-10-10.key").exists() && !keyed.dir.at("state/keys/2099-10-10.key").exists());
    }
    // A record without a time has no period, whatever stood in front of it.
    let input = format!("203.0.113.77 frank [{}]\n203.0.113.77 frank [-]\n", stamp(noon(0)));
    let policy = format!("client_addr = \"hash\"\nuser = \"hash\"\n{REST}");
    let format = "nginx:$remote_addr $remote_user [$time_local]";
    let out = keyed.pipe(&policy, &["--format", format], input.as_bytes());
    assert_eq!((columns(&out)[1].as_str(), &out.report()["keyless"]), ("203.0.113.0", &serde_json::json!(1)));
    assert!(out.stdout_text().ends_with("\n203.0.113.0 - [-]\n"));
    let told = logfade(&["pipe", "--state", &keyed.dir.arg("state"), "--policy", &keyed.dir.arg("policy.toml"), "--format", format]).run(input.as_bytes());
    assert!(told.stderr_text().contains("keyless 1"), "{}", told.stderr_text());
    // What is no record is not counted as one.
    let input = "#Fields: date time c-ip\n2000-10-10 13:55:36 203.0.113.77\n#Software: x\n\n";
    let out = keyed.pipe(&policy, &["--format", "w3c"], input.as_bytes());
    assert_eq!((counts(&out.report()).clean, &out.report()["keyless"]), (4, &serde_json::json!(1)));
}

#[test]
fn a_key_that_is_destroyed_is_not_used_by_a_running_pipe_any_more() {
    let keyed = Keyed::local();
    let policy = keyed.dir.file("policy.toml", format!("client_addr = \"hash\"\n{REST}").as_bytes());
    let mut child = logfade(&["pipe", "-q", "--state", &keyed.dir.arg("state"), "--policy", &policy, "--format", "common"]).spawn();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut turn = |clean: &mut String| {
        clean.clear();
        stdin.write_all(common("203.0.113.77", "-", &stamp(noon(0))).as_bytes()).unwrap();
        stdout.read_line(clean).unwrap();
    };
    let (mut one, mut other) = (String::new(), String::new());
    turn(&mut one);
    turn(&mut other);
    assert_eq!((first(one.as_bytes()).len(), &one), (32, &other));
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    turn(&mut other);
    assert_eq!(first(other.as_bytes()), "203.0.113.0");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn own_networks_need_no_key_and_forms_are_kept() {
    let keyed = Keyed::local();
    let time = stamp(noon(0));
    let clients = ["10.1.2.3", "[2001:db8::1]:443", "192.0.2.1:80", "fe80::1%eth0", "unix:", "-", "host.example:80"];
    let input: String = clients.iter().map(|client| common(client, "-", &time)).collect();
    for (action, checks) in [("hash", 0), ("hash/address", 1), ("encrypt-prefix", 2)] {
        let out = keyed.pipe(&format!("client_addr = \"{action}\"\nexcept = [\"10.0.0.0/8\"]\n{REST}"), &["--format", "common"], input.as_bytes());
        let found = columns(out.expect_code(0));
        assert_eq!((found[0].as_str(), found[4].as_str(), found[5].as_str()), ("10.1.2.3", "unix:", "-"), "{action}");
        let is_hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_local = |text: &str| matches!(text.parse(), Ok(IpAddr::V6(six)) if six.octets()[0] == 0xfd);
        let inside = found[1].strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
        match checks {
            0 => assert!(found[1..4].iter().all(|text| is_hex(text)) && is_hex(&found[6]), "{found:?}"),
            1 => assert!(is_local(inside) && is_local(&found[2]) && is_local(&found[3]) && is_local(&found[6]), "{found:?}"),
            _ => assert!(inside.parse::<std::net::Ipv6Addr>().is_ok() && found[2].parse::<Ipv4Addr>().is_ok() && found[6] == "-", "{found:?}"),
        }
    }
}

#[test]
fn encrypted_prefixes_are_shared_and_their_holder_gets_the_address_back() {
    let keyed = Keyed::local();
    let clients = ["203.0.113.9", "203.0.113.77", "203.0.200.1", "2001:db8:1:2::5", "2001:db8:1:3::5", "::ffff:203.0.113.9"];
    let input: String = [0, -1].iter().flat_map(|days| clients.map(|client| common(client, "-", &stamp(noon(*days))))).collect();
    let out = keyed.pipe(&format!("client_addr = \"encrypt-prefix\"\n{REST}"), &["--format", "common"], input.as_bytes());
    let found = columns(&out);
    let bits = |text: &str| match text.parse().unwrap() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    for (start, days) in [(0, 0), (6, -1)] {
        let of = |index: usize| found[start + index].as_str();
        for (one, other) in [(0, 1), (0, 2), (3, 4)] {
            assert_eq!((bits(of(one)) ^ bits(of(other))).leading_zeros(), (bits(clients[one]) ^ bits(clients[other])).leading_zeros());
        }
        assert_eq!(of(5), of(0), "an IPv4 address in another dress");
        for (index, client) in clients[..5].iter().enumerate() {
            assert_ne!(of(index), *client);
            let told = keyed.keys(&["decrypt", of(index), "--period", &day(days)]);
            assert_eq!(told.expect_code(0).stdout_text().trim(), *client);
        }
        // The vectors' own implementation, under the derived key.
        let derived = expand(&keyed.export(&day(days)), b"logfade encrypt-prefix 1");
        assert_eq!(ipcrypt_rs::IpcryptPfx::new(derived).encrypt_ipaddr(clients[3].parse().unwrap()).to_string(), of(3));
    }
    assert_ne!(found[0], found[6], "another day, another key");
    assert_eq!(keyed.keys(&["decrypt", "203.0.113.9", "--period", "2001-01-01"]).code(), Some(2));
}

/// All clients of one /8, looked for by trying every address of it.
#[test]
fn whoever_has_the_key_finds_all_of_2_to_the_24_clients_and_its_successor_finds_none() {
    let keyed = Keyed::fleet(&std::array::from_fn::<u8, 40, _>(|at| (at * 37 + 11) as u8));
    let clients: Vec<Ipv4Addr> = (0..500_u32).map(|number| Ipv4Addr::from_bits(11 << 24 | number.wrapping_mul(0x0001_9f3d) & 0xff_ffff)).collect();
    let input: String = clients.iter().map(|client| common(&client.to_string(), "-", &stamp(noon(0)))).collect();
    let out = keyed.pipe(&format!("client_addr = \"hash\"\n{REST}"), &["--format", "common"], input.as_bytes());
    let written: BTreeSet<String> = columns(&out).into_iter().collect();
    let key = keyed.export(&day(0));
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    assert_eq!(keyed.keys(&["export", &day(0)]).code(), Some(2));
    let successor = keyed.export(&day(1));
    let state = keyed.dir.read("state/keys/fleet.state");
    let digits = std::str::from_utf8(&state).unwrap().lines().nth(2).unwrap().to_owned();
    let kept: [u8; 32] = std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
    let found = |key: [u8; 32]| -> usize {
        let wanted: BTreeSet<u64> = written.iter().map(|text| u64::from_str_radix(&text[..16], 16).unwrap()).collect();
        let mac = Hmac::<Sha256>::new_from_slice(&expand(&key, b"logfade hash 1")).unwrap().chain_update(11_u32.to_be_bytes()).chain_update("client_addr");
        let part = |range: std::ops::Range<u32>| {
            let tags = range.map(|low| mac.clone().chain_update((11 << 24 | low).to_be_bytes()).finalize().into_bytes());
            tags.filter(|tag| wanted.contains(&u64::from_be_bytes(tag[..8].try_into().unwrap()))).count()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| part(1 << 23..1 << 24));
            part(0..1 << 23) + other.join().unwrap()
        })
    };
    assert_eq!(written.len(), 500);
    assert_eq!([found(key), found(successor), found(kept)], [500, 0, 0]);
}

#[test]
fn two_machines_of_a_fleet_write_the_same_and_a_destroyed_day_is_gone_for_good() {
    let seed: [u8; 32] = std::array::from_fn(|at| (at * 29 + 3) as u8);
    let (one, other) = (Keyed::fleet(&seed), Keyed::fleet(&seed));
    let input: String = [-1, 0, 1].iter().map(|days| common("2001:db8::7", "frank", &stamp(noon(*days)))).collect();
    let policy = format!("client_addr = \"hash\"\nuser = \"hash\"\n{REST}");
    let run = |keyed: &Keyed| keyed.pipe(&policy, &["--format", "common"], input.as_bytes());
    let before = run(&one);
    assert_eq!(before.expect_code(0).stdout_text(), run(&other).stdout_text());
    assert_eq!(columns(&before).into_iter().collect::<BTreeSet<_>>().len(), 3, "each day has its own");
    let secret = one.export(&day(0));
    one.keys(&["destroy", &day(0)]).expect_code(0);
    let after = run(&one);
    assert_eq!(after.report()["keyless"], 2, "that day and the one before");
    assert_eq!(columns(&after)[2], columns(&before)[2]);
    assert!(columns(&after)[..2].iter().all(|client| client == "2001:db8::"));
    for entry in std::fs::read_dir(one.dir.at("state/keys")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!holds(&bytes, &secret) && !holds(&bytes, hex(&secret).as_bytes()) && !holds(&bytes, &seed));
    }
    // A new machine gets the current state, never the seed, and writes what the others write.
    let state = other.dir.arg("current");
    other.keys(&["export", "--current", "-o", &state]).expect_code(0);
    let third = Dir::new();
    logfade(&["--state", &third.arg("state"), "keys", "init", "--fleet", &state]).run(b"").expect_code(0);
    let third = Keyed { dir: third };
    assert_eq!(run(&third).stdout_text(), run(&other).stdout_text());
}

#[test]
fn a_key_that_others_can_read_or_that_was_put_back_is_refused_before_anything_is_written() {
    let keyed = Keyed::local();
    let policy = format!("client_addr = \"hash\"\n{REST}");
    let line = common("203.0.113.9", "-", &stamp(noon(0)));
    let run = || keyed.pipe(&policy, &["--format", "common", "-o", &keyed.dir.arg("out.log")], line.as_bytes());
    run().expect_code(0);
    std::fs::remove_file(keyed.dir.at("out.log")).unwrap();
    let file = keyed.key_file(&day(0));
    let copy = std::fs::read(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
    let refused = run();
    assert_eq!(refused.code(), Some(4), "{}", refused.stderr_text());
    assert!(refused.stderr_text().contains("others can read") && !keyed.dir.at("out.log").exists());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    assert!(!file.exists());
    run().expect_code(0);
    assert_eq!(first(&keyed.dir.read("out.log")), "203.0.113.0");
    std::fs::remove_file(keyed.dir.at("out.log")).unwrap();
    std::fs::write(&file, &copy).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    for outcome in [run(), keyed.keys(&["decrypt", "203.0.113.9", "--period", &day(0)])] {
        assert_eq!(outcome.code(), Some(4), "{}", outcome.stderr_text());
        assert!(outcome.stderr_text().contains("put it back") && !holds(&outcome.stderr, hex(&copy).as_bytes()));
    }
    assert!(!keyed.dir.at("out.log").exists());
    let listed = keyed.keys(&["list"]).expect_code(0).stdout_text();
    assert!(listed.contains("restored"), "{listed}");
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    run().expect_code(0);
}

#[test]
fn explain_and_check_work_with_keys_and_leave_none_behind() {
    let keyed = Keyed::local();
    let policy = keyed.dir.file("policy.toml", format!("client_addr = \"hash\"\n{REST}").as_bytes());
    let line = common("203.0.113.9", "-", &stamp(noon(0)));
    let state = keyed.dir.arg("state");
    let shown = logfade(&["explain", "--json", "--state", &state, "--policy", &policy, "--format", "common"]).run(line.as_bytes()).expect_code(0).json();
    let client = &shown[0]["fields"][0];
    assert_eq!((client["action"].as_str(), client["after"].as_str().map(str::len), client["keyless"].as_bool()), (Some("hash"), Some(32), Some(false)), "{shown}");
    logfade(&["check", "--state", &state, "--policy", &policy]).run(b"").expect_code(0);
    assert!(!keyed.key_file(&day(0)).exists());
    keyed.pipe(&format!("client_addr = \"hash\"\n{REST}"), &["--format", "common"], line.as_bytes()).expect_code(0);
    let real = pseudonym(&keyed.export(&day(0)), "client_addr", &[203, 0, 113, 9]);
    let shown = logfade(&["explain", "--json", "--state", &state, "--policy", &policy, "--format", "common"]).run(line.as_bytes()).expect_code(0).json();
    assert_eq!(shown[0]["fields"][0]["after"], real.as_str());
    let old = logfade(&["explain", "--state", &state, "--policy", &policy, "--format", "common"]).run(common("203.0.113.9", "-", "10/Oct/2000:13:55:36 +0000").as_bytes());
    assert!(old.expect_code(0).stdout_text().contains("no key"));
    assert_eq!(logfade(&["check", "--state", &keyed.dir.arg("none"), "--policy", &policy]).run(b"").code(), Some(2));
    assert_eq!(logfade(&["explain", "--state", &keyed.dir.arg("none"), "--policy", &policy]).run(b"").code(), Some(2));
}

#[test]
fn the_residual_scan_leaves_pseudonyms_alone() {
    let keyed = Keyed::local();
    let policy = "client_addr = \"hash\"\nuser = \"hash\"\nquery = { default = \"drop\", keep = [\"page\"], hash = [\"uid\", \"v\"] }\ncookie = { default = \"drop\", keep = [\"lang\"], hash = [\"sid\"] }\nother = \"keep\"\n";
    let input: String = (0..10_000)
        .map(|number| {
            format!(
                "192.0.2.{} - u{number} [{}] \"GET /?page=2.1&uid={number}&v={number}x&page=7 HTTP/1.1\" 200 \"-\" - \"-\" \"lang=sv; sid={number}; lang=1.2\" \"-\"\n",
                number % 256,
                stamp(noon(0))
            )
        })
        .collect();
    let out = keyed.pipe(policy, &["--format", NGINX], input.as_bytes());
    assert_eq!((out.report()["masked"].as_u64(), counts(&out.report()).clean), (Some(0), 10_000));
    for line in lines(&out.stdout) {
        let text = String::from_utf8_lossy(line);
        let hashes = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 32).count();
        assert_eq!(hashes, 5, "{text}");
    }
}

#[test]
fn what_a_client_names_itself_is_no_name() {
    let keyed = Keyed::local();
    let policy = "client_addr = \"hash\"\nquery = { default = \"hash\" }\nother = \"keep\"\n";
    for (query, stays) in [
        ("uid=1", true),
        ("a[b]=1", true),
        ("anna%40mail.example=1", false),
        ("9f86d081884c7d659f86d081884c7d65=1", false),
        ("203.0.113.9=1", false),
        ("uid", false),
        ("q%20x=1", false),
    ] {
        let line = format!("192.0.2.1 - - [{}] \"GET /?{query} HTTP/1.1\" 200 5\n", stamp(noon(0)));
        let out = keyed.pipe(policy, &["--format", "common"], line.as_bytes()).expect_code(0).stdout_text();
        assert_eq!(out.contains('?'), stays, "{query}: {out}");
    }
}

#[test]
fn json_stays_json() {
    let keyed = Keyed::local();
    let policy = "client_addr = \"hash/address\"\nuser = \"hash\"\nrequest_id = \"hash\"\nheader = { default = \"hash\" }\nother = \"drop\"\ntime = \"keep\"\n";
    let time = shown(noon(0), "%Y-%m-%dT%H:%M:%SZ");
    let line =
        format!(r#"{{"time_iso8601":"{time}","request":"GET / HTTP/1.1","status":200,"remote_addr":"203.0.113.9","remote_user":null,"request_id":12345,"http_x_device":"d\"1"}}"#)
            + "\n";
    let out = keyed.pipe(policy, &["--format", "nginx-json"], line.as_bytes());
    let value: serde_json::Value = serde_json::from_slice(&out.expect_code(0).stdout).unwrap();
    let key = keyed.export(&day(0));
    assert_eq!(value["request_id"], pseudonym(&key, "request_id", b"12345").as_str(), "{value}");
    assert!(value["remote_user"].is_null(), "{value}");
    assert!(value["remote_addr"].as_str().unwrap().starts_with("fd"), "{value}");
    let out = keyed.pipe(policy, &["--format", "nginx-json", "--output", "json"], line.as_bytes());
    let value: serde_json::Value = serde_json::from_slice(&out.expect_code(0).stdout).unwrap();
    assert_eq!(value["http"]["request"]["id"], pseudonym(&key, "request_id", b"12345").as_str(), "{value}");
    assert!(value["client"]["ip"].as_str().unwrap().starts_with("fd"), "{value}");
}

#[test]
fn keys_are_listed_exported_and_destroyed() {
    let keyed = Keyed::local();
    assert_eq!(keyed.keys(&["--json", "list"]).expect_code(0).json(), serde_json::json!({"mode": "local", "periods": []}));
    keyed.pipe(&format!("client_addr = \"hash\"\n{REST}"), &["--format", "common"], common("203.0.113.9", "-", &stamp(noon(0))).as_bytes()).expect_code(0);
    let listed = keyed.keys(&["--json", "list"]).expect_code(0).json();
    assert_eq!(listed["periods"], serde_json::json!([{"period": day(0), "state": "held"}]));
    let out = keyed.dir.arg("out.key");
    keyed.keys(&["export", &day(0), "-o", &out]).expect_code(0);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o7777, 0o400);
    assert_eq!(keyed.keys(&["export", "--current"]).code(), Some(2), "local keys have no current state");
    assert_eq!(keyed.keys(&["destroy", &day(2)]).code(), Some(2), "a day that has not begun");
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    let listed = keyed.keys(&["--json", "list"]).expect_code(0).json();
    assert_eq!(listed["periods"], serde_json::json!([{"period": day(0), "state": "destroyed"}]));
    for args in [&["export"][..], &["destroy"], &["destroy", "yesterday"], &["decrypt", "203.0.113.9"], &["init", "--seed", "0123456789abcdef0123456789abcdef"]] {
        assert_eq!(keyed.keys(args).code(), Some(2), "{args:?}");
    }
    let help = logfade(&["keys", "--help"]).run(b"").expect_code(0).stdout_text();
    assert!(help.contains("Examples") && help.contains("keys decrypt"), "{help}");
}
