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

/// Reads the configuration, if there is one.
pub(crate) fn load(args: &Args) -> Result<Option<Config>, Complaint> {
    let Some(path) = path(args) else { return Ok(None) };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Complaint::usage(format!("cannot read the configuration {}: {error}", path.display()), "name a file that can be read with -c"))?;
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
    let text = std::fs::read_to_string(&path).map_err(|_unreadable| PolicyFault::Unknown)?;
    let name = path.file_stem().map_or_else(|| word.to_owned(), |stem| stem.to_string_lossy().into_owned());
    // Whether there are keys is found out where they are needed.
    Policy::keyed(&name, &path.to_string_lossy(), &text).map_err(PolicyFault::Fault)
}
