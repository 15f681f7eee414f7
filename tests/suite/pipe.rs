//! `logfade pipe`: every line is accounted for, whatever the bytes, the codec and the options are.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::support::{Counts, Dir, counts, decoded, holds, lines, logfade, pipe};

/// `count` combined lines with documentation addresses; the number of a line is its status' size.
pub fn combined(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..count {
        let line = format!(
            "203.0.113.{} - frank [10/Oct/2023:13:{:02}:{:02} +0000] \"GET /shop/item-{}?session=abcdef{number} HTTP/1.1\" 200 {} \"https://www.example.org/start?q=secret{number}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"\n",
            1 + number % 250,
            number / 60 % 60,
            number % 60,
            number % 7,
            1000 + number,
        );
        out.extend_from_slice(line.as_bytes());
    }
    out
}

fn run(args: &[&str], input: &[u8]) -> (Counts, Vec<u8>) {
    let outcome = pipe(args, input);
    outcome.expect_code(0);
    (counts(&outcome.report()), outcome.stdout)
}

#[test]
fn nothing_in_gives_nothing_out() {
    let (counts, out) = run(&["--format", "combined"], b"");
    assert_eq!((counts, out), (Counts::default(), Vec::new()));
    let (counts, out) = run(&["--format", "auto"], b"");
    assert_eq!((counts, out), (Counts::default(), Vec::new()));
}

#[test]
fn the_default_policy_does_what_it_says() {
    let (counts, out) = run(&["--format", "combined"], &combined(1));
    assert_eq!((counts.read, counts.clean, counts.rejected, counts.written), (1, 1, 0, 1));
    let expected = "203.0.113.0 - - [10/Oct/2023:13:00:00 +0000] \"GET /shop/item-0 HTTP/1.1\" 200 1000 \"https://www.example.org/\" \"Firefox/128 (Linux; desktop)\"\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn the_report_has_its_fixed_keys() {
    let input = combined(3);
    let outcome = pipe(&["--format", "combined"], &input);
    let report = outcome.report();
    assert_eq!(report["format"], "combined");
    for key in ["read", "clean", "rejected", "excluded", "written", "lost", "bytes_in", "bytes_out"] {
        assert!(report[key].is_u64(), "{key} is a count: {report}");
    }
    assert!(report["seconds"].is_number() && report["reasons"].is_object());
    assert_eq!(report["bytes_in"], input.len());
    assert_eq!(report["bytes_out"], outcome.stdout.len());
}

#[test]
fn a_missing_last_newline_stays_missing() {
    let mut input = combined(2);
    input.pop();
    let (counts, out) = run(&["--format", "combined"], &input);
    assert_eq!((counts.read, counts.clean), (2, 2));
    assert!(!out.ends_with(b"\n") && lines(&out).len() == 2);
}

#[test]
fn crlf_stays_crlf_line_by_line() {
    let text = String::from_utf8(combined(3)).unwrap();
    let mut ends = ["\r\n", "\n", "\r\n"].into_iter();
    let input: String = text.lines().map(|line| format!("{line}{}", ends.next().unwrap())).collect();
    let (counts, out) = run(&["--format", "combined"], input.as_bytes());
    assert_eq!(counts.clean, 3);
    let endings: Vec<bool> = lines(&out).iter().map(|line| line.ends_with(b"\r")).collect();
    assert_eq!(endings, [true, false, true]);
    assert!(lines(&out)[0].ends_with(b"desktop)\"\r"));
}

#[test]
fn blank_lines_count_as_clean() {
    let mut input = b"\n".to_vec();
    input.extend_from_slice(&combined(1));
    input.extend_from_slice(b"\r\n\n");
    let (counts, out) = run(&["--format", "combined"], &input);
    assert_eq!((counts.read, counts.clean, counts.rejected), (4, 4, 0));
    assert_eq!(lines(&out).len(), 4);
}

#[test]
fn bytes_that_are_no_utf8_pass_where_they_are_kept() {
    let paths: [&[u8]; 3] = [b"/caf\xe9", b"/\xa4\xa4\xa4\xe5\xb7j\xb4M", b"/a\x00b"];
    for path in paths {
        let mut input = b"203.0.113.9 - frank [10/Oct/2023:13:55:36 +0000] \"GET ".to_vec();
        input.extend_from_slice(path);
        input.extend_from_slice(b" HTTP/1.1\" 200 5 \"-\" \"-\"\n");
        let (counts, out) = run(&["--format", "combined"], &input);
        assert_eq!((counts.read, counts.written), (1, 1));
        assert!(!holds(&out, b"203.0.113.9") && !holds(&out, b"frank"));
        if counts.clean == 1 {
            assert!(holds(&out, path), "a kept path keeps its bytes");
        } else {
            assert!(path.contains(&0), "only NUL bytes may make a line unfit");
        }
    }
}

#[test]
fn nul_bytes_everywhere_are_only_bytes() {
    let mut input = combined(2);
    input.extend_from_slice(b"\0\0\0\n\0");
    input.extend_from_slice(&combined(1));
    let (counts, out) = run(&["--format", "combined"], &input);
    assert_eq!(counts.read, 4);
    assert_eq!(lines(&out).len(), 4);
    assert!(counts.clean >= 2 && !holds(&out, b"frank"));
}

#[test]
fn noise_is_counted_line_by_line() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = Vec::with_capacity(8 << 20);
    while noise.len() < 8 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise[0] = b'#';
    for format in ["auto", "combined", "json", "w3c"] {
        let (counts, out) = run(&["--format", format], &noise);
        assert_eq!(counts.read as usize, lines(&noise).len(), "{format}");
        assert_eq!(counts.written as usize, lines(&out).len(), "{format}");
    }
}

#[test]
fn a_line_that_does_not_parse_is_never_passed_through() {
    let mut input = combined(1);
    input.extend_from_slice(b"secret words of 203.0.113.44 and eve@example.net [10/Oct/2023:13:55:36 +0000] GET 404\n");
    input.extend_from_slice(&combined(1));
    for (mode, written) in [("scrub", 3), ("drop", 2)] {
        let (counts, out) = run(&["--format", "combined", "--on-reject", mode], &input);
        assert_eq!((counts.read, counts.clean, counts.rejected, counts.written), (3, 2, 1, written), "{mode}");
        assert_eq!(lines(&out).len() as u64, written);
        for word in ["secret", "words", "203.0.113.44", "eve", "example.net"] {
            assert!(!holds(&out, word.as_bytes()), "{mode}: {word}");
        }
    }
    let (_, out) = run(&["--format", "combined"], &input);
    let scrubbed = String::from_utf8_lossy(lines(&out)[1]).into_owned();
    for word in ["10/Oct/2023:13:55:36", "GET", "404", "-"] {
        assert!(scrubbed.contains(word), "the place of a reject keeps {word}");
    }
}

#[test]
fn quarantine_holds_the_raw_lines_for_the_owner_alone() {
    let dir = Dir::new();
    let file = dir.arg("rejects");
    let mut input = combined(1);
    input.extend_from_slice(b"not a record at all 203.0.113.44\n");
    let (counts, out) = run(&["--format", "combined", "--on-reject", "quarantine", "--quarantine", &file], &input);
    assert_eq!((counts.read, counts.clean, counts.rejected, counts.written), (2, 1, 1, 1));
    assert!(!holds(&out, b"203.0.113.44"));
    assert_eq!(dir.read("rejects"), b"not a record at all 203.0.113.44\n");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn too_many_rejects_end_with_one() {
    let mut input = combined(8);
    input.extend_from_slice(b"broken\nbroken\n");
    for (limit, code) in [("2", 0), ("1", 1), ("0", 1), ("20%", 0), ("19%", 1), ("100%", 0)] {
        let outcome = pipe(&["--format", "combined", "--max-rejects", limit], &input);
        assert_eq!(outcome.code(), Some(code), "--max-rejects {limit}");
        assert_eq!(counts(&outcome.report()).read, 10, "--max-rejects {limit}");
    }
    assert_eq!(pipe(&["--format", "combined", "--max-rejects", "many"], &input).code(), Some(2));
}

#[test]
fn compressed_output_decodes_to_the_plain_output() {
    let input = combined(5000);
    let (_, plain) = run(&["--format", "combined"], &input);
    for (codec, magic) in [("gzip", &[0x1f, 0x8b][..]), ("gzip:9", &[0x1f, 0x8b]), ("zstd", &[0x28, 0xb5]), ("zstd:19", &[0x28, 0xb5])] {
        let (counts, packed) = run(&["--format", "combined", "--compress", codec], &input);
        assert!(packed.starts_with(magic) && packed.len() < plain.len() / 4, "{codec}");
        assert!(decoded(&packed) == plain, "{codec}");
        assert_eq!(counts.written, 5000, "{codec}");
    }
    assert_eq!(pipe(&["--compress", "lz77"], b"").code(), Some(2));
}

#[test]
fn the_number_of_threads_does_not_show() {
    let mut input = combined(20_000);
    input.extend_from_slice(b"broken\n");
    let (one, first) = run(&["--format", "auto", "--threads", "1"], &input);
    let (two, second) = run(&["--format", "auto", "--threads", "2"], &input);
    assert_eq!(one, two);
    assert!(first == second, "the same bytes in the same order");
    let (_, packed) = run(&["--format", "auto", "--threads", "2", "--compress", "zstd"], &input);
    assert!(decoded(&packed) == first, "and packed as well");
}

#[test]
fn json_output_is_one_ecs_object_per_line() {
    let mut input = combined(3);
    input.extend_from_slice(b"broken 203.0.113.44 record\n");
    let (counts, out) = run(&["--format", "combined", "--output", "json"], &input);
    assert_eq!((counts.read, counts.written), (4, 4));
    let objects: Vec<Value> = lines(&out).iter().map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    assert_eq!(ecs(&objects[0], "@timestamp").as_str().map(|time| &time[..19]), Some("2023-10-10T13:00:00"));
    assert_eq!(ecs(&objects[0], "http.request.method"), "GET");
    assert_eq!(ecs(&objects[0], "http.response.status_code").to_string().trim_matches('"'), "200");
    assert_eq!(ecs(&objects[0], "http.response.body.bytes").to_string().trim_matches('"'), "1000");
    assert_eq!(ecs(&objects[0], "url.path"), "/shop/item-0");
    let client = ["source.ip", "source.address", "client.ip", "client.address"].map(|name| ecs(&objects[0], name).clone());
    assert!(client.contains(&Value::from("203.0.113.0")), "{}", objects[0]);
    let reject = objects[3].to_string();
    assert!(!reject.contains("203.0.113") && !reject.contains("broken"), "a reject names only its reason");
    assert!(objects[3].as_object().is_some_and(|object| !object.is_empty()));
}

/// A field of the Elastic Common Schema, whether its name is written dotted or nested.
fn ecs<'a>(object: &'a Value, name: &str) -> &'a Value {
    match object.get(name) {
        Some(value) => value,
        None => name.split('.').fold(object, |inner, part| &inner[part]),
    }
}

#[test]
fn appending_twice_keeps_both() {
    let dir = Dir::new();
    let input = combined(100);
    let (_, once) = run(&["--format", "combined"], &input);
    for codec in ["none", "gzip", "zstd"] {
        let name = format!("out.{codec}");
        for _ in 0..2 {
            let (counts, out) = run(&["--format", "combined", "--compress", codec, "-o", &dir.arg(&name)], &input);
            assert!(out.is_empty() && counts.written == 100, "{codec}");
        }
        assert!(decoded(&dir.read(&name)) == [&once[..], &once[..]].concat(), "{codec}");
        let mode = std::fs::metadata(dir.at(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{codec}: an output is not for everybody");
    }
}

#[test]
fn the_name_of_an_output_rotates_by_record_time() {
    let dir = Dir::new();
    let text = String::from_utf8(combined(4)).unwrap();
    let dates = ["10/Oct/2023", "10/Oct/2023", "11/Oct/2023", "12/Oct/2023"];
    let input: String = text.lines().zip(dates).map(|(line, date)| line.replace("10/Oct/2023", date) + "\n").collect();
    run(&["--format", "combined", "-o", &dir.arg("access-%Y-%m-%d.log")], input.as_bytes());
    for (name, count) in [("access-2023-10-10.log", 2), ("access-2023-10-11.log", 1), ("access-2023-10-12.log", 1)] {
        assert_eq!(lines(&dir.read(name)).len(), count, "{name}");
    }
}

#[test]
fn an_output_that_is_the_input_is_refused() {
    let dir = Dir::new();
    let path = dir.file("access.log", &combined(3));
    let mut command = logfade(&["pipe", "--format", "combined", "-o", &path]).command();
    let outcome = command.stdin(std::fs::File::open(&path).unwrap()).output().expect("it starts");
    assert_eq!(outcome.status.code(), Some(2), "{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(dir.read("access.log") == combined(3), "the file is as it was");
}

#[test]
fn unknown_words_end_with_two_and_a_remedy() {
    for (args, word) in [
        (&["--format", "combimed"][..], "combimed"),
        (&["--format", "nginx:$remote_addr [${time_local"], "${time_local"),
        (&["--format", "apache:%h %{Referer"], "%{Referer"),
        (&["--policy", "strickt"], "strickt"),
        (&["--on-reject", "keep"], "keep"),
        (&["--output", "xml"], "xml"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let mut all = vec!["pipe"];
        all.extend_from_slice(args);
        let outcome = logfade(&all).run(&combined(1));
        assert_eq!(outcome.code(), Some(2), "{args:?}");
        assert!(outcome.stdout.is_empty(), "{args:?} writes nothing");
        let stderr = outcome.stderr_text();
        assert!(stderr.contains(word), "{args:?} names its word: {stderr}");
        assert!(stderr.lines().filter(|line| !line.trim().is_empty()).count() >= 2, "cause and remedy: {stderr}");
    }
}

#[test]
fn an_unknown_format_or_policy_is_told_what_there_is() {
    let format = logfade(&["pipe", "--format", "combimed"]).run(b"").stderr_text();
    assert!(format.contains("combined"), "{format}");
    let policy = logfade(&["pipe", "--policy", "strickt"]).run(b"").stderr_text();
    assert!(policy.contains("strict"), "{policy}");
}

#[test]
fn diagnostics_never_quote_raw_data() {
    let mut input = b"Zebra 203.0.113.44 Quagga\n".repeat(50);
    input.extend_from_slice(&combined(10));
    for args in [&["pipe", "-v", "--format", "combined"][..], &["pipe", "-v", "--format", "auto"], &["pipe", "-v", "--max-rejects", "0"]] {
        let stderr = logfade(args).run(&input).stderr_text();
        for word in ["Zebra", "Quagga", "203.0.113", "frank", "secret", "session"] {
            assert!(!stderr.contains(word), "{args:?} quotes {word}: {stderr}");
        }
    }
}

#[test]
fn a_device_that_cannot_be_synced_is_an_output() {
    pipe(&["--format", "combined", "-o", "/dev/null"], &combined(3)).expect_code(0);
}
