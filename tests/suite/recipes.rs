//! What the README quotes of a recipe stands in its script to the letter, every recipe is quoted, and packages have what they name.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::support::{Dir, logfade};

/// Recipes that are about no block of the README by itself.
const WHOLE: [&str; 3] = ["run", "package", "newcomer"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks that say which recipe they are from: its name, the number of the first line, the text.
fn quotes(text: &str) -> Vec<(String, usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.trim().strip_prefix("<!-- tests/recipes/").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        assert!(lines.get(at + 1).is_some_and(|next| next.starts_with("```")), "line {}: a block follows its mark", at + 1);
        let block: Vec<&str> = lines[at + 2..].iter().take_while(|line| **line != "```").copied().collect();
        found.push((name.to_owned(), at + 3, block.join("\n")));
    }
    found
}

/// What a script gives to a program to the letter.
fn given(script: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut block: Option<Vec<&str>> = None;
    for line in script.lines() {
        if let Some(lines) = block.as_mut() {
            if line == "END" {
                found.insert(lines.join("\n"));
                block = None;
            } else {
                lines.push(line);
            }
        } else if line.ends_with("<<'END'") {
            block = Some(Vec::new());
        }
    }
    found
}

fn recipes() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("tests/recipes")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.metadata().unwrap().permissions().mode() & 0o100 != 0 && path.is_file()).collect()
}

#[test]
fn the_readme_quotes_every_recipe_to_the_letter() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let quotes = quotes(&readme);
    for (name, line, text) in &quotes {
        let script = fs::read_to_string(root().join("tests/recipes").join(name)).unwrap_or_else(|_| panic!("README.md:{line}: there is no recipe {name}"));
        assert!(given(&script).contains(text), "README.md:{line} is not what tests/recipes/{name} runs:\n{text}");
    }
    for path in recipes() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let said = readme.contains(&format!("tests/recipes/{name}"));
        assert!(said || WHOLE.contains(&name.as_str()), "the README says nothing of tests/recipes/{name}");
        let script = fs::read_to_string(&path).unwrap();
        for text in given(&script) {
            assert!(quotes.iter().any(|(of, _, quoted)| *of == name && *quoted == text), "tests/recipes/{name} runs what the README does not show:\n{text}");
        }
    }
    assert!(quotes.len() > 10, "{}", quotes.len());
}

#[test]
fn quotes_are_told_from_other_blocks() {
    let text = "<!-- tests/recipes/a -->\n```sh\none\n\ntwo\n```\n```sh\nno\n```\n";
    assert_eq!(quotes(text), [("a".to_owned(), 3, "one\n\ntwo".to_owned())]);
    assert_eq!(given("x\nhere f <<'END'\none\n\ntwo\nEND\nno\n"), BTreeSet::from(["one\n\ntwo".to_owned()]));
}

#[test]
fn whatever_a_package_holds_is_there_or_made() {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    for asset in deb["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        if !source.starts_with("target/") {
            let source = root().join(source.trim_end_matches("/*"));
            assert!(source.exists(), "{}", source.display());
        }
    }
    let script = fs::read_to_string(root().join("samples/debian/build")).unwrap();
    let dir = Dir::new();
    fs::create_dir(dir.at("man")).unwrap();
    logfade(&["man", &dir.arg("man")]).run(b"").expect_code(0);
    let pages: Vec<String> = fs::read_dir(dir.at("man")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // What the first page names is there.
    let first = String::from_utf8(dir.read("man/logfade.1")).unwrap().replace('\\', "");
    let named: Vec<&str> = first.lines().filter_map(|line| line.strip_suffix("(1)")).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(pages.contains(&format!("{name}.1")), "{name}");
    }
    logfade(&["man", &dir.arg("missing")]).run(b"").expect_code(2);
    for made in ["logfade.$shell", "logfade.schema.json", "logfade.cdx.json", "man \"$made/man\""] {
        assert!(script.contains(made), "{made}");
    }
    // What the package puts in its place says nothing, so that `init` may.
    let config = dir.file("logfade.toml", &fs::read(root().join("samples/debian/logfade.toml")).unwrap());
    fs::create_dir(dir.at("log")).unwrap();
    fs::copy(root().join("samples/access.log"), dir.at("log/access.log")).unwrap();
    logfade(&["--state", &dir.arg("state"), "init", "-o", &config, &dir.arg("log")]).run(b"").expect_code(0);
}
