//! The page of a simulated half year: figures as in the JSON, also in a browser, and names that want to be more than text.

use super::report::{assert_same, both, call, figures, leaves};
use super::support::Dir;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

const CONFIG: &str = r#"
[[class]]
name       = "site"
raw        = ["DIR/log/access.log*"]
format     = "combined"
purpose    = "operate the website, find abuse and faults"
zone       = "Europe/Stockholm"
[[class.keep]]
form  = "raw"
until = "2 months"
[[class.keep]]
form   = "default"
until  = "4 months"
output = "DIR/clean"
[[class.keep]]
form   = "aggregate"
until  = "forever"
output = "DIR/stats"
k      = 10

[[class]]
name    = "odd"
raw     = ["DIR/odd/*.log"]
format  = "combined"
purpose = "</title><script>alert(1)</script> & \"\u202ecod\" \u2066</style><img src=x onerror=alert(1)>"
[[class.keep]]
form  = "raw"
until = "1 month"
[[class.keep]]
form   = "strict"
until  = "1 year"
output = "DIR/odd-clean"
"#;

/// A day's log: clients by the day, one line in fifty that does not parse.
fn day(day: Date, lines: u32) -> String {
    let stamp = day.strftime("%d/%b/%Y").to_string();
    let line = |number: u32| {
        if number % 50 == 49 {
            return format!("{stamp} who knows\n");
        }
        let (client, hour, agent) =
            (number * 7 % 40, number * 24 / lines, ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"][number as usize % 2]);
        format!("198.51.100.{client} - - [{stamp}:{hour:02}:30:{:02} +0000] \"GET /page/{} HTTP/1.1\" 200 {} \"-\" \"{agent}\"\n", number % 60, number % 9, 100 + number)
    };
    (0..lines).map(line).collect()
}

/// Half a year of weekly logs up to now, through an expiry at the end of each month.
fn half_year() -> (Dir, Vec<String>) {
    let dir = Dir::new();
    for name in ["log", "clean", "stats", "odd", "odd-clean"] {
        std::fs::create_dir(dir.at(name)).unwrap();
    }
    dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    let base: Vec<String> = ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state")].map(str::to_owned).into();
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let begin = |day: Date| day.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let mut next = today.checked_sub(182.days()).unwrap();
    let write = |name: &str, text: String, at: Date| {
        dir.file(name, text.as_bytes());
        let written = SystemTime::from(begin(at.checked_add(1.day()).unwrap()).min(Timestamp::now() - 2.hours()));
        File::options().write(true).open(dir.at(name)).unwrap().set_times(FileTimes::new().set_modified(written)).unwrap();
    };
    for month in 1..=6 {
        let until = today.checked_sub((182 - month * 30).days()).unwrap();
        while next < until {
            write(&format!("log/access.log-{}", next.strftime("%Y%m%d")), day(next, 200), next);
            next = next.checked_add(7.days()).unwrap();
        }
        call(&base, &["expire", "--yes", "--now", &begin(until).to_string()]).expect_code(0);
    }
    write("odd/<script>alert(2)<\u{2215}script>\u{202e}\u{1b}[2J&amp;.log", day(today.checked_sub(60.days()).unwrap(), 60), today.checked_sub(60.days()).unwrap());
    (dir, base)
}

#[test]
fn a_simulated_half_year_reads_the_same_everywhere() {
    let (dir, base) = half_year();
    call(&base, &["hold", "add", "<i>case\u{2067}</i>", "--class", "odd", "--reason", "</td><script>alert(3)</script>"]).expect_code(0);
    call(&base, &["expire", "--yes"]).expect_code(1);
    let (json, page) = both(&dir, &base, 1);

    // What was simulated is what is told.
    let (site, other) = (&json["classes"][0], &json["classes"][1]);
    assert_eq!((site["class"].as_str(), other["class"].as_str(), json["overdue"].as_u64()), (Some("site"), Some("odd"), Some(1)));
    let volume = |name: &str| site["volume"][name].as_u64().unwrap();
    let scrubbed = volume("scrubbed");
    assert_eq!((volume("read"), volume("clean"), volume("rejected")), (scrubbed * 200, scrubbed * 196, scrubbed * 4), "{}", site["volume"]);
    assert_eq!((&site["reasons"]["layout"], &site["rejected_untold"]), (&site["volume"]["rejected"], &0.into()));
    let files: Vec<u64> = site["forms"].as_array().unwrap().iter().map(|form| form["files"].as_u64().unwrap()).collect();
    assert!((15..26).contains(&scrubbed) && files[1] < scrubbed && files[2] > 10, "staged: {files:?}");
    assert_eq!(files[0] + scrubbed, 26 + u64::from(files[0] + scrubbed > 26), "raw is there, or was scrubbed, or is what a cut left");
    assert!(volume("deleted") >= scrubbed - 1 + scrubbed - files[1], "{}", site["volume"]);
    assert_eq!((json["overdue_files"][0]["reason"].as_str(), json["overdue_files"][0]["hold"].as_str()), (Some("held"), Some("<i>case\u{2067}</i>")));
    let sample = &json["risk"][1]["sample"];
    assert_eq!((sample["files"].as_u64(), sample["records"].as_u64(), sample["unparsed"].as_u64()), (Some(files[1]), Some(files[1] * 196), Some(files[1] * 4)));

    // Names stay names.
    for more in ["<script", "<img", "<i>", "<b>", "onerror=alert(1)>", "\u{202e}", "\u{2067}", "\u{200f}", "\u{1b}", "http://", "https://"] {
        assert!(!page.contains(more), "{more:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(3)") && page.contains("\\u{202E}") && page.contains("<span class=\"bad\">Overdue: "));
    let terminal = call(&base, &["report"]).expect_code(1).stdout_text();
    assert!(!terminal.contains(['\u{202e}', '\u{1b}', '\u{2067}']) && terminal.contains("with records that are due and stay"), "{terminal}");
    assert!(terminal.lines().count() < 45, "short: {terminal}");

    browser(&dir, &json);
}

/// Loads the page in Chromium: what it made of it has the figures of the JSON; it can be drawn and printed.
fn browser(dir: &Dir, json: &serde_json::Value) {
    let Some(chromium) =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|done| done.status.success()))
    else {
        println!("skipped: no chromium");
        return;
    };
    let address = format!("file://{}", dir.arg("report.html"));
    let run = |args: &[String]| {
        let common = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"].map(str::to_owned);
        let profile = format!("--user-data-dir={}", dir.arg("profile"));
        Command::new(chromium).args(common).arg(profile).args(args).arg(&address).output().unwrap()
    };
    let dom = run(&["--dump-dom".into()]);
    let mut expected = std::collections::BTreeMap::new();
    leaves(json, "", &mut expected);
    let dom = String::from_utf8(dom.stdout).unwrap();
    assert!(dom.contains("</html>"), "the browser did not load it");
    assert_same(&figures(&dom), &expected);
    let kept = std::env::var_os("LOGFADE_SHOTS").map_or_else(|| dir.path().to_owned(), PathBuf::from);
    for (name, width, dark) in [("wide", 1280, false), ("narrow", 480, false), ("dark", 1280, true)] {
        let file = kept.join(format!("{name}.png"));
        let scheme = if dark { "--blink-settings=preferredColorScheme=0" } else { "--blink-settings=preferredColorScheme=1" };
        run(&[scheme.into(), format!("--window-size={width},2400"), format!("--screenshot={}", file.display())]);
        assert!(std::fs::read(&file).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    let file = kept.join("report.pdf");
    run(&["--no-pdf-header-footer".into(), format!("--print-to-pdf={}", file.display())]);
    assert!(std::fs::read(&file).unwrap().starts_with(b"%PDF"));
}
