//! `reopen`: an idle active log with records that are due is moved aside, its server told, and then goes as any other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::expire::{at, line, records};
use super::support::{Dir, Outcome, logfade};

const CONFIG: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/log/access.log*"]
format = "combined"
reopen = REOPEN
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "forever"
output = "DIR/clean"
"#;

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

struct Site {
    dir: Dir,
}

impl Site {
    /// With these lines in the active log.
    fn new(lines: &str) -> Self {
        let dir = Dir::new();
        fs::create_dir(dir.at("log")).unwrap();
        dir.file("log/access.log", lines.as_bytes());
        let site = Self { dir };
        site.command(&["/bin/sh", "-c", "kill -USR1 $(cat DIR/pid)"]);
        site
    }

    /// The command of `reopen`.
    fn command(&self, words: &[&str]) {
        let root = self.dir.path().to_str().unwrap();
        self.dir.file("logfade.toml", CONFIG.replace("REOPEN", &format!("{words:?}")).replace("DIR", root).as_bytes());
    }

    /// A process that has the log open, and opens it anew on a signal; then it writes a line of today. A shell that was started with
    /// SIGHUP ignored, as under nohup, cannot trap that one.
    fn writer(&self) -> Server {
        let young = line(99, jiff::Timestamp::now());
        let script = "exec 3>>log/access.log; trap 'exec 3>>log/access.log; cat young >&3' USR1; echo $$ >pid.new; mv pid.new pid; while :; do sleep 0.02 3>&-; done";
        self.dir.file("young", young.as_bytes());
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let server = Server(command.spawn().unwrap());
        until("the writer begins", || self.dir.at("pid").exists());
        server
    }

    fn call(&self, more: &[&str]) -> Outcome {
        let (config, state) = (self.dir.arg("logfade.toml"), self.dir.arg("state"));
        logfade(&[&["-c", &config, "--state", &state, "--json"], more].concat()).run(b"")
    }

    fn logs(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.dir.at("log")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name != ".logfade").collect();
        names.sort();
        names
    }

    fn records(&self, name: &str) -> BTreeMap<u32, u32> {
        let directory: PathBuf = self.dir.at(name);
        if directory.exists() { records(&directory) } else { BTreeMap::new() }
    }

    fn incidents(&self, what: &str) -> Vec<bool> {
        let all = self.call(&["incident", "list", "--all"]).json();
        all.as_array().unwrap().iter().filter(|case| case["what"] == what).map(|case| !case["closed"].is_null()).collect()
    }

    /// Each of these once in the form, none of them raw, and one file of a name: the active log.
    fn all_went(&self, ids: std::ops::Range<u32>) {
        let (raw, clean) = (self.records("log"), self.records("clean"));
        assert!(ids.clone().all(|id| clean.get(&id) == Some(&1) && !raw.contains_key(&id)), "{raw:?} {clean:?}");
        assert_eq!(self.logs(), ["access.log"]);
        self.call(&["ledger", "verify"]).expect_code(0);
        assert_eq!(self.incidents("overdue").iter().filter(|closed| !**closed).count(), 0);
    }
}

fn old(from: u32) -> String {
    (from..from + 5).map(|id| line(id, at("2026-01-05T10:00:00Z"))).collect()
}

#[test]
fn an_idle_log_goes_when_it_is_due() {
    let site = Site::new(&old(0));
    let _writer = site.writer();
    let plan = site.call(&["plan"]).expect_code(0).json();
    assert_eq!((&plan["files"][0]["reason"], &plan["files"][0]["actions"], &plan["overdue"]), (&"in_use".into(), &serde_json::json!(["reopen"]), &0.into()));
    assert_eq!(site.logs(), ["access.log"], "a plan changes nothing");
    // So does the first run of a configuration.
    site.call(&["expire"]).expect_code(0);
    assert_eq!(site.logs(), ["access.log"]);
    let done = site.call(&["expire"]).expect_code(0).json();
    assert_eq!(done["overdue"], 0);
    site.all_went(0..5);
    // The server writes on in a new file.
    until("the new log has its line", || site.records("log").contains_key(&99));
    let again = site.call(&["plan"]).expect_code(0).json();
    assert_eq!(again["files"].as_array().unwrap().iter().filter(|file| file["form"] == "raw").map(|file| file["reason"].clone()).collect::<Vec<_>>(), ["young"]);
}

#[test]
fn of_a_log_that_straddles_the_young_records_stay() {
    let site = Site::new(&(old(0) + &line(50, jiff::Timestamp::now())));
    let _writer = site.writer();
    site.call(&["expire", "--yes"]).expect_code(0);
    until("the new log has its line", || site.records("log").contains_key(&99));
    let (raw, clean) = (site.records("log"), site.records("clean"));
    assert_eq!(raw.keys().copied().collect::<Vec<_>>(), [50, 99]);
    assert!((0..5).chain([50]).all(|id| clean.get(&id) == Some(&1)), "{clean:?}");
}

#[test]
fn what_is_young_or_held_is_not_moved() {
    let site = Site::new(&line(1, jiff::Timestamp::now()));
    let _writer = site.writer();
    site.call(&["expire", "--yes"]).expect_code(0);
    assert_eq!((site.logs(), site.records("log").len()), (vec!["access.log".to_owned()], 1));
    site.dir.file("log/access.log", old(0).as_bytes());
    site.call(&["hold", "add", "case", "--class", "site", "--reason", "court"]).expect_code(0);
    let held = site.call(&["expire", "--yes"]).expect_code(1).json();
    assert_eq!((&held["files"][0]["reason"], &held["files"][0]["actions"]), (&"held".into(), &serde_json::json!([])));
    assert_eq!(site.logs(), ["access.log"]);
}

/// Nothing has to be done for a log without a line, however old it is.
#[test]
fn an_empty_log_is_no_alarm() {
    let site = Site::new("");
    let text = fs::read_to_string(site.dir.at("logfade.toml")).unwrap();
    let without: String = text.lines().filter(|line| !line.starts_with("reopen")).map(|line| format!("{line}\n")).collect();
    site.dir.file("logfade.toml", without.as_bytes());
    let _writer = site.writer();
    let ago = std::time::SystemTime::now() - Duration::from_secs(90 * 86_400);
    fs::File::options().write(true).open(site.dir.at("log/access.log")).unwrap().set_modified(ago).unwrap();
    let plan = site.call(&["plan"]).expect_code(0).json();
    assert_eq!(plan["files"][0]["reason"], "young");
}

#[test]
fn a_command_that_fails_is_an_incident_and_the_log_gets_its_name_back() {
    let site = Site::new(&old(0));
    let _writer = site.writer();
    for (words, says) in [(&["false"][..], "exit status: 1"), (&["/no/such/program", "x"][..], "cannot be started")] {
        site.command(words);
        let failed = site.call(&["expire", "--yes"]);
        assert!(failed.expect_code(3).stderr_text().contains(says), "{}", failed.stderr_text());
        assert_eq!(site.logs(), ["access.log"], "the server goes on as before");
        assert_eq!(site.records("log").len(), 5);
        assert_eq!(site.incidents("reopen"), [false], "told once");
        assert_eq!(failed.json()["overdue"], 1);
    }
    assert!(site.call(&["check"]).expect_code(0).stdout_text().contains("/no/such/program"));
    site.command(&["/bin/sh", "-c", "kill -USR1 $(cat DIR/pid)"]);
    site.call(&["expire", "--yes"]).expect_code(0);
    site.all_went(0..5);
    assert_eq!(site.incidents("reopen"), [true]);
}

/// Killed while the command runs, and stopped between the renaming and the command: the next run tells the server.
#[test]
fn a_crash_between_moving_aside_and_the_command_is_mended() {
    let site = Site::new(&old(0));
    let _writer = site.writer();
    let mut killed = 0;
    site.command(&["/bin/sh", "-c", "touch DIR/begun; sleep 2"]);
    while killed < 3 {
        fs::remove_file(site.dir.at("begun")).ok();
        let (config, state) = (site.dir.arg("logfade.toml"), site.dir.arg("state"));
        let mut child = logfade(&["-c", &config, "--state", &state, "expire", "--yes"]).spawn();
        until("the command runs", || site.dir.at("begun").exists());
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        assert_eq!((site.logs().len(), site.records("log").len()), (1, 5), "under one name: {:?}", site.logs());
        assert_ne!(site.logs(), ["access.log"], "killed behind the renaming");
    }
    site.command(&["/bin/sh", "-c", "kill -USR1 $(cat DIR/pid)"]);
    site.call(&["expire", "--yes"]).expect_code(0);
    until("the server has begun a new log", || site.dir.at("log/access.log").exists());
    site.all_went(0..5);
}

/// A server that does not let go: the log is overdue, and stays.
#[test]
fn a_server_that_does_not_let_go_keeps_its_log() {
    let site = Site::new(&old(0));
    let _writer = site.writer();
    site.command(&["true"]);
    let stays = site.call(&["expire", "--yes"]).expect_code(1).json();
    assert_eq!((&stays["files"][0]["reason"], &stays["files"][0]["outcome"]), (&"in_use".into(), &"refused".into()));
    assert_eq!((site.records("log").len(), site.records("clean").len()), (5, 0));
    assert_eq!(site.incidents("overdue"), [false]);
    site.command(&["/bin/sh", "-c", "kill -USR1 $(cat DIR/pid)"]);
    site.call(&["expire", "--yes"]).expect_code(0);
    until("the server has begun a new log", || site.dir.at("log/access.log").exists());
    site.all_went(0..5);
}

/// A writer that never pauses: every line is in one place, once.
#[test]
fn a_busy_log_loses_no_line() {
    let site = Site::new("");
    let template = line(7, at("2026-01-05T10:00:00Z")).replace("/item/r7r", "/item/r%dr").replace("\n", "\\n");
    let script = format!(
        "n=0; exec 3>>log/access.log; trap 'exec 3>>log/access.log' USR1; echo $$ >pid.new; mv pid.new pid; while [ ! -e stop ]; do n=$((n+1)); printf '{}' $n >&3; echo $n >count; done",
        template.replace('\'', "'\\''")
    );
    let child = Command::new("sh").args(["-c", &script]).current_dir(site.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut writer = Server(child);
    until("the writer begins", || site.dir.at("pid").exists());
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(30));
        assert!(matches!(site.call(&["expire", "--yes"]).code(), Some(0 | 1)));
    }
    site.dir.file("stop", b"");
    writer.0.wait().unwrap();
    for _ in 0..2 {
        site.call(&["expire", "--yes"]).expect_code(0);
    }
    let count: u32 = fs::read_to_string(site.dir.at("count")).unwrap().trim().parse().unwrap();
    let clean = site.records("clean");
    let odd: Vec<_> = (1..=count).filter(|id| clean.get(id) != Some(&1)).take(10).collect();
    assert!(odd.is_empty() && clean.len() == count as usize, "{} of {count}, not once: {odd:?}", clean.len());
    assert!(site.records("log").is_empty());
}

#[test]
fn nginx_begins_a_new_log() {
    let site = Site::new(&old(0));
    let root = site.dir.path().to_str().unwrap().to_owned();
    fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let configuration = format!(
        "daemon off; pid {root}/pid; error_log {root}/error.log; events {{}}\nhttp {{ access_log {root}/log/access.log combined;\n\
         client_body_temp_path {root}/t; proxy_temp_path {root}/t; fastcgi_temp_path {root}/t; uwsgi_temp_path {root}/t; scgi_temp_path {root}/t;\n\
         server {{ listen unix:{root}/http.sock; location / {{ return 204; }} }} }}\n"
    );
    let file = site.dir.file("nginx.conf", configuration.as_bytes());
    let Ok(child) = Command::new("nginx").args(["-c", &file, "-p", &root]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        println!("skipped: no nginx");
        return;
    };
    let mut nginx = Server(child);
    let ask = |number: usize| {
        let mut stream = UnixStream::connect(site.dir.at("http.sock")).unwrap();
        write!(stream, "GET /item/r{number}r HTTP/1.0\r\nHost: site\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1."));
    };
    until("nginx comes up", || UnixStream::connect(site.dir.at("http.sock")).is_ok() || nginx.0.try_wait().unwrap().is_some());
    if nginx.0.try_wait().unwrap().is_some() {
        println!("skipped: nginx does not run here");
        return;
    }
    until("it has said who it is", || fs::read_to_string(site.dir.at("pid")).is_ok_and(|pid| !pid.trim().is_empty()));
    site.command(&["nginx", "-c", &file, "-p", &root, "-s", "reopen"]);
    ask(70);
    until("nginx has written", || site.records("log").contains_key(&70));
    let plan = site.call(&["plan"]).expect_code(0).json();
    assert_eq!(plan["files"][0]["actions"], serde_json::json!(["reopen"]));
    site.call(&["expire", "--yes"]).expect_code(0);
    assert!(site.dir.at("log/access.log").exists(), "nginx has begun a new log");
    ask(71);
    until("nginx writes on", || site.records("log").contains_key(&71));
    let (raw, clean) = (site.records("log"), site.records("clean"));
    assert_eq!(raw.keys().copied().collect::<Vec<_>>(), [70, 71], "what is young stays");
    assert!((0..5).chain([70]).all(|id| clean.get(&id) == Some(&1)), "{clean:?}");
}

/// The sidecar follows the log meanwhile: it goes on in the file that was moved aside, and in the new one.
#[test]
fn the_sidecar_reopens_on_its_own_clock() {
    let site = Site::new(&old(0));
    let _writer = site.writer();
    let text = fs::read_to_string(site.dir.at("logfade.toml")).unwrap();
    site.dir.file("logfade.toml", format!("[run]\nexpire_every = \"60 seconds\"\n{text}").as_bytes());
    // Somebody has to see the plan first.
    site.call(&["expire"]).expect_code(0);
    let (config, state) = (site.dir.arg("logfade.toml"), site.dir.arg("state"));
    let mut command = logfade(&["-c", &config, "--state", &state, "run"]).command();
    let _sidecar = Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("the old records go", || site.logs() == ["access.log"] && site.records("log").keys().copied().collect::<Vec<_>>() == [99]);
    until("all of them are in the form", || site.records("clean").len() == 6);
    assert!(site.records("clean").values().all(|count| *count == 1), "{:?}", site.records("clean"));
}
