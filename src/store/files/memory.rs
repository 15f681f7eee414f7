//! A file system in memory that forgets what was not synced, fails at any step, and lets others meddle between two steps.

use super::{Files, Kind, Lease, Look, Owner};
use jiff::Timestamp;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of the root.
const ROOT: u64 = 1;

/// A handle to one such file system; clones share it.
#[derive(Clone, Default)]
pub(in crate::store) struct Memory(Arc<Mutex<State>>);

/// What the fuse does when it burns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// The machine stops: this change and all after it do not happen.
    Crash,
    /// This one step fails.
    Fail(Errno),
}

/// What survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Survives {
    /// Everything: the process was killed, the machine was not.
    All,
    /// What was synced, and nothing else.
    Synced,
    /// What was synced, of the names one more change in two, and half of the bytes.
    Half,
}

type Name = (u64, OsString);
/// Names that come to mean a file, or nothing.
type Renames = Vec<(Name, Option<u64>)>;
type Meddle = Box<dyn FnMut(&mut State) + Send>;

#[derive(Default)]
pub(in crate::store) struct State {
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<Name, u64>,
    lasting: BTreeMap<Name, u64>,
    /// Changes of names that are not synced yet, in order, with the directories they belong to.
    pending: Vec<(Vec<u64>, Renames)>,
    next: u64,
    now: Timestamp,
    steps: u64,
    changes: u64,
    /// Burns at this change (a crash) or step (a failure).
    fuse: Option<(u64, Fault)>,
    burnt: bool,
    meddle: Option<(u64, Meddle)>,
    /// Files that somebody can write.
    pub(in crate::store) writers: BTreeSet<u64>,
    leases: BTreeSet<u64>,
    pub(in crate::store) leases_impossible: bool,
    /// Whether the file system says who writes when no lease can be had.
    pub(in crate::store) writers_hidden: bool,
}

#[derive(Clone)]
struct Node {
    kind: Kind,
    data: Vec<u8>,
    lasting: Vec<u8>,
    failed_sync: bool,
    target: Option<u64>,
    modified: Timestamp,
    owner: Owner,
}

impl State {
    fn node(&self, inode: u64) -> io::Result<&Node> {
        self.nodes.get(&inode).ok_or_else(|| Errno::NOENT.into())
    }

    fn find(&self, dir: u64, name: &OsStr) -> io::Result<u64> {
        self.names.get(&(dir, name.to_owned())).copied().ok_or_else(|| Errno::NOENT.into())
    }

    fn look(&self, inode: u64) -> io::Result<Look> {
        let node = self.node(inode)?;
        let links = self.names.values().filter(|found| **found == inode).count() as u64;
        Ok(Look { kind: node.kind, device: 7, inode, size: node.data.len() as u64, modified: node.modified, changed: node.modified, links, owner: node.owner })
    }

    fn add(&mut self, dir: u64, name: &str, kind: Kind, data: &[u8]) -> u64 {
        self.next = self.next.max(ROOT) + 1;
        let owner = Owner { user: 1000, group: 1000, mode: if kind == Kind::Dir { 0o700 } else { 0o600 } };
        let node = Node { kind, data: data.to_vec(), lasting: data.to_vec(), failed_sync: false, target: None, modified: self.now, owner };
        self.nodes.insert(self.next, node);
        self.names.insert((dir, name.into()), self.next);
        self.lasting.insert((dir, name.into()), self.next);
        self.next
    }

    /// The directory of a path that others made, and its last name.
    fn split(&self, path: &str) -> (u64, String) {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = dirs.split('/').filter(|part| !part.is_empty()).fold(ROOT, |at, part| self.names.get(&(at, part.into())).copied().unwrap_or(0));
        (dir, name.to_owned())
    }

    /// What others do: makes a file that lasts.
    pub(in crate::store) fn put(&mut self, path: &str, data: &[u8]) -> u64 {
        let (dir, name) = self.split(path);
        self.add(dir, &name, Kind::File, data)
    }

    /// What others do: renames over what is there.
    pub(in crate::store) fn shift(&mut self, from: &str, to: &str) {
        let (from, to) = (self.split(from), self.split(to));
        if let Some(inode) = self.names.remove(&(from.0, from.1.clone().into())) {
            self.lasting.remove(&(from.0, from.1.into()));
            self.names.insert((to.0, to.1.clone().into()), inode);
            self.lasting.insert((to.0, to.1.into()), inode);
        }
    }

    /// What others do: a second name for a file.
    pub(in crate::store) fn link(&mut self, from: &str, to: &str) {
        let (from, to) = (self.split(from), self.split(to));
        if let Some(inode) = self.names.get(&(from.0, from.1.into())).copied() {
            self.names.insert((to.0, to.1.clone().into()), inode);
            self.lasting.insert((to.0, to.1.into()), inode);
        }
    }

    /// What others do: a symbolic link.
    pub(in crate::store) fn point(&mut self, path: &str, target: &str) {
        let ((dir, name), (there, end)) = (self.split(path), self.split(target));
        let target = self.names.get(&(there, end.into())).copied();
        let link = self.add(dir, &name, Kind::Link, b"");
        if let Some(node) = self.nodes.get_mut(&link) {
            node.target = target;
        }
    }

    /// What others do: makes a directory.
    pub(in crate::store) fn folder(&mut self, path: &str) {
        let (dir, name) = self.split(path);
        self.add(dir, &name, Kind::Dir, b"");
    }

    /// What others do: opens a file for writing and appends, unless a lease makes them wait.
    pub(in crate::store) fn intrude(&mut self, path: &str, data: &[u8]) -> bool {
        let (dir, name) = self.split(path);
        match self.names.get(&(dir, name.into())).copied() {
            Some(inode) if !self.leases.contains(&inode) => {
                self.grow(path, data);
                self.writers.insert(inode)
            }
            Some(_) | None => false,
        }
    }

    /// What others do: dates a file.
    pub(in crate::store) fn touch(&mut self, path: &str, modified: Timestamp) {
        let (dir, name) = self.split(path);
        if let Some(node) = self.names.get(&(dir, name.into())).copied().and_then(|inode| self.nodes.get_mut(&inode)) {
            node.modified = modified;
        }
    }

    /// What others do: opens a directory to everyone.
    pub(in crate::store) fn open_to_all(&mut self, path: &str) {
        let (dir, name) = self.split(path);
        if let Some(node) = self.names.get(&(dir, name.into())).copied().and_then(|inode| self.nodes.get_mut(&inode)) {
            node.owner.mode = 0o755;
        }
    }

    /// What others do: appends.
    pub(in crate::store) fn grow(&mut self, path: &str, data: &[u8]) {
        let (dir, name) = self.split(path);
        let now = self.now;
        if let Some(node) = self.names.get(&(dir, name.into())).copied().and_then(|inode| self.nodes.get_mut(&inode)) {
            node.data.extend_from_slice(data);
            node.lasting.extend_from_slice(data);
            node.modified = now;
        }
    }

    /// Every file with its path and content.
    pub(in crate::store) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tree = BTreeMap::new();
        let mut open = vec![(ROOT, String::new())];
        while let Some((dir, path)) = open.pop() {
            for ((at, name), inode) in &self.names {
                let Some(node) = self.nodes.get(inode).filter(|_| *at == dir) else { continue };
                let path = format!("{path}/{}", name.to_string_lossy());
                match node.kind {
                    Kind::Dir => open.push((*inode, path)),
                    Kind::File => drop(tree.insert(path, node.data.clone())),
                    Kind::Link | Kind::Other => {}
                }
            }
        }
        tree
    }
}

impl Memory {
    pub(in crate::store) fn new(now: Timestamp) -> Self {
        let memory = Self::default();
        let owner = Owner { user: 1000, group: 1000, mode: 0o755 };
        let root = Node { kind: Kind::Dir, data: Vec::new(), lasting: Vec::new(), failed_sync: false, target: None, modified: now, owner };
        memory.state().nodes.insert(ROOT, root);
        memory.state().now = now;
        memory
    }

    pub(in crate::store) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A directory that lasts.
    pub(in crate::store) fn mkdir(&self, path: &str) {
        self.state().folder(path);
    }

    /// One change outside of the file system, such as an entry of a journal.
    pub(in crate::store) fn change(&self) -> io::Result<()> {
        self.step(true).map(drop)
    }

    /// The process ended: fuse and meddler go, and its leases with it.
    pub(in crate::store) fn restart(&self) {
        let mut state = self.state();
        (state.fuse, state.burnt, state.meddle) = (None, false, None);
        state.leases.clear();
        state.nodes.values_mut().for_each(|node| node.failed_sync = false);
    }

    /// Arms the fuse: a crash at the `at`-th change from now on, or a failure at the `at`-th step.
    pub(in crate::store) fn arm(&self, at: u64, fault: Fault) {
        let mut state = self.state();
        let base = if fault == Fault::Crash { state.changes } else { state.steps };
        state.fuse = Some((base + at, fault));
    }

    /// Lets somebody else act in front of the `at`-th step from now on.
    pub(in crate::store) fn meddle(&self, at: u64, act: impl FnMut(&mut State) + Send + 'static) {
        let mut state = self.state();
        let at = state.steps + at;
        state.meddle = Some((at, Box::new(act)));
    }

    /// Whether fuse or meddler had their turn.
    pub(in crate::store) fn is_spent(&self) -> bool {
        let state = self.state();
        state.fuse.is_none_or(|_| state.burnt) && state.meddle.is_none()
    }

    /// Starts again: the fuse is out, and what did not survive is gone.
    pub(in crate::store) fn reboot(&self, survives: Survives) {
        self.restart();
        let mut state = self.state();
        let kept = match survives {
            Survives::All => state.pending.len(),
            Survives::Synced => 0,
            Survives::Half => state.pending.len().div_ceil(2),
        };
        let pending = std::mem::take(&mut state.pending);
        for (_, changes) in pending.into_iter().take(kept) {
            apply(&mut state.lasting, changes);
        }
        state.names = state.lasting.clone();
        for node in state.nodes.values_mut() {
            match survives {
                Survives::All => node.lasting = node.data.clone(),
                Survives::Synced => node.data = node.lasting.clone(),
                Survives::Half => {
                    let half = node.lasting.len() + node.data.len().saturating_sub(node.lasting.len()) / 2;
                    node.data.truncate(half);
                    node.lasting = node.data.clone();
                }
            }
        }
    }

    /// Counts a step, and lets meddler and fuse have their turn.
    fn step(&self, is_change: bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.steps += 1;
        state.changes += u64::from(is_change);
        if state.burnt && matches!(state.fuse, Some((_, Fault::Crash))) {
            return Err(io::Error::other("crashed"));
        }
        let steps = state.steps;
        if let Some((_, mut act)) = state.meddle.take_if(|(at, _)| *at <= steps) {
            act(&mut state);
        }
        match state.fuse {
            Some((at, Fault::Crash)) if is_change && at <= state.changes => {
                state.burnt = true;
                Err(io::Error::other("crashed"))
            }
            Some((at, Fault::Fail(errno))) if at <= state.steps && !state.burnt => {
                state.burnt = true;
                Err(errno.into())
            }
            _ => Ok(state),
        }
    }

    /// A change of names.
    fn rename_all(state: &mut State, dirs: Vec<u64>, changes: Renames) {
        apply(&mut state.names, changes.clone());
        state.pending.push((dirs, changes));
    }
}

fn apply(names: &mut BTreeMap<Name, u64>, changes: Renames) {
    for (name, inode) in changes {
        match inode {
            Some(inode) => drop(names.insert(name, inode)),
            None => drop(names.remove(&name)),
        }
    }
}

/// A name is one step.
fn plain(name: &OsStr) -> io::Result<&OsStr> {
    let text = name.to_string_lossy();
    if text.is_empty() || text == "." || text == ".." || text.contains(['/', '\0']) { Err(Errno::INVAL.into()) } else { Ok(name) }
}

impl Files for Memory {
    type Dir = u64;
    type File = u64;

    fn root(&self, path: &Path) -> io::Result<u64> {
        let state = self.step(false)?;
        let mut at = ROOT;
        for part in path.iter().filter(|part| *part != "/") {
            at = state.find(at, part)?;
            at = state.node(at)?.target.unwrap_or(at);
        }
        if state.node(at)?.kind == Kind::Dir { Ok(at) } else { Err(Errno::NOTDIR.into()) }
    }

    fn dir(&self, at: &u64, name: &OsStr) -> io::Result<u64> {
        let state = self.step(false)?;
        let inode = state.find(*at, plain(name)?)?;
        if state.node(inode)?.kind == Kind::Dir { Ok(inode) } else { Err(Errno::NOTDIR.into()) }
    }

    fn private_dir(&self, at: &u64, name: &OsStr) -> io::Result<u64> {
        let mut state = self.step(true)?;
        match state.find(*at, plain(name)?) {
            Ok(inode) => {
                let node = state.node(inode)?;
                if node.kind != Kind::Dir {
                    Err(Errno::NOTDIR.into())
                } else if node.owner.mode & 0o077 != 0 {
                    Err(Errno::PERM.into())
                } else {
                    Ok(inode)
                }
            }
            Err(_) => Ok(state.add(*at, &name.to_string_lossy(), Kind::Dir, b"")),
        }
    }

    fn names(&self, at: &u64) -> io::Result<Vec<OsString>> {
        let state = self.step(false)?;
        Ok(state.names.keys().filter(|(dir, _)| dir == at).map(|(_, name)| name.clone()).collect())
    }

    fn look(&self, at: &u64, name: &OsStr) -> io::Result<Look> {
        let state = self.step(false)?;
        state.look(state.find(*at, plain(name)?)?)
    }

    fn open(&self, at: &u64, name: &OsStr) -> io::Result<u64> {
        let state = self.step(false)?;
        let inode = state.find(*at, plain(name)?)?;
        if state.node(inode)?.kind == Kind::Link { Err(Errno::LOOP.into()) } else { Ok(inode) }
    }

    fn stat(&self, file: &u64) -> io::Result<Look> {
        self.step(false)?.look(*file)
    }

    fn read(&self, file: &u64, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.step(false)?;
        let data = state.node(*file)?.data.get(offset as usize..).unwrap_or_default();
        // Short reads are what a disk may do as well.
        let count = data.len().min(buffer.len()).min(4096);
        buffer[..count].copy_from_slice(&data[..count]);
        Ok(count)
    }

    fn create(&self, at: &u64, name: &OsStr) -> io::Result<u64> {
        let mut state = self.step(true)?;
        if state.find(*at, plain(name)?).is_ok() {
            return Err(Errno::EXIST.into());
        }
        state.next = state.next.max(ROOT) + 1;
        let inode = state.next;
        let owner = Owner { user: 1000, group: 1000, mode: 0o600 };
        let modified = state.now;
        state.nodes.insert(inode, Node { kind: Kind::File, data: Vec::new(), lasting: Vec::new(), failed_sync: false, target: None, modified, owner });
        Self::rename_all(&mut state, vec![*at], vec![((*at, name.to_owned()), Some(inode))]);
        Ok(inode)
    }

    fn own(&self, file: &u64, owner: Owner) -> io::Result<()> {
        let mut state = self.step(true)?;
        state.nodes.get_mut(file).ok_or(Errno::NOENT)?.owner = owner;
        Ok(())
    }

    fn write(&self, file: &u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.step(true).map(drop);
        let mut state = self.state();
        let now = state.now;
        // A write that fails has written a part.
        let part = if result.is_ok() { bytes } else { bytes.get(..bytes.len() / 2).unwrap_or_default() };
        let node = state.nodes.get_mut(file).ok_or(Errno::NOENT)?;
        node.data.extend_from_slice(part);
        node.modified = now;
        result
    }

    fn sync(&self, file: &u64) -> io::Result<()> {
        let step = self.step(true).map(drop);
        let mut state = self.state();
        let node = state.nodes.get_mut(file).ok_or(Errno::NOENT)?;
        assert!(!node.failed_sync, "a sync that failed is not tried again on the same file");
        node.failed_sync = step.is_err();
        if step.is_ok() {
            node.lasting = node.data.clone();
        }
        step
    }

    fn sync_dir(&self, at: &u64) -> io::Result<()> {
        let mut state = self.step(true)?;
        // As a journal does it: what came before the last change of this directory lasts as well.
        let upto = state.pending.iter().rposition(|(dirs, _)| dirs.contains(at)).map_or(0, |last| last + 1);
        let done: Vec<_> = state.pending.drain(..upto).collect();
        for (_, changes) in done {
            apply(&mut state.lasting, changes);
        }
        Ok(())
    }

    fn rename(&self, from: (&u64, &OsStr), to: (&u64, &OsStr)) -> io::Result<()> {
        let mut state = self.step(true)?;
        let inode = state.find(*from.0, plain(from.1)?)?;
        if state.find(*to.0, plain(to.1)?).is_ok() {
            return Err(Errno::EXIST.into());
        }
        let changes = vec![((*from.0, from.1.to_owned()), None), ((*to.0, to.1.to_owned()), Some(inode))];
        Self::rename_all(&mut state, vec![*from.0, *to.0], changes);
        Ok(())
    }

    fn unlink(&self, at: &u64, name: &OsStr) -> io::Result<()> {
        let mut state = self.step(true)?;
        let inode = state.find(*at, plain(name)?)?;
        if state.node(inode)?.kind == Kind::Dir {
            return Err(Errno::ISDIR.into());
        }
        Self::rename_all(&mut state, vec![*at], vec![((*at, name.to_owned()), None)]);
        Ok(())
    }

    fn lease(&self, file: &u64) -> io::Result<Lease> {
        let mut state = self.step(false)?;
        if state.leases_impossible {
            return Ok(Lease::Impossible);
        }
        if state.writers.contains(file) {
            return Ok(Lease::Writer);
        }
        state.leases.insert(*file);
        Ok(Lease::Granted)
    }

    fn is_leased(&self, file: &u64) -> bool {
        self.step(false).is_ok_and(|state| state.leases.contains(file) && !state.writers.contains(file))
    }

    fn release(&self, file: &u64) -> io::Result<()> {
        self.step(false)?.leases.remove(file);
        Ok(())
    }

    fn is_written(&self, file: &u64) -> io::Result<bool> {
        let state = self.step(false)?;
        Ok(!state.writers_hidden && state.writers.contains(file))
    }
}
