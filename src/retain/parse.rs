//! From the text of a configuration to its values: the root, and what classes must agree on.

mod class;
mod form;

use super::class::{Class, Output, Source};
use super::config::{Config, Controller, KeyMode, Keys, Outside, Run};
use super::schema::ROOT;
use super::toml::{Fault, Section, Text};
use super::until;
use ::toml::de::DeTable;
use jiff::SignedDuration;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Reads a configuration.
pub(super) fn config(origin: &str, text: &str, outside: Outside<'_>) -> Result<Config, Fault> {
    let text = Text { origin, text };
    let table = DeTable::parse(text.text).map_err(|error| {
        let remedy = "correct the line that the caret shows; strings stand in double quotes";
        text.fault(error.span().unwrap_or(0..0), "the configuration is not valid TOML", (error.message(), remedy))
    })?;
    let root = text.root(table.get_ref(), ROOT)?;
    let state = root.text_of("state").map(|path| directory(&root, "state", path)).transpose()?;
    let controller = root.section("controller").map(|section| controller(&section)).transpose()?;
    let keys = root.section("keys").map(|section| keys(&section)).transpose()?;
    let run = root.section("run").map_or(Ok(Run::default()), |section| run(&section))?;
    let mut classes: Vec<(Class, Section<'_>)> = Vec::new();
    for section in root.sections("class") {
        let class = class::class(&section, outside)?;
        if classes.iter().any(|(known, _)| known.name == class.name) {
            return Err(section.fault("name", format!("two classes are called `{}`", class.name), ("the second one", "give each a name of its own: ledger and holds refer to it")));
        }
        classes.push((class, section));
    }
    distinct(&classes, state.as_deref())?;
    Ok(Config { state, controller, keys, run, classes: classes.into_iter().map(|(class, _)| class).collect() })
}

fn controller(section: &Section<'_>) -> Result<Controller, Fault> {
    Ok(Controller {
        name: section.words("name")?.unwrap_or_default(),
        contact: section.words("contact")?.unwrap_or_default(),
        representative: section.words("representative")?,
        officer: section.words("officer")?,
    })
}

fn keys(section: &Section<'_>) -> Result<Keys, Fault> {
    let default = Keys::default();
    Ok(Keys {
        mode: if section.text_of("mode") == Some("fleet") { KeyMode::Fleet } else { KeyMode::Local },
        keep: duration(section, "keep", SignedDuration::ZERO)?.unwrap_or(default.keep),
    })
}

fn run(section: &Section<'_>) -> Result<Run, Fault> {
    let default = Run::default();
    let metrics = section.text_of("metrics").map(|text| {
        text.parse().ok().ok_or_else(|| section.fault("metrics", format!("`{text}` is no address with a port"), ("not an address", "write it as 127.0.0.1:9464 or [::1]:9464")))
    });
    Ok(Run { metrics: metrics.transpose()?, expire_every: duration(section, "expire_every", SignedDuration::from_mins(1))?.unwrap_or(default.expire_every) })
}

/// A duration on the clock, not below `least`.
fn duration(section: &Section<'_>, name: &str, least: SignedDuration) -> Result<Option<SignedDuration>, Fault> {
    let Some(text) = section.text_of(name) else { return Ok(None) };
    let read =
        until::duration(text).ok_or_else(|| section.fault(name, format!("`{text}` is no duration"), ("not a duration", "write it as 1 second, 90 minutes, 24 hours or 7 days")))?;
    if read < least {
        let seconds = least.as_secs();
        return Err(section.fault(name, format!("`{text}` is too short for {name}"), ("too short", format!("give at least {seconds} seconds"))));
    }
    Ok(Some(read))
}

/// An absolute path in its shortest writing, so that two writings of one place are one.
fn directory(section: &Section<'_>, name: &str, text: &str) -> Result<PathBuf, Fault> {
    let path: PathBuf = Path::new(text).components().collect();
    let plain = path.is_absolute() && path.components().all(|part| part != std::path::Component::ParentDir);
    if plain && path.parent().is_some() {
        return Ok(path);
    }
    Err(section.fault(name, format!("`{text}` is no directory that {name} can have"), ("not an absolute path", "write the whole path, from / on and without `..`")))
}

/// What no two forms, of one class or of two, may share.
fn distinct(classes: &[(Class, Section<'_>)], state: Option<&Path>) -> Result<(), Fault> {
    let mut taken: Vec<(&Output, &Class, &str)> = Vec::new();
    for (class, section) in classes {
        for (form, place) in class.all_forms().zip(places(section)) {
            let Some(output) = &form.output else { continue };
            let fault = |cause: String, words: (&str, String)| Err(section.text.fault(place.clone(), cause, words));
            // Several classes may share standard output, whose reader tells their lines apart.
            let same = taken.iter().find(|(known, other, _)| *known == output && (*output != Output::Stdout || other.name == class.name));
            if let Some((_, other, name)) = same {
                let remedy = format!("give it an output of its own: class {}, form {name} writes there", other.name);
                return fault("two forms write to the same output".into(), ("taken already", remedy));
            }
            if let Output::Directory(path) = output {
                if state.is_some_and(|state| path == state) {
                    return fault("an output is the state directory".into(), ("taken by `state`", "name another directory".into()));
                }
                if let Some((other, glob)) = classes.iter().find_map(|(other, _)| Some((other, catches(other, path)?))) {
                    let remedy = format!("name another directory, or a narrower glob than {glob}");
                    return fault(format!("what is written here would be raw of class {}", other.name), ("a raw glob takes it in again", remedy));
                }
            }
            taken.push((output, class, &form.name));
        }
    }
    for (at, (class, section)) in classes.iter().enumerate() {
        let (Source::Raw(globs), before) = (&class.source, classes.get(..at).unwrap_or_default()) else { continue };
        for ((_, span), glob) in section.texts("raw").into_iter().zip(globs) {
            let shared = before.iter().find(|(other, _)| matches!(&other.source, Source::Raw(others) if others.iter().any(|known| known.text == glob.text)));
            if let Some((other, _)) = shared {
                return Err(section.text.fault(
                    span,
                    format!("class {} has the same raw files", other.name),
                    ("taken already", "a file belongs to one class: keep several forms of it instead"),
                ));
            }
        }
    }
    Ok(())
}

/// The glob of a class that would take what is written to `directory` for raw.
fn catches<'c>(class: &'c Class, directory: &Path) -> Option<&'c str> {
    let Source::Raw(globs) = &class.source else { return None };
    let written = |glob: &str| {
        let stem = glob.rsplit('/').next().unwrap_or_default().replace(['*', '?', '[', ']', '{', '}', '\\'], "");
        directory.join(format!("{stem}.20260101T000000Z--20260102T000000Z.01234567.zst"))
    };
    globs.iter().find(|glob| glob.matcher.is_match(written(&glob.text))).map(|glob| glob.text.as_str())
}

/// Where the outputs of a class's forms stand, raw first.
fn places(section: &Section<'_>) -> Vec<Range<usize>> {
    let mut sections = section.sections("keep");
    sections.sort_by_key(|form| form.text_of("form") != Some("raw"));
    sections.iter().map(|form| form.place("output")).collect()
}
