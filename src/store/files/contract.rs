//! What both sides of [`Files`] promise: one suite, run over the disk and over memory.

use super::disk::Disk;
use super::memory::Memory;
use super::{Files, Kind, Lease, Owner, Reader};
use jiff::Timestamp;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// What is prepared from outside: `file` with "content\n", `link` to it, `twin` and `other` (one file), `folder`, `way` (a link to `folder`).
fn contract<F: Files>(files: &F, path: &Path) {
    let root = files.root(path).unwrap();

    // Names: in order, and none that climbs.
    assert_eq!(files.names(&root).unwrap(), ["file", "folder", "link", "other", "twin", "way"]);
    for bad in ["", ".", "..", "a/b", "../file", "/file", "a\0b"] {
        assert!(files.look(&root, name(bad)).is_err() && files.open(&root, name(bad)).is_err(), "{bad:?} is no name");
        assert!(files.create(&root, name(bad)).is_err() && files.unlink(&root, name(bad)).is_err(), "{bad:?} is no name");
        assert!(files.rename((&root, name("file")), (&root, name(bad))).is_err() && files.dir(&root, name(bad)).is_err(), "{bad:?} is no name");
    }

    // Links are seen, never followed.
    assert_eq!(files.look(&root, name("link")).unwrap().kind, Kind::Link);
    assert!(files.open(&root, name("link")).is_err(), "a link is not opened");
    assert!(files.dir(&root, name("way")).is_err(), "a link to a directory is not entered");
    assert!(files.dir(&root, name("file")).is_err(), "a file is no directory");
    assert_eq!(files.look(&root, name("folder")).unwrap().kind, Kind::Dir);
    assert_eq!(files.look(&root, name("twin")).unwrap().links, 2);
    assert_eq!(files.look(&root, name("twin")).unwrap().identity(), files.look(&root, name("other")).unwrap().identity());
    assert_eq!(kind(files.look(&root, name("none"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(files.open(&root, name("none"))), Some(ErrorKind::NotFound));

    // A descriptor goes on meaning the same file when its name means another.
    let file = Arc::new(files.open(&root, name("file")).unwrap());
    let seen = files.stat(&file).unwrap();
    assert_eq!((seen.kind, seen.size, seen.links), (Kind::File, 8, 1));
    files.rename((&root, name("file")), (&root, name("file.1"))).unwrap();
    assert_eq!(files.stat(&file).unwrap().identity(), seen.identity());
    assert_eq!(files.look(&root, name("file.1")).unwrap().identity(), seen.identity());
    let mut text = String::new();
    Reader::new(files, &file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "content\n");

    // New files are new, and their owner's alone until they are given away.
    let fresh = files.create(&root, name("fresh")).unwrap();
    assert_eq!(kind(files.create(&root, name("fresh"))), Some(ErrorKind::AlreadyExists));
    assert_eq!(files.stat(&fresh).unwrap().owner.mode, 0o600);
    files.write(&fresh, b"one").unwrap();
    files.write(&fresh, b" two").unwrap();
    files.own(&fresh, Owner { mode: 0o666, ..files.stat(&fresh).unwrap().owner }).unwrap();
    assert_eq!(files.stat(&fresh).unwrap().owner.mode, 0o666, "the mode that was asked for, past the umask");
    files.sync(&fresh).unwrap();
    files.sync_dir(&root).unwrap();
    let mut part = [0; 3];
    assert_eq!(files.read(&fresh, &mut part, 4).unwrap(), 3);
    assert_eq!(&part, b"two");
    assert_eq!(files.read(&fresh, &mut part, 7).unwrap(), 0);

    // Nothing is replaced.
    assert_eq!(kind(files.rename((&root, name("fresh")), (&root, name("file.1")))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(files.rename((&root, name("fresh")), (&root, name("link")))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(files.rename((&root, name("none")), (&root, name("new")))), Some(ErrorKind::NotFound));

    // A private directory is made once, and refused where others could reach into it.
    let private = files.private_dir(&root, name(".own")).unwrap();
    files.rename((&root, name("fresh")), (&private, name("fresh"))).unwrap();
    assert!(files.private_dir(&root, name(".own")).is_ok());
    assert_eq!(files.names(&private).unwrap(), ["fresh"]);
    assert!(files.private_dir(&root, name("folder")).is_err(), "others may enter it");
    assert!(files.private_dir(&root, name("way")).is_err(), "a link");
    assert!(files.private_dir(&root, name("file.1")).is_err(), "a file");

    // A name that goes takes no other with it.
    files.unlink(&private, name("fresh")).unwrap();
    assert_eq!(kind(files.unlink(&private, name("fresh"))), Some(ErrorKind::NotFound));
    files.unlink(&root, name("link")).unwrap();
    assert_eq!(files.look(&root, name("file.1")).unwrap().links, 1);
    files.unlink(&root, name("other")).unwrap();
    assert_eq!(files.look(&root, name("twin")).unwrap().links, 1);
    assert!(files.unlink(&root, name("folder")).is_err(), "directories stay");

    // The promise that nobody writes.
    assert!(!files.is_leased(&file));
    assert_eq!(files.lease(&file).unwrap(), Lease::Granted);
    assert!(files.is_leased(&file));
    files.rename((&root, name("file.1")), (&private, name("file.1"))).unwrap();
    assert!(files.is_leased(&file), "a rename does not break it");
    files.unlink(&private, name("file.1")).unwrap();
    files.release(&file).unwrap();
    assert!(!files.is_leased(&file));
}

/// The tree that the contract starts from.
#[test]
fn memory_keeps_the_contract() {
    let memory = Memory::new(Timestamp::UNIX_EPOCH);
    memory.mkdir("/logs");
    memory.mkdir("/logs/folder");
    let mut state = memory.state();
    state.put("/logs/file", b"content\n");
    state.point("/logs/link", "/logs/file");
    state.put("/logs/twin", b"");
    state.link("/logs/twin", "/logs/other");
    state.point("/logs/way", "/logs/folder");
    state.open_to_all("/logs/folder");
    drop(state);
    contract(&memory, Path::new("/logs"));
}

fn prepared() -> tempfile::TempDir {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("file"), "content\n").unwrap();
    symlink("file", at("link")).unwrap();
    std::fs::write(at("twin"), "").unwrap();
    std::fs::hard_link(at("twin"), at("other")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::set_permissions(at("folder"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("folder", at("way")).unwrap();
    dir
}

#[test]
fn the_disk_keeps_the_contract() {
    contract(&Disk, prepared().path());
}

/// What the kernel promises, and what a look through the processes finds where it does not.
#[test]
fn a_writer_is_seen_by_descriptor_and_after_a_rename() {
    let dir = prepared();
    let root = Disk.root(dir.path()).unwrap();
    let writer = std::fs::OpenOptions::new().append(true).open(dir.path().join("file")).unwrap();
    let file = Disk.open(&root, name("file")).unwrap();
    assert_eq!(Disk.lease(&file).unwrap(), Lease::Writer);
    assert!(Disk.is_written(&file).unwrap());
    std::fs::rename(dir.path().join("file"), dir.path().join("file.1")).unwrap();
    assert_eq!(Disk.lease(&file).unwrap(), Lease::Writer);
    assert!(Disk.is_written(&file).unwrap());
    drop(writer);
    assert!(!Disk.is_written(&file).unwrap());
    assert_eq!(Disk.lease(&file).unwrap(), Lease::Granted);
    // Whoever comes to write breaks the promise, and this process survives the signal.
    let late = std::thread::spawn(move || std::fs::OpenOptions::new().append(true).open(dir.path().join("file.1")).map(drop));
    while Disk.is_leased(&file) {
        std::thread::yield_now();
    }
    Disk.release(&file).unwrap();
    late.join().unwrap().unwrap();
}

#[test]
fn pipes_do_not_make_the_opening_wait() {
    let dir = prepared();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let root = Disk.root(dir.path()).unwrap();
    assert_eq!(Disk.look(&root, name("pipe")).unwrap().kind, Kind::Other);
    assert_eq!(Disk.stat(&Disk.open(&root, name("pipe")).unwrap()).unwrap().kind, Kind::Other);
}
