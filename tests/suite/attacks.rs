//! What an attack on the program found once, so that it stays mended. Every input is invented.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::{Dir, counts, pipe};

fn cleaned(args: &[&str], line: &str) -> String {
    String::from_utf8_lossy(&pipe(args, line.as_bytes()).stdout).into_owned()
}

/// Columns that nobody named are taken for known ones only where every value looks like its column.
#[test]
fn rows_of_other_columns_are_not_guessed() {
    let rows = [
        r"2024-10-10 13:55:36 SRV1 GET /cart 443 CORP\karin 192.0.2.77 200 0 0 1 2",
        "2024-10-10 13:55:36 W3SVC1 SRV1 GET /cart name=annaberg 443 192.0.2.77 HTTP/1.1 200 0 0",
        "2024-10-10 13:55:36 192.0.2.9 GET annaberg - 443 - 192.0.2.77 Mozilla/5.0+(X11) 200 0 0 15",
    ];
    for row in rows {
        for format in ["auto", "iis"] {
            let clean = cleaned(&["--format", format], &format!("{row}\n"));
            for secret in ["karin", "annaberg", "192.0.2.77"] {
                assert!(!clean.contains(secret), "{format}: {row}");
            }
        }
    }
}

/// Writers of JSON escape what they like: a query is one however its marks are written.
#[test]
fn escaped_marks_of_a_query_are_marks() {
    let line =
        |path: &str| format!(r#"{{"ClientHost":"192.0.2.77","RequestMethod":"GET","RequestPath":"{path}","DownstreamStatus":200,"StartUTC":"2024-10-10T13:55:36Z"}}"#) + "\n";
    for path in [r"/cart?page=1\u0026email=anna.b", r"/cart\u003fpage=1\u0026email=annab", r"/cart?page=1&email=annab", r"/cart\u0023anna", r"/cart?page=1%26u=anna"] {
        for policy in ["default", "strict", "analytics"] {
            let clean = cleaned(&["--format", "traefik-json", "--policy", policy], &line(path));
            assert!(clean.contains("/cart") && !clean.contains("anna"), "{policy}: {clean}");
        }
    }
}

/// A slot for a path may hold a query all the same.
#[test]
fn a_path_slot_ends_where_a_query_begins() {
    for (format, line) in [
        ("nginx:$remote_addr $uri $status", "192.0.2.77 /a?QQanna 200\n"),
        ("apache:%h %U %>s", "192.0.2.77 /a%3FQQanna 200\n"),
        ("nginx:$remote_addr $uri $status", "192.0.2.77 /a#QQanna 200\n"),
    ] {
        assert_eq!(cleaned(&["--format", format], line), "192.0.2.0 /a 200\n", "{format}");
    }
}

#[test]
fn raw_lines_have_no_place_among_clean_ones() {
    let dir = Dir::new();
    let both = dir.path().join("x");
    let both = both.to_str().unwrap();
    let outcome = pipe(&["--format", "combined", "--on-reject", "quarantine", "--quarantine", both, "-o", both], b"RAW 192.0.2.77 anna\n");
    outcome.expect_code(2);
    assert!(fs::read(both).unwrap().is_empty());
}

/// The place of a reject says no more of the time than the policy lets a record say.
#[test]
fn rejects_obey_the_precision_of_the_policy() {
    let line = "192.0.2.77 anna [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\n";
    assert_eq!(cleaned(&["--format", "combined", "--policy", "strict"], line), "- - [10/Oct/2000:13:00:00 -0700] GET - -\n");
    assert_eq!(cleaned(&["--format", "combined"], "192 0 2 77 and 170 123 456 7\n"), "192 0 - - - 170 123 - -\n");
}

#[test]
fn appended_records_never_become_one() {
    let line = "192.0.2.77 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5";
    for compress in ["none", "gzip", "zstd"] {
        let dir = Dir::new();
        let out = dir.path().join("out");
        for _ in 0..2 {
            pipe(&["--format", "common", "--compress", compress, "-o", out.to_str().unwrap()], line.as_bytes()).expect_code(0);
        }
        let again = pipe(&["--format", "common"], &fs::read(&out).unwrap());
        assert_eq!(counts(&again.report()).clean, 2, "{compress}");
    }
}

#[test]
fn a_file_is_compressed_in_one_way() {
    let dir = Dir::new();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let line = b"192.0.2.77 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5\n";
    pipe(&["--format", "common", "-o", out], line).expect_code(0);
    pipe(&["--format", "common", "--compress", "gzip", "-o", out], line).expect_code(2);
    assert_eq!(fs::metadata(out).unwrap().permissions().mode() & 0o777, 0o640 & !umask());
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(line.trim(), 8).unwrap()
}

/// What is no method and no protocol is what a client made up.
#[test]
fn made_up_methods_and_protocols_go() {
    let request = |request: &str| format!("192.0.2.77 - - [10/Oct/2000:13:55:36 -0700] \"{request}\" 200 5\n");
    for made_up in ["ANNABERG /x HTTP/1.1", "annaberg /x HTTP/1.1", "GET /x ANNABERG/1.1"] {
        assert!(!cleaned(&["--format", "common"], &request(made_up)).to_lowercase().contains("annaberg"), "{made_up}");
    }
    let json = r#"{"ClientHost":"192.0.2.77","RequestMethod":"annaberg","RequestPath":"/","RequestProtocol":"annaberg","DownstreamStatus":200}"#;
    assert!(!cleaned(&["--format", "traefik-json"], &format!("{json}\n")).contains("annaberg"));
    assert!(!cleaned(&["--format", "common"], &request("CONNECT anna:secret@host.example:443 HTTP/1.1")).contains("anna"));
}

#[test]
fn a_full_device_is_reported_as_what_it_took() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let line = "192.0.2.77 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5\n".repeat(2000);
    let outcome = pipe(&["--format", "common", "-o", "/dev/full"], line.as_bytes());
    outcome.expect_code(3);
    let report = outcome.report();
    assert_eq!((counts(&report).written, report["lost"].as_u64()), (0, Some(counts(&report).clean)));
}
