//! The harness: runs the binary, feeds it, collects what it wrote, and finds the corpora.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The program under test; `LOGFADE_BIN` names another build of it.
pub fn binary() -> PathBuf {
    std::env::var_os("LOGFADE_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_logfade")), PathBuf::from)
}

/// The folder of real log files, if this machine has it; says so where it has not.
pub fn corpora() -> Option<PathBuf> {
    let found = std::env::var_os("LOGFADE_CORPORA").map(PathBuf::from).filter(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: LOGFADE_CORPORA is not set");
    }
    found
}

/// What a finished process left.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// The exit code; a process that a signal killed has none.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails unless the process ended with `code`.
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "exit code; stderr: {}", self.stderr_text());
        self
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The report that `pipe --json` writes as the last line of stderr.
    pub fn report(&self) -> Value {
        let text = self.stderr_text();
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("no report on the last line of stderr ({error})"))
    }

    /// What `--json` of the other commands writes to stdout.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON ({error})"))
    }
}

/// The counts of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub clean: u64,
    pub rejected: u64,
    pub excluded: u64,
    pub written: u64,
    pub lost: u64,
}

/// Takes the counts out of a report and checks that nothing is missing from them.
pub fn counts(report: &Value) -> Counts {
    let of = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("the report has no number `{key}`"));
    let counts = Counts { read: of("read"), clean: of("clean"), rejected: of("rejected"), excluded: of("excluded"), written: of("written"), lost: of("lost") };
    assert_eq!(counts.read, counts.clean + counts.rejected + counts.excluded, "every line is accounted for");
    let reasons = report["reasons"].as_object().expect("the report has `reasons`");
    let by_reason: u64 = reasons.values().map(|count| count.as_u64().expect("a reason is a count")).sum();
    assert_eq!(by_reason, counts.rejected, "the reasons add up to the rejected lines");
    counts
}

/// One call of the program, described before it runs.
pub struct Call {
    args: Vec<String>,
}

/// A call with these arguments.
pub fn logfade<S: AsRef<str>>(args: &[S]) -> Call {
    Call { args: args.iter().map(|arg| arg.as_ref().to_owned()).collect() }
}

/// `logfade pipe --json` with further arguments over `input`.
pub fn pipe(args: &[&str], input: &[u8]) -> Outcome {
    let mut all = vec!["pipe", "--json"];
    all.extend_from_slice(args);
    logfade(&all).run(input)
}

impl Call {
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.args(&self.args).env("NO_COLOR", "1").env_remove("LOGFADE_CONFIG");
        command
    }

    /// Starts it with all three streams piped.
    pub fn spawn(&self) -> Child {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Runs it over `input`.
    pub fn run(&self, input: &[u8]) -> Outcome {
        self.stream(|sink| sink.write_all(input))
    }

    /// Runs it over whatever `feed` writes; a reader that goes away early ends the feeding quietly.
    pub fn stream<F>(&self, feed: F) -> Outcome
    where
        F: FnOnce(&mut dyn Write) -> std::io::Result<()> + Send,
    {
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut buffered = std::io::BufWriter::with_capacity(1 << 16, &mut stdin);
                let fed = feed(&mut buffered).and_then(|()| buffered.flush());
                drop(fed);
            });
            let errors = scope.spawn(move || all_of(stderr));
            let stdout = all_of(stdout);
            let stderr = errors.join().expect("the reader of stderr ends");
            let status = child.wait().expect("the program ends");
            Outcome { status, stdout, stderr }
        })
    }
}

/// Everything a stream still has to say.
pub fn all_of(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a pipe can be read");
    bytes
}

/// Sends a signal by name, such as `TERM`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success(), "the process takes a signal");
}

/// Waits for an end, but not for ever.
pub fn wait_at_most(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let step = Duration::from_millis(10);
    let mut left = limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        left = left.checked_sub(step)?;
        thread::sleep(step);
    }
}

/// A directory that goes away with the test.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where `name` is or would be.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same as text, for an argument.
    pub fn arg(&self, name: &str) -> String {
        self.at(name).to_str().expect("a temporary path is text").to_owned()
    }

    /// Writes a file and tells its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.at(name), bytes).expect("a temporary file is written");
        self.arg(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).expect("a temporary file is read")
    }
}

/// The lines of some bytes without their ends; a missing last newline makes no line of its own.
pub fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

/// Whether `needle` stands anywhere in `hay`.
pub fn holds(hay: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(hay, needle).is_some()
}

/// Decodes what its magic bytes say it is; plain bytes stay as they are.
pub fn decoded(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [0x1f, 0x8b, ..] => all_of(flate2::read::MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::decode_all(bytes).expect("whole zstd frames"),
        [b'B', b'Z', b'h', ..] => all_of(bzip2::read::MultiBzDecoder::new(bytes)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => all_of(liblzma::read::XzDecoder::new_multi_decoder(bytes)),
        _ => bytes.to_vec(),
    }
}
