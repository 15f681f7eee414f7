//! The README's commands do what it says: every marked block runs in an empty place with the samples at hand.

use std::path::Path;
use std::process::Command;

use super::support::{Dir, binary};

const MARK: &str = "<!-- test -->";

/// The `sh` blocks that stand behind a mark, with the number of their first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut marked = false;
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some((_, commands)) = block.as_mut() {
            if line.trim_end() == "```" {
                found.extend(block.take());
            } else {
                commands.push_str(line);
                commands.push('\n');
            }
        } else if marked && line.trim_end() == "```sh" {
            block = Some((index + 2, String::new()));
            marked = false;
        } else if line.trim() == MARK {
            marked = true;
        } else if !line.trim().is_empty() {
            marked = false;
        }
    }
    assert!(block.is_none(), "a block is not closed");
    found
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

#[test]
fn every_marked_block_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("there is a README");
    let blocks = blocks(&readme);
    assert!(!blocks.is_empty(), "the README has blocks marked {MARK}");
    let directory = binary().canonicalize().unwrap().parent().unwrap().to_path_buf();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    for (line, commands) in blocks {
        let place = Dir::new();
        if root.join("samples").is_dir() {
            copy_tree(&root.join("samples"), &place.at("samples"));
        }
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", &commands]).current_dir(place.path()).env("PATH", &path).env("HOME", place.path());
        let outcome = shell.env("XDG_STATE_HOME", place.at("state")).output().expect("sh runs");
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success(), "README.md:{line} ends with {}:\n{commands}\n{stderr}", outcome.status);
    }
}

#[test]
fn only_marked_blocks_are_taken() {
    let text = "a\n<!-- test -->\n```sh\none\ntwo\n```\n```sh\nno\n```\n<!-- test -->\nwords\n```sh\nno\n```\n<!-- test -->\n\n```sh\nthree\n```\n";
    assert_eq!(blocks(text), [(4, "one\ntwo\n".to_owned()), (18, "three\n".to_owned())]);
}
