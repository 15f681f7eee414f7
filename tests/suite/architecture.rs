//! The fences between folders: arrows go one way, pure folders stay pure, files stay readable.

use std::fs;
use std::path::{Path, PathBuf};

/// Each folder and the folders that it may use.
const LAYERS: [(&str, &[&str]); 6] = [
    ("format", &["format"]),
    ("scrub", &["format", "scrub", "diagnostic"]),
    ("retain", &["format", "scrub", "retain", "diagnostic"]),
    ("report", &["format", "scrub", "retain", "report", "diagnostic"]),
    ("store", &["format", "scrub", "retain", "store", "diagnostic"]),
    ("run", &["format", "scrub", "retain", "store", "report", "run", "diagnostic"]),
];

/// What pure folders do without.
const IMPURE: [&str; 10] = ["std::fs", "std::env", "std::io", "std::thread", "std::process", "std::net::Tcp", "SystemTime", "Instant::", "println!", "tokio::"];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                found.push((entry, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// The part in front of the tests: a test may read files.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Lines that are no comments.
fn statements(text: &str) -> impl Iterator<Item = (usize, &str)> {
    code(text).lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn arrows_between_folders_go_one_way() {
    for (folder, allowed) in LAYERS {
        for (path, text) in sources(folder) {
            for (at, line) in statements(&text) {
                for used in line.match_indices("crate::").map(|(start, _)| &line[start + 7..]) {
                    let name: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                    assert!(name.is_empty() || allowed.contains(&name.as_str()), "{}:{at}: {folder} may not use {name}", path.display());
                }
            }
        }
    }
}

#[test]
fn pure_folders_touch_nothing_outside() {
    for folder in ["format", "scrub", "retain", "report"] {
        for (path, text) in sources(folder) {
            // The generator of the agents' data is compiled for tests only.
            if path.ends_with("agent/generate.rs") || path.ends_with("agent/literals.rs") {
                continue;
            }
            for (at, line) in statements(&text) {
                for word in IMPURE {
                    assert!(!line.contains(word), "{}:{at}: {folder} is pure and may not use {word}", path.display());
                }
            }
        }
    }
}

#[test]
fn clean_bytes_are_written_in_the_gate_alone() {
    for folder in ["store", "run", "bin", "format"] {
        for (path, text) in sources(folder) {
            for (at, line) in statements(&text) {
                assert!(!line.contains(" Clean {") && !line.contains("clean.buffer()"), "{}:{at}: only scrub/ fills Clean", path.display());
            }
        }
    }
    let clean = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scrub/clean.rs")).unwrap();
    for verb in ["fn put", "fn rewind", "fn buffer"] {
        let declared = clean.lines().find(|line| line.contains(verb)).unwrap_or_default();
        assert!(declared.contains("pub(in crate::scrub)"), "{verb} is not fenced");
    }
}

#[test]
fn only_the_store_opens_files() {
    let openers = ["File::open", "File::create", "OpenOptions", "fs::read(", "rustix::fs::open"];
    for (path, text) in sources("run") {
        for (at, line) in statements(&text) {
            for word in openers {
                assert!(!line.contains(word), "{}:{at}: {word} belongs into store/", path.display());
            }
        }
    }
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    for (path, text) in sources("") {
        assert!(text.starts_with("//! "), "{} does not begin with a sentence about itself", path.display());
        let lines = code(&text).lines().count();
        assert!(lines <= 520, "{} has {lines} lines without its tests", path.display());
    }
}

#[test]
fn everything_that_is_left_open_is_said_elsewhere() {
    for (path, text) in sources("") {
        for word in ["todo!(", "unimplemented!(", "FIXME", "#[ignore"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn every_mutation_still_has_its_text_and_its_test() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutations");
    let Ok(done) = std::process::Command::new("python3").arg(&script).arg("--check").output() else {
        println!("skipped: no python3");
        return;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
