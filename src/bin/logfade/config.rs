//! The configuration file: found, read, and what it names looked up.

use crate::args::Args;
use crate::complain::Complaint;
use jiff::tz::TimeZone;
use logfade::retain::{Config, Outside, PolicyFault};
use logfade::scrub::Policy;
use std::path::{Path, PathBuf};

/// Where a configuration is looked for.
pub(crate) const DEFAULT: &str = "/etc/logfade/logfade.toml";

/// The configuration file that counts: the one that was named, else the default if it is there.
pub(crate) fn path(args: &Args) -> Option<PathBuf> {
    args.config.clone().or_else(|| Some(PathBuf::from(DEFAULT)).filter(|path| path.exists()))
}

/// Why a file of settings has no text.
pub(crate) enum Unread {
    /// The system said so.
    Io(std::io::Error),
    /// It is something else.
    Foreign(Complaint),
}

/// A policy or a configuration. Faults are shown with their line, so what may be a log by mistake is refused before that.
pub(crate) fn text(path: &Path, what: &str) -> Result<String, Unread> {
    let text = std::fs::read_to_string(path).map_err(Unread::Io)?;
    match text.trim_start_matches('\u{FEFF}').lines().enumerate().map(|(at, line)| (at + 1, line.trim_start())).find(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        Some((at, line)) if !is_toml(line) => Err(Unread::Foreign(Complaint::usage(
            format!("{}:{at}: this is no {what}, perhaps it is a log: the line is not shown", path.display()),
            format!("name a {what} in TOML, which begins with `key = value` or `[table]`"),
        ))),
        _ => Ok(text),
    }
}

/// Whether TOML may begin like this.
fn is_toml(line: &str) -> bool {
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    match line.split_once('=') {
        _ if line.starts_with('[') => is_key(line.split('#').next().unwrap_or_default().trim_matches(['[', ']', ' ', '\t', '"', '\''])),
        Some((key, value)) => is_key(key.trim_matches([' ', '\t', '"', '\''])) && !goes_on(value.trim_start()),
        None => false,
    }
}

/// Whether another key follows a value on its line, as in logfmt. What cannot be told at a glance passes.
fn goes_on(value: &str) -> bool {
    let behind = match value.chars().next() {
        Some('{' | '[') => return false,
        Some(quote @ ('"' | '\'')) if !value.contains('\\') => value.get(1..).and_then(|rest| rest.split_once(quote)).map_or("", |(_, behind)| behind),
        Some('"' | '\'') => return false,
        _ => value,
    };
    behind.split('#').next().is_some_and(|behind| behind.contains('='))
}

/// Reads the configuration, if there is one.
pub(crate) fn load(args: &Args) -> Result<Option<Config>, Complaint> {
    let Some(path) = path(args) else { return Ok(None) };
    let text = text(&path, "configuration").map_err(|unread| match unread {
        Unread::Io(error) => Complaint::usage(format!("cannot read the configuration {}: {error}", path.display()), "name a file that can be read with -c"),
        Unread::Foreign(complaint) => complaint,
    })?;
    let outside = Outside { policy: &|word| policy(&path, word), zone: &|name| TimeZone::get(name).ok() };
    Ok(Some(Config::parse(&path.to_string_lossy(), &text, outside)?))
}

/// Reads the configuration that a command cannot do without.
pub(crate) fn required(args: &Args) -> Result<Config, Complaint> {
    load(args)?.ok_or_else(|| Complaint::usage("there is no configuration", format!("name one with -c, or let `logfade init` write {DEFAULT}; samples/retention has examples")))
}

/// A built-in policy, else the file of that name beside the configuration.
fn policy(config: &Path, word: &str) -> Result<Policy, PolicyFault> {
    if let Some(policy) = Policy::built_in(word) {
        return Ok(policy);
    }
    let path = config.parent().unwrap_or(Path::new("")).join(word);
    let text = text(&path, "policy").map_err(|_unread| PolicyFault::Unknown)?;
    let name = path.file_stem().map_or_else(|| word.to_owned(), |stem| stem.to_string_lossy().into_owned());
    // Whether there are keys is found out where they are needed.
    Policy::keyed(&name, &path.to_string_lossy(), &text).map_err(PolicyFault::Fault)
}
