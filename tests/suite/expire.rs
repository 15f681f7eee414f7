//! Expiry: a year of rotated logs day by day, and what the command says and refuses.

use crate::suite::support::{Dir, decoded, logfade};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use logfade::retain::plan::Reason;
use logfade::retain::{Config, Outside, PolicyFault};
use logfade::run::expire::{ExpireJob, ExpireReport, expire};
use logfade::scrub::Policy;
use logfade::store::clock::Reading;
use logfade::store::ledger::Reader;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn config(text: &str) -> Config {
    let outside = Outside { policy: &|word| Policy::built_in(word).ok_or(PolicyFault::Unknown), zone: &|name| TimeZone::get(name).ok() };
    Config::parse("test.toml", text, outside).unwrap_or_else(|fault| panic!("{}", fault.render(false)))
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn line(id: u32, moment: Timestamp) -> String {
    let time = moment.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("203.0.113.{} - - [{time}] \"GET /item/r{id}r HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n", id % 250)
}

/// How often each record stands in the files of a directory.
pub fn records(directory: &Path) -> BTreeMap<u32, u32> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "toml")) {
        let text = decoded(&fs::read(&entry).unwrap());
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let id = line.split("/item/r").nth(1).and_then(|rest| rest.split('r').next()).and_then(|id| id.parse().ok());
            *found.entry(id.unwrap_or_else(|| panic!("{}: {line}", entry.display()))).or_default() += 1;
        }
    }
    found
}

/// On a file system where a sync costs nothing, if there is one.
fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn gzip(path: &Path) {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&fs::read(path).unwrap()).unwrap();
    let mut packed = path.as_os_str().to_owned();
    packed.push(".gz");
    fs::write(packed, gzip.finish().unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

/// Renames `x.log.3.gz` to `x.log.4.gz` and so on, compresses `x.log.1`, and begins anew, as logrotate does.
fn rotate(log: &Path, compress: bool) {
    let numbered = |number: u32, end: &str| PathBuf::from(format!("{}.{number}{end}", log.display()));
    for number in (1..400).rev() {
        for end in ["", ".gz"] {
            let (from, to) = (numbered(number, end), numbered(number + 1, end));
            if from.exists() {
                fs::rename(from, to).unwrap();
            }
        }
    }
    if compress && numbered(2, "").exists() {
        gzip(&numbered(2, ""));
    }
    if log.exists() {
        fs::rename(log, numbered(1, "")).unwrap();
    }
}

const YEAR: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/site/access.log*"]
format = "combined"
zone   = "Europe/Stockholm"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "3 months"
output = "DIR/site-clean"

[[class]]
name   = "shop"
raw    = ["DIR/shop/shop.log*"]
zone   = "America/New_York"
[[class.keep]]
form  = "raw"
until = "7 days"
[[class.keep]]
form   = "default"
until  = "forever"
output = "DIR/shop-clean"

[[class]]
name   = "api"
raw    = ["DIR/api/api.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "14 days"
[[class.keep]]
form   = "default"
until  = "forever"
output = "DIR/api-clean"
"#;

struct Year {
    dir: tempfile::TempDir,
    config: Config,
    records: BTreeMap<&'static str, BTreeMap<u32, Timestamp>>,
    next: u32,
}

impl Year {
    fn new() -> Self {
        let dir = fast_dir();
        for name in ["site", "site-clean", "shop", "shop-clean", "api", "api-clean", "state"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = config(&YEAR.replace("DIR", dir.path().to_str().unwrap()));
        Self { dir, config, records: BTreeMap::new(), next: 0 }
    }

    fn log(&mut self, class: &'static str, file: &str, moment: Timestamp) {
        self.next += 1;
        append(&self.dir.path().join(class).join(file), &line(self.next, moment));
        self.records.entry(class).or_default().insert(self.next, moment);
    }

    fn expire(&self, now: Timestamp, yes: bool) -> ExpireReport {
        let wall = Timestamp::now();
        let clock = || Reading { wall, running: 1000, start: "test".into() };
        let job = ExpireJob { config: &self.config, state: &self.dir.path().join("state"), now, clock: &clock, limit: None, yes, keys: None, places: Vec::new() };
        let report = expire(job).unwrap();
        assert!(report.failures.is_empty(), "{now}: {:?}", report.failures);
        report
    }

    /// Whether a record of a class is due in a form.
    fn due(&self, class: &str, form: usize, moment: Timestamp, now: Timestamp) -> bool {
        let class = self.config.class(class).unwrap();
        class.deadline(class.all_forms().nth(form).unwrap(), moment).is_some_and(|due| due <= now)
    }

    /// Raw holds each young record once and no due one, except what is held; forms hold what raw has not any more.
    fn holds(&self, now: Timestamp, held: &dyn Fn(&str, Timestamp) -> bool) {
        for (class, all) in &self.records {
            let raw = records(&self.dir.path().join(class));
            let clean = records(&self.dir.path().join(format!("{class}-clean")));
            for (id, moment) in all {
                let (raw_due, clean_due) = (self.due(class, 0, *moment, now), self.due(class, 1, *moment, now));
                if held(class, *moment) {
                    assert_eq!(raw.get(id), Some(&1), "{now}: {class} {moment} is held");
                } else {
                    assert_eq!(raw.contains_key(id), !raw_due, "{now}: {class} record of {moment} in raw");
                }
                assert!(raw.get(id).is_none_or(|count| *count == 1), "{now}: {class} {moment} twice in raw");
                assert!(!clean_due || !clean.contains_key(id), "{now}: {class} {moment} outlives its window in the form");
                assert!(!raw_due || clean_due || held(class, *moment) || clean.get(id) == Some(&1), "{now}: {class} {moment} has {:?} places in the form", clean.get(id));
            }
            assert_eq!(raw.keys().chain(clean.keys()).filter(|id| !all.contains_key(id)).count(), 0, "{now}: {class} has records of nobody");
        }
    }
}

#[test]
fn a_year_of_rotated_logs() {
    let mut year = Year::new();
    let start = at("2024-12-01T00:00:00Z");
    // The first run under a configuration records its plan; from then on plans are carried out.
    assert!(year.expire(start, false).standstill.is_some());
    let hold = at("2025-03-10T00:00:00Z")..at("2025-03-12T00:00:00Z");
    let mut overdue_days = 0;
    for day in 0..365 {
        let midnight = start.checked_add(SignedDuration::from_hours(24 * day)).unwrap();
        for hour in [0, 5, 13, 22, 23] {
            let moment = midnight.checked_add(SignedDuration::from_mins(hour * 60 + day % 60)).unwrap();
            for (class, file) in [("site", "access.log"), ("shop", "shop.log"), ("api", "api.log")] {
                year.log(class, file, moment);
            }
        }
        let root = year.dir.path().to_owned();
        rotate(&root.join("site/access.log"), true);
        if day % 7 == 6 {
            // Weekly, with the date in its name.
            let date = midnight.strftime("%Y%m%d").to_string();
            if root.join("shop/shop.log").exists() {
                fs::rename(root.join("shop/shop.log"), root.join(format!("shop/shop.log-{date}"))).unwrap();
            }
        }
        rotate(&root.join("api/api.log"), false);
        let now = midnight.checked_add(SignedDuration::from_hours(24)).unwrap().checked_add(10.minutes()).unwrap();
        if day == 105 {
            let reason = ["--reason", "court"];
            let hold = ["hold", "add", "case", "--class", "api", "--from", "2025-03-10", "--to", "2025-03-12"];
            let args: Vec<String> = [&["--state", root.join("state").to_str().unwrap()][..], &hold, &reason].concat().iter().map(|arg| (*arg).to_owned()).collect();
            logfade(&args).run(b"").expect_code(0);
        }
        let mut report = year.expire(now, false);
        // A process that another test starts has copies of our descriptors for a moment.
        for _ in 0..20 {
            if report.plan.files.iter().any(|file| file.reason == Reason::InUse) {
                report = year.expire(now, false);
            }
        }
        overdue_days += usize::from(report.plan.overdue > 0);
        let held = |class: &str, moment: Timestamp| class == "api" && day >= 105 && moment >= hold.start && moment < hold.end;
        year.holds(now, &held);
    }
    assert!(overdue_days > 200, "what a hold keeps is overdue: {overdue_days}");

    // Every deletion is in the ledger, and the counts agree to the line.
    let reader = Reader::open(&year.dir.path().join("state")).unwrap();
    assert!(reader.verify(None).unwrap().broken.is_none());
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut read, mut written) = (0, 0);
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap().entry;
        *kinds.entry(entry.kind()).or_default() += 1;
        if let logfade::retain::ledger::Entry::Scrubbed(scrubbed) = &entry {
            read += scrubbed.tally.read;
            written += scrubbed.outputs.iter().map(|output| output.lines).sum::<u64>();
        }
    }
    assert_eq!(kinds["deleting"], kinds["deleted"]);
    assert!(kinds["split"] > 50 && kinds["deleted"] > 600, "{kinds:?}");
    assert_eq!(read, written, "a form of every line");
    for name in ["site", "site-clean", "shop", "shop-clean", "api", "api-clean"] {
        let den = year.dir.path().join(name).join(".logfade");
        assert!(!den.exists() || fs::read_dir(den).unwrap().count() == 0, "{name}: something is left");
    }
}

const SMALL: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/access.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "2 years"
output = "DIR/clean"
"#;

/// A directory with a configuration, an old raw file and a young one.
fn small(dir: &Dir) -> Vec<String> {
    fs::create_dir(dir.at("clean")).unwrap();
    dir.file("logfade.toml", SMALL.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    dir.file("access.log.2", (1..4).map(|id| line(id, at("2026-01-05T10:00:00Z"))).collect::<String>().as_bytes());
    dir.file("access.log.1", (4..7).map(|id| line(id, Timestamp::now())).collect::<String>().as_bytes());
    ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state"), "--json"].map(str::to_owned).to_vec()
}

fn call(base: &[String], more: &[&str]) -> crate::suite::support::Outcome {
    let args: Vec<String> = base.iter().cloned().chain(more.iter().map(|arg| (*arg).to_owned())).collect();
    logfade(&args).run(b"")
}

#[test]
fn the_first_run_plans_and_the_next_one_acts() {
    let dir = Dir::new();
    let base = small(&dir);
    let first = call(&base, &["expire"]);
    let report = first.expect_code(0).json();
    assert_eq!(report["overdue"], 0);
    let find = |report: &serde_json::Value, name: &str| report["files"].as_array().unwrap().iter().find(|file| file["path"].as_str().unwrap().ends_with(name)).cloned().unwrap();
    let old = find(&report, "access.log.2");
    assert_eq!((old["class"].as_str(), old["form"].as_str(), old["reason"].as_str()), (Some("site"), Some("raw"), Some("expired")));
    assert_eq!(old["actions"], serde_json::json!(["scrub", "delete"]));
    assert_eq!(old["newest"], "2026-01-05T10:00:00Z");
    assert_eq!(old["deadline"], "2026-02-05T00:00:00Z");
    assert_eq!(find(&report, "access.log.1")["actions"], serde_json::json!([]));
    assert!(dir.at("access.log.2").exists() && fs::read_dir(dir.at("clean")).unwrap().count() == 0);

    let second = call(&base, &["expire"]).expect_code(0).json();
    assert_eq!(find(&second, "access.log.2")["outcome"], "done");
    assert!(!dir.at("access.log.2").exists() && dir.at("access.log.1").exists());
    let clean: Vec<String> = fs::read_dir(dir.at("clean")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name != ".logfade").collect();
    assert_eq!(clean.len(), 1);
    assert!(clean[0].starts_with("access.log.20260105T100000Z--20260105T100000Z.") && clean[0].ends_with(".zst"), "{clean:?}");
    assert_eq!(records(&dir.at("clean")).keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    call(&base, &["ledger", "verify"]).expect_code(0);
    // Nothing in the ledger is raw.
    assert!(!String::from_utf8_lossy(&dir.read("state/ledger.jsonl")).contains("203.0.113"));
    // A changed window is a new configuration.
    let text = String::from_utf8(dir.read("logfade.toml")).unwrap().replace("30 days", "1 day");
    dir.file("logfade.toml", text.as_bytes());
    dir.file("access.log.3", line(9, at("2026-01-05T10:00:00Z")).as_bytes());
    call(&base, &["expire"]).expect_code(0);
    assert!(dir.at("access.log.3").exists());
    call(&base, &["expire", "--yes"]).expect_code(0);
    assert!(!dir.at("access.log.3").exists());
}

#[test]
fn holds_beat_the_deadline_until_they_are_released() {
    let dir = Dir::new();
    let base = small(&dir);
    call(&base, &["hold", "add", "case", "--class", "site", "--reason", "court"]).expect_code(0);
    call(&base, &["hold", "add", "case", "--class", "site", "--reason", "again"]).expect_code(2);
    call(&base, &["hold", "add", "other", "--class", "nothing", "--reason", "x"]).expect_code(2);
    let report = call(&base, &["expire", "--yes"]).expect_code(1).json();
    assert_eq!(report["overdue"], 1);
    assert!(dir.at("access.log.2").exists());
    assert_eq!(call(&base, &["hold", "list"]).json()[0]["name"], "case");
    let incidents = call(&base, &["incident", "list"]).json();
    assert_eq!(incidents[0]["what"], "overdue");
    call(&base, &["expire", "--unproven", &dir.arg("access.log.2"), "--reason", "x"]).expect_code(4);
    call(&base, &["hold", "release", "case", "--reason", "settled"]).expect_code(0);
    call(&base, &["expire"]).expect_code(0);
    assert!(!dir.at("access.log.2").exists());
    assert_eq!(call(&base, &["incident", "list"]).json(), serde_json::json!([]));
}

#[test]
fn a_hold_on_addresses_keeps_only_their_records() {
    let dir = Dir::new();
    let base = small(&dir);
    call(&base, &["hold", "add", "case", "--class", "site", "--ip", "203.0.113.2", "--reason", "police"]).expect_code(0);
    assert!(!String::from_utf8_lossy(&dir.read("state/ledger.jsonl")).contains("203.0.113"));
    call(&base, &["expire", "--yes"]);
    let kept: Vec<u32> = records(dir.path()).into_keys().filter(|id| *id < 4).collect();
    assert_eq!(kept, [2]);
    let file = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).find(|entry| entry.file_name().to_string_lossy().contains("--")).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(records(&dir.at("clean")).len(), 3);
    call(&base, &["expire", "--yes"]).expect_code(1);
    assert!(file.path().exists(), "what the hold wants stays");
    call(&base, &["hold", "release", "case", "--reason", "settled"]).expect_code(0);
    call(&base, &["expire", "--yes"]).expect_code(0);
    assert!(!file.path().exists());
}

/// Of forms that the ledger knows, and of NDJSON, each record goes by its own time.
#[test]
fn forms_that_straddle_are_cut_by_the_times_of_their_records() {
    for (format, layout) in [("combined", "same"), ("auto", "same"), ("combined", "json"), ("auto", "json")] {
        let dir = Dir::new();
        let base = small(&dir);
        let text = SMALL.replace("\"2 years\"", &format!("\"60 days\"\nlayout = \"{layout}\"")).replace("\"combined\"", &format!("\"{format}\""));
        dir.file("logfade.toml", text.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        fs::remove_file(dir.at("access.log.1")).unwrap();
        let moments = ["2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z", "2026-01-20T10:00:00Z"].map(at);
        dir.file("access.log.2", (0..60).map(|id| line(id, moments[id as usize % 3])).collect::<String>().as_bytes());
        call(&base, &["expire", "--yes", "--now", "2026-02-25T00:00:00Z"]).expect_code(0);
        let clean = || {
            let files: Vec<_> = fs::read_dir(dir.at("clean")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
            let text: String = files.iter().map(|path| String::from_utf8(decoded(&fs::read(path).unwrap())).unwrap()).collect();
            let mut ids: Vec<u32> = text.lines().map(|line| line.split("/item/r").nth(1).unwrap().split('r').next().unwrap().parse().unwrap()).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(clean().len(), 60, "{format} {layout}");
        // The first day is over with the 6th of March, the second one with the 7th.
        call(&base, &["expire", "--yes", "--now", "2026-03-07T00:00:00Z"]).expect_code(0);
        assert_eq!(clean(), (0..60).filter(|id| id % 3 != 0).collect::<Vec<_>>(), "{format} {layout}");
        call(&base, &["expire", "--yes", "--now", "2026-03-08T00:00:00Z"]).expect_code(0);
        assert_eq!(clean(), (0..60).filter(|id| id % 3 == 2).collect::<Vec<_>>(), "{format} {layout}");
        call(&base, &["expire", "--yes", "--now", "2026-03-22T00:00:00Z"]).expect_code(0);
        assert!(clean().is_empty(), "{format} {layout}");
    }
}

/// What a crash left below the directory of a glob that reaches deeper is put in order as well.
#[test]
fn a_crash_below_the_directory_of_a_glob_is_mended() {
    use std::os::unix::fs::DirBuilderExt;
    let dir = Dir::new();
    let base = small(&dir);
    dir.file("logfade.toml", SMALL.replace("DIR/access.log*", "DIR/log/**/access.log*").replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    fs::create_dir_all(dir.at("log/a/b")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(dir.at("log/a/b/.logfade")).unwrap();
    dir.file("log/a/b/.logfade/0.part", b"begun");
    // On its way out, and not in the ledger: it goes back, and then the ordinary way.
    dir.file("log/a/b/access.log.2", line(1, at("2026-01-05T10:00:00Z")).as_bytes());
    use std::os::unix::fs::MetadataExt;
    let inode = dir.at("log/a/b/access.log.2").metadata().unwrap().ino();
    fs::rename(dir.at("log/a/b/access.log.2"), dir.at(&format!("log/a/b/.logfade/access.log.2.{inode}.gone"))).unwrap();
    call(&base, &["expire", "--yes"]).expect_code(0);
    assert_eq!(fs::read_dir(dir.at("log/a/b/.logfade")).unwrap().count(), 0);
    assert_eq!(records(&dir.at("clean")).get(&1), Some(&1));
    assert_eq!(fs::read_dir(dir.at("log/a/b")).unwrap().count(), 1, "only the directory of the program is left");
}

#[test]
fn a_clock_that_cannot_be_right_deletes_nothing() {
    let dir = Dir::new();
    let base = small(&dir);
    call(&base, &["expire"]).expect_code(0);
    let mut reading: serde_json::Value = serde_json::from_slice(&dir.read("state/clock.json")).unwrap();
    let keep = reading.clone();
    // The wall clock lies behind, or has run further than the machine.
    for (wall, running) in [("2038-01-19T03:14:08Z", keep["running"].clone()), ("2016-01-01T00:00:00Z", keep["running"].clone())] {
        reading["wall"] = wall.into();
        reading["running"] = running;
        use std::os::unix::fs::PermissionsExt;
        dir.file("state/clock.json", reading.to_string().as_bytes());
        fs::set_permissions(dir.at("state/clock.json"), fs::Permissions::from_mode(0o600)).unwrap();
        call(&base, &["expire"]).expect_code(4);
        assert!(dir.at("access.log.2").exists());
    }
    assert_eq!(call(&base, &["incident", "list"]).json()[0]["what"], "clock");
    call(&base, &["expire", "--now", "2999-01-01"]).expect_code(2);
    call(&base, &["expire", "--yes"]).expect_code(0);
    assert!(!dir.at("access.log.2").exists());
}

#[test]
fn what_is_damaged_or_in_use_stays_until_a_person_decides() {
    let dir = Dir::new();
    let base = small(&dir);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&dir.read("access.log.2")).unwrap();
    let packed = packed.finish().unwrap();
    dir.file("access.log.3.gz", &packed[..packed.len() - 4]);
    // What cannot be read is as old as its last change.
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_400_000_000);
    fs::File::options().append(true).open(dir.at("access.log.3.gz")).unwrap().set_modified(old).unwrap();
    let writer = fs::OpenOptions::new().append(true).open(dir.at("access.log.2")).unwrap();
    let report = call(&base, &["expire", "--yes"]).expect_code(1).json();
    let reasons: Vec<&str> = report["files"].as_array().unwrap().iter().filter(|file| file["overdue"] == true).map(|file| file["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["in_use", "unproven"]);
    drop(writer);
    call(&base, &["expire", "--unproven", &dir.arg("access.log.3.gz")]).expect_code(2);
    call(&base, &["expire", "--unproven", &dir.arg("logfade.toml"), "--reason", "x"]).expect_code(4);
    call(&base, &["expire", "--unproven", &dir.arg("access.log.3.gz"), "--reason", "the disk was full"]).expect_code(0);
    assert!(!dir.at("access.log.3.gz").exists() && dir.at("logfade.toml").exists());
    call(&base, &["expire"]).expect_code(0);
    assert!(!dir.at("access.log.2").exists());
    let deleted = call(&base, &["ledger", "show", "--kind", "deleted"]).stdout_text();
    assert!(deleted.contains("the disk was full"), "{deleted}");
}

#[test]
fn more_files_than_usual_wait() {
    let dir = Dir::new();
    let base = small(&dir);
    for number in 10..30 {
        dir.file(&format!("access.log.{number}"), line(number, at("2026-01-05T10:00:00Z")).as_bytes());
    }
    call(&base, &["expire"]).expect_code(0);
    let count = || (10..30).filter(|number| dir.at(&format!("access.log.{number}")).exists()).count() + usize::from(dir.at("access.log.2").exists());
    assert_eq!(call(&base, &["expire", "--limit", "3"]).expect_code(1).json()["over_limit"], 18);
    assert_eq!(count(), 18);
    call(&base, &["expire"]).expect_code(1);
    assert_eq!(count(), 8);
    call(&base, &["expire"]).expect_code(0);
    assert_eq!(count(), 0);
}

/// Killed at any time and run again: no record is lost, none stands twice, no raw file goes without its form, nothing is left over.
/// `LOGFADE_KILLS` makes it longer (tests/long/kill-expire).
#[test]
fn kills_at_any_time_lose_nothing() {
    let kills: u64 = std::env::var("LOGFADE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut done = 0;
    while done < kills {
        let dir = Dir::new();
        let base = small(&dir);
        let boundary = at("2026-01-06T00:00:00Z");
        let now = boundary.checked_add(SignedDuration::from_hours(24 * 30 + 1)).unwrap().to_string();
        // Six files that go and six that straddle; the small ones of before are young by then, or due.
        for number in 10..22 {
            let young = if number % 2 == 0 { at("2026-01-05T11:00:00Z") } else { at("2026-01-20T11:00:00Z") };
            let text: String = (0..40).map(|row| line(number * 100 + row, if row < 20 { at("2026-01-05T10:00:00Z") } else { young })).collect();
            dir.file(&format!("access.log.{number}"), text.as_bytes());
        }
        dir.file("access.log.1", line(4, at("2026-01-25T10:00:00Z")).as_bytes());
        let mut args = base.clone();
        args.extend(["expire", "--yes", "--now", &now].map(str::to_owned));
        loop {
            let mut child = logfade(&args).spawn();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            std::thread::sleep(std::time::Duration::from_micros((seed >> 33) % 120_000));
            let ended = child.try_wait().unwrap().is_some();
            if !ended {
                child.kill().unwrap();
            }
            child.wait().unwrap();
            let (raw, clean) = (whole(&dir, dir.path()), whole(&dir, &dir.at("clean")));
            for id in (10..22).flat_map(|number| (0..40).map(move |row| number * 100 + row)) {
                let young = id % 100 >= 20 && (id / 100) % 2 == 1;
                assert!(raw.contains_key(&id) || (!young && clean.contains_key(&id)), "record {id} is lost");
            }
            done += u64::from(!ended);
            if ended {
                break;
            }
        }
        call(&base, &["expire", "--yes", "--now", &now]).expect_code(0);
        let (raw, clean) = (records(dir.path()), records(&dir.at("clean")));
        assert!(raw.values().chain(clean.values()).all(|count| *count == 1), "a record stands twice");
        for id in (10..22).flat_map(|number| (0..40).map(move |row| number * 100 + row)) {
            let young = id % 100 >= 20 && (id / 100) % 2 == 1;
            assert_eq!((raw.contains_key(&id), clean.contains_key(&id)), (young, true), "record {id}");
        }
        for den in [dir.at(".logfade"), dir.at("clean/.logfade")] {
            assert_eq!(fs::read_dir(den).unwrap().count(), 0, "something is left over");
        }
        call(&base, &["ledger", "verify"]).expect_code(0);
    }
}

/// Records of the whole files of a directory and of those on their way out.
fn whole(dir: &Dir, directory: &Path) -> BTreeMap<u32, u32> {
    let mut found = records(directory);
    let den = directory.join(".logfade");
    if den.exists() {
        let copy = dir.at("copy");
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(&den).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "gone")) {
            fs::copy(&entry, copy.join("x")).unwrap();
            found.extend(records(&copy));
        }
        fs::remove_dir_all(&copy).unwrap();
    }
    found
}
