//! A first configuration for the logs of a machine: as text, with everything that only a person can decide left to one.

use super::until::Until;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Logs of one layout in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundClass {
    /// Name of the class.
    pub name: String,
    /// Name of the format.
    pub format: String,
    /// Percent of the sample's lines that the format splits.
    pub percent: u8,
    /// Globs of the files.
    pub globs: Vec<String>,
    /// Files that the globs match now.
    pub files: u64,
}

/// What was found on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundLogs {
    /// What could be a class each.
    pub classes: Vec<FoundClass>,
    /// Files whose layout no known format has.
    pub unknown: Vec<PathBuf>,
}

/// The configuration as text. Without a deadline for `raw` it deletes nothing: where a raw form has none, nothing is carried out.
pub fn begin(found: &FoundLogs, state: &str, zone: Option<&str>, raw: Option<Until>) -> String {
    let deletes = match raw {
        None => "# Nothing is deleted by this file as it is: how long the raw logs may stay is left to you, as is every line that says\n".to_owned(),
        Some(until) => format!("# Raw records stay {until}, and go once their clean forms are proven. More is left to you, at every line that says\n"),
    };
    let mut text = format!(
        "# Which logs are kept, in which form, for how long. Made by `logfade init` from what it found on this machine.\n\
         {deletes}\
         # DECIDE. `logfade check` says what is still missing, `logfade plan` what would be done, `logfade explain FILE` what\n\
         # becomes of a line. The first `logfade expire` after a change records its plan and deletes nothing.\n\n",
    );
    let raw_until = match raw {
        None => "# until = \"6 months\"                  # DECIDE: how long a record may stay as the server wrote it".to_owned(),
        Some(until) => format!("until = {}", quoted(&until.to_string())),
    };
    // Writing to a string does not fail.
    let mut line = |words: &str| {
        let _infallible = writeln!(text, "{words}");
    };
    line(&format!("state = {}   # the ledger, keys, and what was read", quoted(state)));
    line("\n# Who answers for the processing; for `logfade register` (GDPR Art. 30).");
    line("# [controller]\n# name    = \"Example AB\"              # DECIDE\n# contact = \"privacy@example.org\"     # DECIDE");
    if found.classes.is_empty() {
        line("\n# No log was found. Name the files of yours, and take the hashes away:");
        line("# [[class]]\n# name   = \"site\"\n# raw    = [\"/var/log/nginx/access.log*\"]\n# format = \"auto\"");
        line(
            "# [[class.keep]]\n# form   = \"raw\"\n# until  = \"6 months\"                # DECIDE\n# [[class.keep]]\n# form   = \"default\"\n# until  = \"25 months\"\n# output = \"/srv/logs/site\"",
        );
    }
    for class in &found.classes {
        let globs: Vec<String> = class.globs.iter().map(|glob| quoted(glob)).collect();
        let files = if class.files == 1 { "1 file".to_owned() } else { format!("{} files", class.files) };
        line(&format!("\n# {files}; {} % of a sample's lines are {}.", class.percent, class.format));
        line(&format!("[[class]]\nname    = {}\nraw     = [{}]\nformat  = {}", quoted(&class.name), globs.join(", "), quoted(&class.format)));
        match zone {
            Some(zone) => line(&format!("zone    = {}   # where a day ends", quoted(zone))),
            None => line("# zone  = \"Europe/Stockholm\"          # where a day ends; UTC if left out"),
        }
        line("# purpose    = \"operate the website, find abuse and faults\"   # DECIDE");
        line("# basis      = \"legitimate interest\"                         # DECIDE");
        line("# categories = [\"visitors of the website\"]                    # DECIDE");
        line(&format!("\n[[class.keep]]\nform  = \"raw\"\n{raw_until}"));
        line(&format!(
            "\n# Addresses truncated, users and queries dropped; `logfade policies show default` has all of it.\n[[class.keep]]\nform   = \"default\"\nuntil  = \"25 months\"                # or less\noutput = {}",
            quoted(&format!("/srv/logs/{}", class.name))
        ));
        line("\n# Counts by day for statistics, in which small groups are not shown:");
        line(&format!("# [[class.keep]]\n# form   = \"aggregate\"\n# until  = \"forever\"\n# output = {}\n# k      = 10", quoted(&format!("/srv/logs/{}-stats", class.name))));
    }
    if !found.unknown.is_empty() {
        line("\n# Not taken, because no known format fits (`logfade detect FILE`; nginx:LOG_FORMAT and apache:LOGFORMAT take your own):");
        for path in &found.unknown {
            line(&format!("#   {}", quoted(&path.to_string_lossy())));
        }
    }
    text
}

/// A basic string of TOML, whose escapes are those of JSON; on one line whatever stands in it.
fn quoted(text: &str) -> String {
    let plain: String = serde_json::Value::from(text).to_string();
    // JSON leaves this control character as it is, TOML does not.
    plain.replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_strings() {
        let class = FoundClass { name: "odd".into(), format: "combined".into(), percent: 100, globs: vec!["/var/log/a\"b\\\n\u{7f}/x.log*".into()], files: 1 };
        let text = begin(&FoundLogs { classes: vec![class], unknown: vec!["/var/log/#\nstate = 1".into()] }, "/var/lib/logfade", None, None);
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["class"][0]["raw"][0].as_str(), Some("/var/log/a\"b\\\n\u{7f}/x.log*"));
        assert_eq!(table["state"].as_str(), Some("/var/lib/logfade"));
        assert!(table["class"][0]["keep"][0].get("until").is_none());
    }
}
