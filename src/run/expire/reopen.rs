//! Active logs with records that are due: moved aside, and the server told to begin new ones (`reopen`).
//!
//! Nothing of this is remembered: a log that was moved aside and is still written is due for the command alone, so that a crash
//! between the two is mended by the next run.

use super::super::catalog::{Item, open};
use super::{ExpireJob, open_incident};
use crate::retain::Class;
use crate::retain::ledger::{Entry, Fault, Incident};
use crate::retain::plan::{Action, Plan};
use crate::store::{Cause, Chronicle, Halt, Raw, Store, StoreError, is_rotated};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a program without a directory is looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long it is waited for the server to let go; what it holds longer goes in a later run.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked.
const TICK: Duration = Duration::from_millis(20);

/// Whether the program of a command is there.
pub fn is_found(command: &[String]) -> bool {
    let Some(program) = command.first().map(Path::new) else { return true };
    let is_file = |path: &Path| path.is_file();
    if program.is_absolute() { is_file(program) } else { PATH.split(':').any(|directory| is_file(&Path::new(directory).join(program))) }
}

/// Whether the command of a class can make the server let go of one of its raw files: one that is rotated already, or one whose name
/// behind rotation is still the class's.
pub(in crate::run) fn can_let_go(class: &Class, path: &Path) -> bool {
    !class.reopen.is_empty() && (is_rotated(path) || class.is_raw(&aside(path, Timestamp::UNIX_EPOCH)))
}

/// The name under which an active log is moved aside.
fn aside(path: &Path, now: Timestamp) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", now.as_second()));
    name.into()
}

/// A log of which the server is to let go.
struct Log {
    class: String,
    raw: Raw,
    /// What it was called, if it was moved aside just now.
    before: Option<OsString>,
}

/// Moves aside what the plan says, runs each command once, and waits a moment for the server. True if names have changed.
pub(super) fn reopen(
    job: &ExpireJob<'_>,
    (store, chronicle): (&Store, &mut Chronicle),
    (plan, items): (&Plan, &[Item]),
    failures: &mut Vec<StoreError>,
) -> Result<bool, StoreError> {
    let mut commands: BTreeMap<&[String], Vec<Log>> = BTreeMap::new();
    let wall = (job.clock)().wall;
    for file in plan.files.iter().filter(|file| file.actions.contains(&Action::Reopen)) {
        let Some(class) = job.config.class(&file.class) else { continue };
        match set_aside(store, class, items, &file.path, wall) {
            Ok(log) => commands.entry(&class.reopen).or_default().push(log),
            // Rotation was faster: the next run sees what there is.
            Err(Halt::Refused { .. }) => {}
            Err(Halt::Failed(error)) => failures.push(error),
        }
    }
    let any = !commands.is_empty();
    let (mut failed, mut logs) = (Vec::new(), Vec::new());
    for (command, of) in commands {
        match run(command) {
            Ok(()) => logs.extend(of),
            Err(why) => {
                failures.push(StoreError { verb: "run", path: command.first().map(PathBuf::from).unwrap_or_default(), cause: Cause::Io(io::Error::other(why.clone())) });
                for log in of {
                    open_incident(chronicle, Fault::Reopen, (Some(&log.class), None), Some(&why))?;
                    failed.push(log.class.clone());
                    if let Err(Halt::Failed(error)) = back(store, log) {
                        failures.push(error);
                    }
                }
            }
        }
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && !logs.iter().all(|log| store.quiet(&log.raw, wall).is_ok()) {
        std::thread::sleep(TICK);
    }
    settle(chronicle, &failed)?;
    Ok(any)
}

/// Moves an active log aside; one that is rotated stays what it is called.
fn set_aside(store: &Store, class: &Class, items: &[Item], path: &Path, wall: Timestamp) -> Result<Log, Halt> {
    let raw = open(store, class, path)?;
    let known = items.iter().find(|item| item.found.path == path).and_then(|item| item.identity);
    if known.is_none_or(|known| (known.device, known.inode) != (raw.identity().device, raw.identity().inode)) {
        return Err(Halt::Refused { why: crate::store::Refusal::Changed, path: path.to_owned() });
    }
    if is_rotated(path) {
        return Ok(Log { class: class.name.clone(), raw, before: None });
    }
    let name = aside(Path::new(path.file_name().unwrap_or_default()), wall);
    let raw = store.set_aside(raw, name.as_os_str())?;
    Ok(Log { class: class.name.clone(), raw, before: path.file_name().map(OsStr::to_owned) })
}

/// The command failed: the log gets its name back, unless the server has begun a new one.
fn back(store: &Store, log: Log) -> Result<(), Halt> {
    match log.before {
        Some(name) => store.set_aside(log.raw, &name).map(drop),
        None => Ok(()),
    }
}

/// Closes the incidents of commands that did not fail again.
fn settle(chronicle: &mut Chronicle, failed: &[String]) -> Result<(), StoreError> {
    let is_settled = |class: &Option<String>| class.as_ref().is_none_or(|class| !failed.contains(class));
    let open = chronicle.known().incidents().iter().filter(|case| case.closed.is_none() && case.what == Fault::Reopen && is_settled(&case.class));
    let open: Vec<u64> = open.map(|case| case.number).collect();
    for incident in open {
        chronicle.note(&Entry::Incident(Incident::Closed { incident, reason: "the command did not fail this time, or was not needed".to_owned() }))?;
    }
    Ok(())
}

/// Runs a command: no shell, nothing of this environment, nothing to read, and nowhere to write, because it might quote a log.
fn run(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([("PATH", PATH), ("LC_ALL", "C")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the command of reopen cannot be started: {error}"))?;
    wait(child)
}

fn wait(mut child: Child) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the command of reopen ended with {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(TICK),
            Ok(None) => {
                // With whatever it has started: it is the leader of a group of its own.
                let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let _gone_already = group.map(|group| kill_process_group(group, Signal::KILL));
                let _gone_already = child.wait();
                return Err(format!("the command of reopen did not end within {} seconds, and was killed", LIMIT.as_secs()));
            }
            Err(error) => return Err(format!("the command of reopen cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_command_has_no_environment_and_says_how_it_ended() {
        assert_eq!(run(&command(&["true"])), Ok(()));
        assert!(run(&command(&["false"])).unwrap_err().contains("ended with exit status: 1"));
        assert!(run(&command(&["no-such-program-anywhere"])).unwrap_err().contains("cannot be started"));
        // Nothing of ours: with HOME or CARGO_… there it would fail.
        assert_eq!(run(&command(&["sh", "-c", "test \"$PWD\" = / && test -z \"$HOME$CARGO_MANIFEST_DIR$USER\" && test \"$LC_ALL\" = C && ! read line"])), Ok(()));
        // No shell: what one would expand is a word.
        assert!(run(&command(&["test", "$PATH", "=", PATH])).is_err());
        assert!(is_found(&command(&["sh"])) && is_found(&command(&["/bin/sh"])) && !is_found(&command(&["no-such-program-anywhere"])));
    }
}
