//! A process closes itself off from every file that it has no business with (Landlock, `landlock(7)`): for good, and for all threads
//! that it makes afterwards.

use landlock::{ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known of the kernel's rules when this was written: what later ones bring is not forbidden unseen.
const KNOWN: ABI = ABI::V6;

/// What may be done with a file, or with everything beneath a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read, and list.
    Read,
    /// Make, write, rename and delete regular files and directories as well.
    Change,
    /// Make and remove sockets and pipes as well.
    Doors,
}

impl Right {
    /// Nobody may execute, or make a device or a link.
    fn access(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let change = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::Refer;
        match self {
            Self::Read => read,
            Self::Change => change,
            Self::Doors => change | AccessFs::MakeSock | AccessFs::MakeFifo,
        }
    }
}

/// What a process needs: paths, each with the most that is done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground(BTreeMap<PathBuf, Right>);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confined {
    /// Nothing else can be opened any more.
    Whole,
    /// The kernel knows only a part of it.
    Partly,
    /// Everything is as before, and why.
    Not(String),
}

impl Ground {
    /// Needs a path. What is not there yet is made by whoever may, so its nearest directory that is there counts for it; the root
    /// of all is never given.
    pub fn needs(&mut self, path: &Path, right: Right) {
        let there = path.ancestors().find(|path| path.exists()).filter(|path| path.parent().is_some());
        if let Some(path) = there.and_then(|path| path.canonicalize().ok()) {
            let known = self.0.entry(path).or_insert(right);
            *known = (*known).max(right);
        }
    }

    /// Needs a file that others exchange for a new one of its name: its directory, unless that is one of the system's.
    pub fn needs_exchanged(&mut self, file: &Path) {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        match file.parent().filter(|directory| directory.components().count() > 2) {
            Some(directory) => self.needs(directory, Right::Read),
            None => self.needs(&file, Right::Read),
        }
    }

    /// The first path of another ground that this one does not give.
    pub fn lacks<'a>(&self, other: &'a Self) -> Option<&'a Path> {
        let given = |(path, right): &(&PathBuf, &Right)| path.ancestors().any(|path| self.0.get(path).is_some_and(|known| known >= *right));
        other.0.iter().find(|need| !given(need)).map(|(path, _)| path.as_path())
    }

    /// Closes this thread, and all that it makes, off from everything else.
    pub fn confine(&self) -> Confined {
        match self.restrict() {
            Ok(confined) => confined,
            Err(error) => Confined::Not(error.to_string()),
        }
    }

    fn restrict(&self) -> Result<Confined, landlock::RulesetError> {
        // The first version of the kernel's rules forbids every renaming from one directory to another, and files are moved before they go.
        let able = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::Refer).is_ok();
        if !able {
            return Ok(Confined::Not("this kernel has no Landlock, or its first version (before Linux 5.19)".to_owned()));
        }
        let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.create()?;
        for (path, right) in &self.0 {
            let Ok(fd) = PathFd::new(path) else { continue };
            let file = AccessFs::from_file(KNOWN);
            let access = if path.is_dir() { right.access() } else { right.access() & file };
            rules = rules.add_rule(PathBeneath::new(fd, access))?;
        }
        let status = rules.restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::FullyEnforced, _) => Confined::Whole,
            (RulesetStatus::PartiallyEnforced, _) => Confined::Partly,
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Confined::Not("Landlock is switched off on this machine (boot with lsm=landlock,…)".to_owned()),
            (RulesetStatus::NotEnforced, _) => Confined::Not("this kernel has no Landlock".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ground_knows_what_it_does_not_give() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        for name in ["log", "out", "other"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let mut ground = Ground::default();
        ground.needs(&at("log"), Right::Read);
        ground.needs(&at("out"), Right::Change);
        let wants = |path: &Path, right| {
            let mut other = Ground::default();
            other.needs(path, right);
            ground.lacks(&other).map(Path::to_owned)
        };
        assert_eq!(wants(&at("log"), Right::Read), None);
        assert_eq!(wants(&at("out"), Right::Read), None);
        std::fs::create_dir(at("out/deep")).unwrap();
        assert_eq!(wants(&at("out/deep"), Right::Change), None);
        assert_eq!(wants(&at("out/deep/new"), Right::Change), None, "what is made beneath");
        assert_eq!(wants(&at("log"), Right::Change), Some(at("log")));
        assert_eq!(wants(&at("other"), Right::Read), Some(at("other")));
        assert_eq!(wants(&at("log.1"), Right::Read), Some(root.clone()), "a sibling of the same beginning");
        assert_eq!(wants(Path::new("/no/such/place"), Right::Read), None, "nothing of it is there, and the root is not given");
    }

    #[test]
    fn a_thread_that_is_confined_opens_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        for path in [&inside, &outside] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("file"), "x").unwrap();
        }
        let mut ground = Ground::default();
        ground.needs(&inside, Right::Change);
        let work = move || {
            // Nothing to see on a kernel without it.
            if matches!(ground.confine(), Confined::Not(_)) {
                return;
            }
            assert_eq!(std::fs::read_to_string(inside.join("file")).unwrap(), "x");
            std::fs::write(inside.join("new"), "y").unwrap();
            std::fs::rename(inside.join("new"), inside.join("newer")).unwrap();
            for refused in [
                std::fs::read(outside.join("file")).map(drop),
                std::fs::read("/etc/shadow").map(drop),
                std::fs::write(outside.join("new"), "y"),
                std::fs::rename(inside.join("newer"), outside.join("newer")),
                std::process::Command::new("/bin/true").status().map(drop),
            ] {
                assert!(matches!(refused.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::CrossesDevices));
            }
        };
        std::thread::spawn(work).join().unwrap();
    }
}
