//! The README's commands do what it says: every marked block runs in an empty place with the samples at hand.

use std::path::Path;
use std::process::Command;

use super::support::{Dir, binary, logfade, pipe};

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

/// The text blocks that stand behind a line of their own.
fn shown(readme: &str, title: &str) -> String {
    let rest = readme.split_once(&format!("\n{title}\n\n```text\n")).unwrap_or_else(|| panic!("the README has {title}")).1;
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_picture_is_what_the_program_does() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let outcome = pipe(&[], shown(&readme, "Before:").as_bytes());
    assert_eq!(outcome.expect_code(0).stdout_text(), shown(&readme, "After:"));
}

#[test]
fn every_link_within_leads_somewhere_and_every_format_is_named() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let anchor = |title: &str| -> String {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    let titles: Vec<String> = readme.lines().filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### "))).map(anchor).collect();
    let links: Vec<&str> = readme.match_indices("](#").map(|(at, _)| readme[at + 3..].split(')').next().unwrap()).collect();
    assert!(links.len() > 20);
    for link in links {
        assert!(titles.iter().any(|title| title == link), "#{link}");
    }
    let formats = logfade(&["--json", "formats"]).run(b"").json();
    let formats = formats.as_array().unwrap();
    assert!(formats.len() > 40);
    for format in formats {
        let name = format["name"].as_str().unwrap();
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}
