//! Sealing: nothing plain on the disk, everything readable while the key lives, nothing of any copy behind its end.

use super::limits::{assert_small, with_peak};
use super::support::{Dir, Outcome, holds, lines, logfade};
use jiff::{SignedDuration, Timestamp};
use logfade::store::seal::{Keychain, SealId, Sealer, Sealing};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CONFIG: &str = r#"
state = "DIR/state"
[[class]]
name   = "site"
raw    = ["DIR/log/access.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "60 days"
output = "DIR/clean"
seal   = true
"#;

const LISTENS: &str = r#"
state = "DIR/state"
[[class]]
name   = "site"
listen = ["fifo:///run/logfade/none.fifo"]
format = "combined"
[[class.keep]]
form   = "raw"
until  = "7 days"
output = "DIR/raw"
seal   = true
[[class.keep]]
form   = "default"
until  = "60 days"
output = "DIR/clean"
"#;

/// What must be nowhere in clear.
const CANARY: &[u8] = b"203.0.113.77";

fn line(id: u32, at: Timestamp) -> String {
    let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("203.0.113.77 - alice [{time}] \"GET /item/{id} HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n")
}

fn ago(days: i64) -> Timestamp {
    Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days)).unwrap()
}

fn place(config: &str) -> Dir {
    let dir = Dir::new();
    for name in ["log", "clean", "raw"] {
        fs::create_dir(dir.at(name)).unwrap();
    }
    dir.file("logfade.toml", config.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    dir
}

fn call(dir: &Dir, more: &[&str]) -> Outcome {
    let config = dir.arg("logfade.toml");
    let args: Vec<&str> = ["-c", config.as_str(), "--json"].into_iter().chain(more.iter().copied()).collect();
    logfade(&args).run(b"")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

fn sealed(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.to_str().unwrap().ends_with(".zst.age")).collect()
}

/// No file below holds the canary, whatever its name.
fn is_dark(folder: &Path) {
    for path in files(folder) {
        assert!(!holds(&fs::read(&path).unwrap(), CANARY), "{} holds plain bytes", path.display());
    }
}

fn open(dir: &Dir, path: &Path) -> Outcome {
    call(dir, &["open", path.to_str().unwrap()])
}

fn states(dir: &Dir) -> Vec<String> {
    let listed = call(dir, &["keys", "list"]).expect_code(0).json();
    listed["seals"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

/// A finished segment of the sidecar's.
fn segment(dir: &Dir, text: &str) -> PathBuf {
    let keys = Keychain::of(&dir.at("state"));
    let path = dir.at("raw/site.20260101T000000Z--20260102T000000Z.0a1b2c3d.zst.age");
    let mut sealer = Sealer::create(&path, &Sealing { keys: &keys, class: "site", form: "raw", level: 3, mode: 0o600 }).unwrap();
    for line in text.split_inclusive('\n') {
        sealer.write(line.as_bytes()).unwrap();
    }
    sealer.finish().unwrap();
    path
}

#[test]
fn a_sealed_form_is_read_as_any_other_and_ends_with_all_its_copies() {
    let dir = place(CONFIG);
    let text: String = (0..500).map(|id| line(id, ago(45))).collect();
    let raw = dir.file("log/access.log.1", text.as_bytes());
    let keep = dir.file("kept.log", text.as_bytes());
    call(&dir, &["expire", "--yes"]).expect_code(0);
    assert!(!Path::new(&raw).exists());
    let made = sealed(&dir.at("clean"));
    assert_eq!(made.len(), 1);
    assert!(!holds(&fs::read(&made[0]).unwrap(), b"/item/"));
    assert_eq!(fs::metadata(&made[0]).unwrap().permissions().mode() & 0o777, 0o640);
    is_dark(&dir.at("state"));
    let opened = open(&dir, &made[0]);
    opened.expect_code(0);
    assert_eq!(lines(&opened.stdout).len(), 500);
    assert!(opened.stdout.starts_with(b"203.0.113.0 - - ["));
    call(&dir, &["verify", &keep, made[0].to_str().unwrap(), "--policy", "default"]).expect_code(0);
    let explained = call(&dir, &["explain", made[0].to_str().unwrap(), "--lines", "1"]);
    assert!(holds(&explained.expect_code(0).stdout, b"/item/"));
    assert_eq!(call(&dir, &["detect", made[0].to_str().unwrap()]).json()[0]["format"], "combined");
    assert_eq!(states(&dir), ["held"]);
    // Elsewhere it says nothing.
    logfade(&["--state", &dir.arg("other"), "open", made[0].to_str().unwrap()]).run(b"").expect_code(4);
    // A second run does nothing, a shorter window ends it.
    call(&dir, &["expire", "--yes"]).expect_code(0);
    assert_eq!((sealed(&dir.at("clean")), states(&dir)), (made.clone(), vec!["held".to_owned()]));
    let copy = dir.at("copy.zst.age");
    fs::copy(&made[0], &copy).unwrap();
    let backup = Command::new("cp").arg("-a").arg(dir.at("state/seals")).arg(dir.at("backup")).status().unwrap();
    assert!(backup.success());
    let config = String::from_utf8(dir.read("logfade.toml")).unwrap().replace("60 days", "40 days");
    dir.file("logfade.toml", config.as_bytes());
    call(&dir, &["expire", "--yes"]).expect_code(0);
    assert!(sealed(&dir.at("clean")).is_empty());
    assert_eq!(states(&dir), ["destroyed"]);
    let gone = open(&dir, &copy);
    gone.expect_code(4);
    assert!(gone.stdout.is_empty() && gone.stderr_text().contains("destroyed"), "{}", gone.stderr_text());
    let entries = call(&dir, &["ledger", "show", "--kind", "key"]);
    entries.expect_code(0);
    assert!(entries.stdout_text().contains("\"seal\""), "{}", entries.stdout_text());
    call(&dir, &["ledger", "verify"]).expect_code(0);
    for path in files(&dir.at("state")) {
        assert!(!holds(&fs::read(&path).unwrap(), b"AGE-SECRET-KEY"), "{}", path.display());
    }
    // The key comes back from a backup, and the file: neither is of any use, and both go again.
    for entry in files(&dir.at("backup")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "key")) {
        fs::copy(&entry, dir.at("state/seals").join(entry.file_name().unwrap())).unwrap();
    }
    assert_eq!(states(&dir), ["restored"]);
    open(&dir, &copy).expect_code(4);
    fs::copy(&copy, &made[0]).unwrap();
    call(&dir, &["expire", "--yes"]);
    assert_eq!((sealed(&dir.at("clean")), states(&dir)), (Vec::new(), vec!["destroyed".to_owned()]));
    assert_eq!(call(&dir, &["incident", "list"]).json()[0]["what"], "restored");
}

#[test]
fn a_sealed_segment_is_cut_scrubbed_and_held_without_a_plain_byte() {
    let dir = place(LISTENS);
    let text: String = (0..20).map(|id| line(id, if id < 10 { ago(20) } else { ago(2) })).collect();
    let first = segment(&dir, &text);
    is_dark(dir.path());
    assert_eq!(open(&dir, &first).expect_code(0).stdout, text.as_bytes());
    let plan = call(&dir, &["plan"]).json();
    assert_eq!((plan["files"][0]["reason"].as_str(), plan["files"][0]["form"].as_str()), (Some("straddles"), Some("raw")));
    let copy = dir.at("copy");
    fs::copy(&first, &copy).unwrap();
    call(&dir, &["expire", "--yes"]).expect_code(0);
    is_dark(dir.path());
    open(&dir, &copy).expect_code(4);
    let rest = sealed(&dir.at("raw"));
    assert_eq!(rest.len(), 1);
    assert_ne!(rest[0], first);
    let young: String = text.split_inclusive('\n').skip(10).collect();
    assert_eq!(open(&dir, &rest[0]).expect_code(0).stdout_text(), young);
    assert_eq!(states(&dir).iter().filter(|state| *state == "held").count(), 1);
    let clean = files(&dir.at("clean")).into_iter().find(|path| path.extension().is_some_and(|end| end == "zst")).unwrap();
    assert_eq!(lines(&zstd::decode_all(&*fs::read(clean).unwrap()).unwrap()).len(), 20);
    // The archive of a batch is made of it as of any other.
    call(&dir, &["batch", rest[0].to_str().unwrap(), "--out", &dir.arg("out")]).expect_code(0);
    assert!(files(&dir.at("out")).iter().any(|path| path.to_str().unwrap().ends_with("0a1b2c3d.zst") || path.to_str().unwrap().ends_with(".zst")));
    is_dark(dir.path());
    call(&dir, &["ledger", "verify"]).expect_code(0);
}

#[test]
fn a_hold_keeps_what_it_needs_under_a_key_of_its_own() {
    let dir = place(LISTENS);
    let other = |id| line(id, ago(20)).replace("203.0.113.77", "198.51.100.5");
    let text: String = (0..20).map(|id| if id < 5 { line(id, ago(20)) } else { other(id) }).collect();
    let first = segment(&dir, &text);
    let copy = dir.at("copy");
    fs::copy(&first, &copy).unwrap();
    call(&dir, &["hold", "add", "case", "--class", "site", "--reason", "court"]).expect_code(0);
    call(&dir, &["expire", "--yes"]).expect_code(1);
    // All of it is held: nothing ends.
    open(&dir, &first).expect_code(0);
    call(&dir, &["hold", "add", "some", "--class", "site", "--ip", "203.0.113.77", "--reason", "police"]).expect_code(0);
    call(&dir, &["hold", "release", "case", "--reason", "settled"]).expect_code(0);
    call(&dir, &["expire", "--yes"]);
    open(&dir, &copy).expect_code(4);
    let held = sealed(&dir.at("raw"));
    assert_eq!(held.len(), 1);
    assert_eq!(lines(&open(&dir, &held[0]).expect_code(0).stdout).len(), 5);
    for path in sealed(dir.path()) {
        assert!(!holds(&fs::read(&path).unwrap(), CANARY));
    }
    call(&dir, &["keys", "destroy", states_id(&dir, "held").as_str()]).expect_code(4);
    call(&dir, &["hold", "release", "some", "--reason", "settled"]).expect_code(0);
    call(&dir, &["expire", "--yes"]).expect_code(0);
    assert!(sealed(&dir.at("raw")).is_empty());
    assert!(states(&dir).iter().all(|state| state == "destroyed"));
}

fn states_id(dir: &Dir, state: &str) -> String {
    let listed = call(dir, &["keys", "list"]).json();
    let key = listed["seals"].as_array().unwrap().iter().find(|key| key["state"] == state).unwrap().clone();
    key["seal"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_hold_keeps_of_plain_raw_is_sealed_where_there_are_keys() {
    let dir = place(CONFIG);
    call(&dir, &["keys", "init"]).expect_code(0);
    dir.file("log/access.log.1", (0..4).map(|id| line(id, ago(45)).replace("203.0.113.77", if id == 1 { "203.0.113.77" } else { "198.51.100.5" })).collect::<String>().as_bytes());
    call(&dir, &["hold", "add", "some", "--class", "site", "--ip", "203.0.113.77", "--reason", "police"]).expect_code(0);
    call(&dir, &["expire", "--yes"]);
    let kept = sealed(&dir.at("log"));
    assert_eq!((kept.len(), fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777), (1, 0o600));
    assert!(holds(&open(&dir, &kept[0]).expect_code(0).stdout, CANARY));
    is_dark(&dir.at("log"));
}

#[test]
fn a_key_whose_file_somebody_took_ends_in_its_time() {
    let dir = place(LISTENS);
    let first = segment(&dir, &line(1, ago(2)));
    fs::rename(&first, dir.at("taken")).unwrap();
    call(&dir, &["expire", "--yes"]).expect_code(0);
    open(&dir, &dir.at("taken")).expect_code(0);
    // As if it had been written with three weeks ago.
    for key in files(&dir.at("state/seals")) {
        fs::File::open(&key).unwrap().set_times(fs::FileTimes::new().set_modified(ago(21).into())).unwrap();
    }
    assert_eq!(call(&dir, &["plan"]).json()["seals"][0]["reason"], "expired");
    open(&dir, &dir.at("taken")).expect_code(0);
    // While it is still being written, it stays.
    fs::rename(dir.at("taken"), dir.at("raw/site.part")).unwrap();
    call(&dir, &["expire", "--yes"]).expect_code(0);
    fs::rename(dir.at("raw/site.part"), dir.at("taken")).unwrap();
    open(&dir, &dir.at("taken")).expect_code(0);
    assert_eq!(call(&dir, &["expire", "--yes"]).expect_code(0).json()["seals"][0]["outcome"], "done");
    open(&dir, &dir.at("taken")).expect_code(4);
}

#[test]
fn a_quarantine_is_sealed_where_there_are_keys() {
    let dir = Dir::new();
    let (state, odd) = (dir.arg("state"), dir.arg("odd.log"));
    let args = ["--state", &state, "pipe", "--format", "combined", "--on-reject", "quarantine", "--quarantine", &odd];
    logfade(&args).run(b"203.0.113.77 no record\n").expect_code(0);
    assert_eq!(dir.read("odd.log"), b"203.0.113.77 no record\n");
    logfade(&["--state", &state, "keys", "init"]).run(b"").expect_code(0);
    // Not half and half.
    logfade(&args).run(b"203.0.113.77 no record\n").expect_code(2);
    fs::remove_file(&odd).unwrap();
    logfade(&args).run(b"203.0.113.77 first\n").expect_code(0);
    logfade(&args).run(b"203.0.113.77 second\n").expect_code(0);
    is_dark(dir.path());
    assert_eq!(fs::metadata(&odd).unwrap().permissions().mode() & 0o777, 0o600);
    let opened = logfade(&["--state", &state, "open", &odd]).run(b"");
    assert_eq!(opened.expect_code(0).stdout, b"203.0.113.77 first\n203.0.113.77 second\n");
    logfade(&["--state", &dir.arg("none"), "pipe", "--on-reject", "quarantine", "--quarantine", &odd]).run(b"x\n").expect_code(2);
}

#[test]
fn open_says_what_is_wrong() {
    let dir = place(LISTENS);
    let plain = dir.file("plain.log", b"203.0.113.77 plain\n");
    open(&dir, Path::new(&plain)).expect_code(2);
    open(&dir, &dir.at("nothing")).expect_code(3);
    let path = segment(&dir, &(0..3).map(|id| line(id, ago(1))).collect::<String>());
    let whole = fs::read(&path).unwrap();
    for (name, bytes) in [
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("frame", whole[..whole.len() - 32].to_vec()),
        ("flipped", {
            let mut bytes = whole.clone();
            bytes[400] ^= 1;
            bytes
        }),
    ] {
        let outcome = open(&dir, Path::new(&dir.file(name, &bytes)));
        outcome.expect_code(3);
        assert!(whole.len() > 400 && outcome.stderr_text().contains("damaged or cut short"), "{name}: {}", outcome.stderr_text());
    }
    // Others could read the key: it is refused, and the file with it.
    let key = files(&dir.at("state/seals")).into_iter().find(|path| path.extension().is_some_and(|end| end == "key")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o444)).unwrap();
    open(&dir, &path).expect_code(4);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    open(&dir, &path).expect_code(0);
    // A damaged raw segment is not deleted, and nothing is made of it.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    call(&dir, &["expire", "--yes"]);
    assert!(path.exists() && states(&dir) == ["held"]);
}

#[test]
fn only_files_are_sealed() {
    let dir = place(&CONFIG.replace("output = \"DIR/clean\"", "output = \"https://logs.example.org/in\""));
    let outcome = call(&dir, &["check"]);
    outcome.expect_code(2);
    assert!(outcome.stderr_text().contains("only files are sealed") && outcome.stderr_text().contains("seal   = true"), "{}", outcome.stderr_text());
}

#[test]
fn the_age_tool_and_logfade_open_each_others_files() {
    let Ok(version) = Command::new("age").arg("--version").output() else {
        println!("skipped: no age");
        return;
    };
    println!("age {}", String::from_utf8_lossy(&version.stdout).trim());
    let dir = place(LISTENS);
    let text = line(1, ago(1));
    let path = segment(&dir, &text);
    let whole = fs::read(&path).unwrap();
    let length = usize::try_from(u64::from_be_bytes(whole[24..32].try_into().unwrap())).unwrap();
    let frame = dir.file("frame.age", &whole[32..32 + length]);
    let key = files(&dir.at("state/seals")).into_iter().find(|path| path.extension().is_some_and(|end| end == "key")).unwrap();
    let opened = Command::new("age").args(["-d", "-i"]).arg(&key).arg(&frame).stderr(Stdio::inherit()).output().unwrap();
    assert!(opened.status.success());
    assert_eq!(zstd::decode_all(&*opened.stdout).unwrap(), text.as_bytes());
    let public = call(&dir, &["keys", "list"]).json()["seals"][0]["public"].as_str().unwrap().to_owned();
    let note = dir.file("note", text.repeat(5000).as_bytes());
    let made = Command::new("age").args(["-r", &public, "-o", &dir.arg("note.age"), &note]).status().unwrap();
    assert!(made.success());
    assert_eq!(open(&dir, &dir.at("note.age")).expect_code(0).stdout, text.repeat(5000).as_bytes());
}

#[test]
fn a_large_sealed_file_opens_in_little_memory() {
    let dir = place(LISTENS);
    let keys = Keychain::of(&dir.at("state"));
    let path = dir.at("large.zst.age");
    let mut sealer = Sealer::create(&path, &Sealing { keys: &keys, class: "site", form: "raw", level: 1, mode: 0o600 }).unwrap();
    let mut noise = 1_u64;
    let mut block = Vec::new();
    while block.len() < 32 << 20 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        block.extend_from_slice(format!("203.0.113.77 {noise:x}\n").as_bytes());
    }
    // One frame of many megabytes, and many small ones.
    sealer.write(&block).unwrap();
    block.chunks(1 << 20).for_each(|part| sealer.write(part).unwrap());
    let _id: SealId = sealer.finish().unwrap().seal;
    let (outcome, peak) = with_peak(&["--state", &dir.arg("state"), "open", path.to_str().unwrap()], |_| Ok(()));
    outcome.expect_code(0);
    assert_eq!(outcome.stdout.len(), 2 * block.len());
    println!("peak {peak:?} KiB for {} bytes", fs::metadata(&path).unwrap().len());
    assert_small(peak, 32);
}
