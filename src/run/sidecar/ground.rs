//! Which files the sidecar has any business with: what its configuration names, its state, and what the system looks up for it.

use super::event::{Event, Level};
use super::{Setup, SidecarJob};
use crate::retain::{Keep, Listen, Output, Source};
use crate::store::confine::{Confined, Ground, Right};
use crate::store::draft::make_directories;
use std::path::Path;

/// What accounts, clocks and the process itself are looked up in.
const SYSTEM: [&str; 5] = ["/etc/passwd", "/etc/group", "/etc/localtime", "/usr/share/zoneinfo", "/proc"];

/// What a connection needs besides: names, what looks them up, and whom to trust.
const NETWORK: [&str; 13] = [
    "/lib",
    "/usr/lib",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/run/systemd/resolve",
];

/// Variables that name other places for certificates.
const TRUST: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What a configuration needs. Directories of outputs are made if they are not there.
pub(super) fn of(job: &SidecarJob<'_>, setup: &Setup) -> Ground {
    let mut ground = Ground::default();
    let mut change = |path: &Path, right| {
        // One that cannot be made is told where it is needed.
        drop(make_directories(path));
        ground.needs(path, right);
    };
    change(&job.state, Right::Change);
    let (mut connects, mut doors) = (false, Vec::new());
    for class in &setup.config.classes {
        for form in class.all_forms() {
            match &form.output {
                Some(Output::Directory(path)) => change(path, Right::Change),
                Some(Output::Http(_)) => connects = true,
                Some(Output::Stdout) | None => {}
            }
        }
        if let Source::Listen(listen) = &class.source {
            for door in listen {
                if let Listen::SyslogUnix(door) | Listen::SyslogUnixStream(door) | Listen::Fifo(door) = door
                    && let Some(directory) = door.path.parent()
                {
                    doors.push(directory.to_owned());
                }
            }
        }
    }
    // Whoever hands lines over has to get there: such a directory is not made here.
    doors.iter().for_each(|directory| ground.needs(directory, Right::Doors));
    for class in &setup.config.classes {
        if let Source::Raw(globs) = &class.source {
            // Expired files are moved, cut and deleted there.
            globs.iter().for_each(|glob| ground.needs(&glob.directory, Right::Change));
        }
        for form in &class.forms {
            if let Keep::Clean(policy) = &form.keep {
                policy.databases().iter().for_each(|database| ground.needs_exchanged(Path::new(database)));
            }
        }
    }
    job.reads.iter().for_each(|path| ground.needs_exchanged(path));
    let system = SYSTEM.iter().chain(NETWORK.iter().filter(|_| connects)).map(Path::new);
    system.filter(|path| path.exists()).for_each(|path| ground.needs(path, Right::Read));
    if connects {
        TRUST.iter().filter_map(std::env::var_os).for_each(|path| ground.needs(Path::new(&path), Right::Read));
    }
    ground
}

/// A class whose server is told to open its log anew: what that command opens and executes is not known here, and it would be closed
/// off as this process is.
pub(super) fn commanding(setup: &Setup) -> Option<&str> {
    setup.config.classes.iter().find(|class| !class.reopen.is_empty()).map(|class| class.name.as_str())
}

/// Closes the process off from everything else, before it makes a thread; says what came of it.
pub(super) fn confine(job: &SidecarJob<'_>, setup: &Setup) -> Option<Ground> {
    let ground = of(job, setup);
    let confined = match commanding(setup) {
        Some(class) => Confined::Not(format!("class \"{class}\" has a command to run (`reopen`)")),
        None => ground.confine(),
    };
    let event = match &confined {
        Confined::Whole => Event::new(Level::Info, "confined"),
        Confined::Partly => Event::new(Level::Warning, "confined").text("this kernel knows only a part of what is to be forbidden\na newer one closes more"),
        Confined::Not(why) => {
            Event::new(Level::Warning, "unconfined").text(format!("{why}: the process can open whatever its user may\nthe sandbox of the service manager still holds"))
        }
    };
    (job.tell)(event);
    let closed = !matches!(confined, Confined::Not(_));
    job.gauges.with(|readings| readings.confined = closed);
    closed.then_some(ground)
}

/// What is said of a configuration that needs more than the process has left itself.
pub(super) fn fault(job: &SidecarJob<'_>, given: &Ground, setup: &Setup) -> Option<String> {
    let needs = match commanding(setup) {
        Some(class) => format!("to run a command for class \"{class}\" (`reopen`)"),
        None => given.lacks(&of(job, setup))?.display().to_string(),
    };
    Some(format!("the new configuration needs {needs}, which this process has closed itself off from\nrestart logfade, so that it can; until then"))
}
