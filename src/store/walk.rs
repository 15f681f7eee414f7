//! Which files are meant: files, directories and globs, and where each one's clean file goes.

use super::shelf::stem;
use super::{Cause, StoreError};
use globset::GlobBuilder;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A raw file and its place below the output directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The raw file, absolute.
    pub source: PathBuf,
    /// As it was named or found.
    pub shown: PathBuf,
    /// Below the output directory, with `.zst` in place of what it was compressed with.
    pub output: PathBuf,
}

/// A path that leads nowhere, or what it leads to.
pub type Found = Result<Item, StoreError>;

fn refused(path: &Path, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "open", path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}

/// Files in the order of their names. A file keeps its name, a directory its tree, a glob what stands behind its first wildcard.
/// Hidden files, links, pipes and devices in directories are not looked at.
pub fn walk(path: &Path, out: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let fate = match path.metadata() {
        Ok(meta) if meta.is_dir() => directory(path, out, &mut found),
        Ok(_) => item(path, Path::new(path.file_name().unwrap_or_default())).map(|item| found.push(Ok(item))),
        Err(_) if is_glob(path) => glob(path, out, &mut found),
        Err(error) => Err(StoreError::io("open", path)(error)),
    };
    found.extend(fate.err().map(Err));
    found
}

/// A line of a manifest: one file, which keeps its whole path below the output directory, whatever else the manifest names.
pub fn listed(line: &[u8]) -> Found {
    let path = PathBuf::from(OsString::from_vec(line.to_vec()));
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refused(&path, "`..` cannot be mirrored", "name the file by a path without it"));
    }
    let below: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    item(&path, &below)
}

fn item(path: &Path, below: &Path) -> Found {
    let source = path.canonicalize().map_err(StoreError::io("open", path))?;
    Ok(Item { source, shown: path.to_owned(), output: named(below) })
}

/// `access.log.2.gz` becomes `access.log.2.zst`.
fn named(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = name.strip_suffix(b".age").filter(|stem| !stem.is_empty()).unwrap_or(name);
    let packed = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes())).filter(|stem| !stem.is_empty());
    let mut name = packed.unwrap_or(name).to_vec();
    name.extend_from_slice(b".zst");
    path.with_file_name(OsString::from_vec(name))
}

fn directory(path: &Path, out: &Path, found: &mut Vec<Found>) -> Result<(), StoreError> {
    let root = path.canonicalize().map_err(StoreError::io("open", path))?;
    if out.starts_with(&root) {
        return Err(refused(path, "the output lies in the directory that is read", "choose an --out elsewhere, so that clean files are not taken for raw ones"));
    }
    tree(&root, &mut |file, below| {
        found.push(file.map(|()| Item { source: root.join(below), shown: path.join(below), output: named(below) }));
    });
    Ok(())
}

/// Every regular file below a directory, in order; one that cannot be read is told as well.
fn tree(root: &Path, tell: &mut dyn FnMut(Result<(), StoreError>, &Path)) {
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let path = root.join(&below);
        let mut entries = match std::fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                tell(Err(StoreError::io("read", &path)(error)), &below);
                continue;
            }
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut inner = Vec::new();
        for entry in entries {
            let below = below.join(entry.file_name());
            let kind = entry.file_type();
            if entry.file_name().as_bytes().starts_with(b".") {
                continue;
            }
            match kind {
                Ok(kind) if kind.is_dir() => inner.push(below),
                Ok(kind) if kind.is_file() => tell(Ok(()), &below),
                Ok(_) => {}
                Err(error) => tell(Err(StoreError::io("read", &entry.path())(error)), &below),
            }
        }
        open.extend(inner.into_iter().rev());
    }
}

fn is_glob(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'{'))
}

/// A quoted glob: the shell's own would have become files.
fn glob(path: &Path, out: &Path, found: &mut Vec<Found>) -> Result<(), StoreError> {
    let root: PathBuf = path.components().take_while(|part| !is_glob(Path::new(part.as_os_str()))).collect();
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { &root };
    let pattern: PathBuf = path.components().skip_while(|part| !is_glob(Path::new(part.as_os_str()))).collect();
    let text = pattern.to_str().ok_or_else(|| refused(path, "this pattern is not UTF-8", "name the files or their directory"))?;
    let matcher = GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|_syntax| refused(path, "this is no pattern", "write *, ?, [a-z] and {a,b}; ** for any depth"))?
        .compile_matcher();
    let base = root.canonicalize().map_err(StoreError::io("open", root))?;
    let before = found.len();
    tree(&base, &mut |file, below| {
        let source = base.join(below);
        if file.is_ok() && matcher.is_match(below) && !source.starts_with(out) {
            found.push(Ok(Item { source, shown: root.join(below), output: named(below) }));
        }
    });
    if found.len() == before { Err(refused(path, "nothing matches this pattern", "see what is there with ls")) } else { Ok(()) }
}

/// The logs of a directory, or of one file: a glob for each, and its files, the newest first. What rotation and compression add to a
/// name, and a date within it, stand for a wildcard. Names that are not UTF-8 are left out.
pub fn logs(place: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, StoreError> {
    let root = place.canonicalize().map_err(StoreError::io("read", place))?;
    let mut files = Vec::new();
    if root.is_dir() {
        std::fs::read_dir(&root).map_err(StoreError::io("read", place))?;
        tree(&root, &mut |file, below| files.extend(file.is_ok().then(|| root.join(below))));
    } else {
        files.push(root);
    }
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let (Some(directory), Some(name)) = (file.parent().and_then(Path::to_str), file.file_name().and_then(OsStr::to_str)) else { continue };
        let stem = stem(OsStr::new(name)).into_string().unwrap_or_default();
        let escaped = |text: &str| text.chars().flat_map(|char| "*?[]{}\\".contains(char).then_some('\\').into_iter().chain([char])).collect::<String>();
        let dated = dated(&stem);
        let glob = dated.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("*");
        let end = if glob.ends_with('*') { "" } else { "*" };
        found.entry(format!("{}/{glob}{end}", escaped(directory))).or_default().push(file);
    }
    let written = |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).ok();
    found.values_mut().for_each(|files| files.sort_by_key(|path| std::cmp::Reverse((written(path), path.clone()))));
    Ok(found)
}

/// What stands around the dates of a name: `access-20260101.log` has `access-` and `.log`.
fn dated(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let is_date = |at: usize| {
        let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
        let bounded = |end: usize| !bytes.get(end).is_some_and(u8::is_ascii_digit) && !at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(u8::is_ascii_digit);
        let dashes = bytes.get(at + 4) == Some(&b'-') && bytes.get(at + 7) == Some(&b'-');
        match (digits(at..at + 8), digits(at..at + 4) && dashes && digits(at + 5..at + 7) && digits(at + 8..at + 10)) {
            (true, _) if bounded(at + 8) => Some(8),
            (_, true) if bounded(at + 10) => Some(10),
            _ => None,
        }
    };
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match is_date(at) {
            Some(width) => {
                parts.push(name.get(start..at).unwrap_or_default());
                (start, at) = (at + width, at + width);
            }
            None => at += 1,
        }
    }
    parts.push(name.get(start..).unwrap_or_default());
    parts
}

/// The output directory, absolute, whether it is there or not.
pub fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let full = std::path::absolute(path).map_err(StoreError::io("open", path))?;
    // What is there already may be reached over links.
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut front = full.as_path();
    while let (Some(parent), Some(name)) = (front.parent(), front.file_name()) {
        missing.push(name);
        front = parent;
        if let Ok(known) = front.canonicalize() {
            return Ok(missing.iter().rev().fold(known, |path, name| path.join(name)));
        }
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_stem() {
        for (name, clean) in
            [("a.log", "a.log.zst"), ("a.log.2.gz", "a.log.2.zst"), ("b/a.log.xz", "b/a.log.zst"), ("a.zst", "a.zst"), ("a.log.zst.age", "a.log.zst"), (".gz", ".gz.zst")]
        {
            assert_eq!(named(Path::new(name)), Path::new(clean));
        }
    }

    #[test]
    fn what_rotation_made_of_a_log_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["access.log", "access.log.1", "access.log.2.gz", "shop-20260101.log", "shop-20260102.log.gz", "a[b].log", ".hidden", "w/2026-01-01.log"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), b"").unwrap();
        }
        let found: Vec<(String, usize)> = logs(&root).unwrap().into_iter().map(|(glob, files)| (glob.replace(root.to_str().unwrap(), ""), files.len())).collect();
        assert_eq!(found, [("/a\\[b\\].log*", 1), ("/access.log*", 3), ("/shop-*.log*", 2), ("/w/*.log*", 1)].map(|(glob, files)| (glob.to_owned(), files)));
        assert!(logs(&root.join("missing")).is_err());
    }

    #[test]
    fn trees_and_globs_are_found_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["b/access.log", "a.log", "b/c/access.log.1.gz", ".hidden", "b/.logfade/x"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), b"").unwrap();
        }
        std::os::unix::fs::symlink(root.join("a.log"), root.join("b/link.log")).unwrap();
        let outputs = |path: &Path, out: &Path| -> Vec<String> {
            walk(path, out).into_iter().map(|found| found.map_or_else(|error| error.to_string(), |item| item.output.display().to_string())).collect()
        };
        let out = Path::new("/nowhere");
        assert_eq!(outputs(&root, out), ["a.log.zst", "b/access.log.zst", "b/c/access.log.1.zst"]);
        assert_eq!(outputs(&root.join("b/**/access*"), out), ["access.log.zst", "c/access.log.1.zst"]);
        assert_eq!(outputs(&root.join("b/c/access.log.1.gz"), out), ["access.log.1.zst"]);
        assert!(outputs(&root, &root.join("out"))[0].contains("output lies in"));
        assert!(outputs(&root.join("*.nothing"), out)[0].contains("nothing matches"));
        assert!(walk(&root.join("missing.log"), out)[0].is_err());
    }
}
