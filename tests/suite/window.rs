//! Windows of forms whose times are cut to the hour or day: counted from the end of what the cut left, in zones away from UTC.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use logfade::retain::{Config, Outside};
use logfade::run::expire::{ExpireJob, expire};
use logfade::scrub::Policy;
use logfade::store::clock::Reading;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::support::decoded;

const CLASS: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/access.log*"]
format = "combined"
zone   = "ZONE"
[[class.keep]]
form  = "raw"
until = "1 day"
[[class.keep]]
form   = "FORM"
until  = "3 days"
output = "DIR/clean"
"#;

fn config(dir: &Path, form: &str, zone: &str) -> Config {
    let policy = |word: &str| {
        let text = format!("client_addr = \"truncate/24,32\"\ntime = \"{word}\"\nother = \"keep\"\n");
        Policy::parse(word, word, &text).map_err(logfade::retain::PolicyFault::Fault)
    };
    let outside = Outside { policy: &policy, zone: &|name| TimeZone::get(name).ok() };
    let text = CLASS.replace("DIR", dir.to_str().unwrap()).replace("FORM", form).replace("ZONE", zone);
    Config::parse("test.toml", &text, outside).unwrap_or_else(|fault| panic!("{}", fault.render(false)))
}

fn standing(directory: &Path) -> BTreeSet<usize> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let text: Vec<u8> = files.flat_map(|path| decoded(&fs::read(path).unwrap())).collect();
    String::from_utf8(text).unwrap().lines().map(|line| line.split("/item/").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn no_record_goes_early_because_its_time_was_cut() {
    let start: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
    let after = |hours: i64| start.checked_add(SignedDuration::from_hours(hours)).unwrap();
    for (form, zone) in [("day", "Europe/Stockholm"), ("day", "America/Los_Angeles"), ("hour", "Asia/Kathmandu"), ("second", "Pacific/Kiritimati")] {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for name in ["clean", "state"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = config(dir.path(), form, zone);
        // Every half of an hour, so that hours end within others' days.
        let records: Vec<Timestamp> = (0..96).map(|half| start.checked_add(SignedDuration::from_mins(30 * half + 14)).unwrap()).collect();
        let line = |(id, at): (usize, &Timestamp)| format!("203.0.113.7 - - [{}] \"GET /item/{id} HTTP/1.1\" 200 512 \"-\" \"-\"\n", at.strftime("%d/%b/%Y:%H:%M:%S +0000"));
        fs::write(dir.path().join("access.log.1"), records.iter().enumerate().map(line).collect::<String>()).unwrap();
        let class = config.class("site").unwrap();
        let due = |form: usize, at: Timestamp, now: Timestamp| class.deadline(class.all_forms().nth(form).unwrap(), at).is_some_and(|due| due <= now);
        let mut early = 0;
        for hour in (24..24 * 8).step_by(3) {
            let now = after(hour + 1);
            let wall = Timestamp::now();
            let clock = || Reading { wall, running: 1000, start: "test".into() };
            // A process that another test starts has copies of our descriptors for a moment.
            for _ in 0..20 {
                let job = ExpireJob { config: &config, state: &dir.path().join("state"), now, clock: &clock, limit: None, yes: true, keys: None, places: Vec::new() };
                if expire(job).unwrap().plan.overdue == 0 {
                    break;
                }
            }
            let (raw, clean) = (standing(dir.path()), standing(&dir.path().join("clean")));
            for (id, at) in records.iter().enumerate() {
                assert_eq!(raw.contains(&id), !due(0, *at, now), "{form} {zone} {now}: raw of {at}");
                assert!(!due(0, *at, now) || due(1, *at, now) || clean.contains(&id), "{form} {zone} {now}: the record of {at} went early");
                let long_ago = now.checked_sub(SignedDuration::from_hours(24)).unwrap();
                assert!(!due(1, *at, long_ago) || !clean.contains(&id), "{form} {zone} {now}: the record of {at} is a day too late");
                early += usize::from(clean.contains(&id));
            }
        }
        assert!(early > 0 && standing(&dir.path().join("clean")).is_empty(), "{form} {zone}: all was there, and all went");
    }
}

/// The clock jumps while a record is young: whatever it says, the record stays, and goes when the time has really come.
#[test]
fn a_clock_that_jumps_deletes_nothing_early() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for name in ["clean", "state"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let config = config(dir.path(), "second", "Europe/Stockholm");
    let begin: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    // Raw for a day: due with the end of the 2nd of May.
    let line = format!("203.0.113.7 - - [{}] \"GET /item/0 HTTP/1.1\" 200 512 \"-\" \"-\"\n", begin.strftime("%d/%b/%Y:%H:%M:%S +0000"));
    fs::write(dir.path().join("access.log.1"), line).unwrap();
    let modified = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(begin.as_second().unsigned_abs());
    fs::File::options().write(true).open(dir.path().join("access.log.1")).unwrap().set_modified(modified).unwrap();
    let run = |wall: Timestamp, running: i64, start: &str| {
        let clock = || Reading { wall, running, start: start.into() };
        let job = ExpireJob { config: &config, state: &dir.path().join("state"), now: wall, clock: &clock, limit: None, yes: false, keys: None, places: Vec::new() };
        expire(job).unwrap()
    };
    let at = |seconds: i64| begin.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    for minute in 0..2 {
        assert_eq!(run(at(60 * minute), 1000 + 60 * minute, "a").plan.overdue, 0);
    }
    let (day, years) = (86_400, 3653 * 86_400);
    let jumps = [
        ("1970", Timestamp::UNIX_EPOCH),
        ("2038", "2038-01-19T03:14:08Z".parse().unwrap()),
        ("a day back", at(-day)),
        ("two days ahead", at(2 * day)),
        ("ten years back", at(-years)),
        ("ten years ahead", at(years)),
    ];
    for (what, wall) in jumps {
        // Without a start of the machine, and behind one.
        for (running, start) in [(1200, "a"), (60, "b")] {
            if (what, start) == ("two days ahead", "b") {
                // A machine may have been off for two days.
                continue;
            }
            let report = run(wall, running, start);
            assert!(matches!(report.standstill, Some(logfade::run::expire::Standstill::Clock(_))), "{what} {start}: {report:?}");
            assert_eq!(standing(dir.path()), BTreeSet::from([0]), "{what} {start}");
        }
    }
    let report = run(at(2 * day), 1000 + 2 * day, "a");
    assert!(report.standstill.is_none() && standing(dir.path()).is_empty(), "{report:?}");
    assert_eq!(standing(&dir.path().join("clean")), BTreeSet::from([0]));
}
