//! What the binary knows of its surroundings: the state directory and the clock.

use crate::args::Args;
use crate::complain::Complaint;
use crate::config;
use jiff::Timestamp;
use jiff::civil::Date;
use logfade::store::seal::Keychain;
use std::path::PathBuf;

/// `--state`, else `state` of the configuration, else `/var/lib/logfade` for root, else below `$XDG_STATE_HOME`.
pub(crate) fn dir(args: &Args) -> Result<PathBuf, Complaint> {
    if let Some(state) = &args.state {
        return Ok(state.clone());
    }
    if let Some(state) = config::load(args)?.and_then(|config| config.state) {
        return Ok(state);
    }
    fixed(args)
}

/// The same for who has no configuration yet.
pub(crate) fn fixed(args: &Args) -> Result<PathBuf, Complaint> {
    if let Some(state) = &args.state {
        return Ok(state.clone());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/logfade"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("logfade")).ok_or_else(|| Complaint::usage("there is no state directory: neither XDG_STATE_HOME nor HOME is set", "name one with --state DIR"))
}

/// The seal keys of the state directory, for what is sealed; none where no state directory can be named.
pub(crate) fn seals(args: &Args) -> Keychain {
    dir(args).map_or_else(|_unnamed| Keychain::none(), |state| Keychain::of(&state))
}

/// The seal keys for a quarantine: where the state directory has keys of any kind, raw lines are written only sealed.
pub(crate) fn quarantine(args: &Args) -> Option<Keychain> {
    dir(args).ok().filter(|state| Keychain::is_wanted(state)).map(|state| Keychain::of(&state))
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the binary reads the clock, so that nothing below has to")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A time as it is typed: RFC 3339, or a date, which is its beginning in UTC.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let day = |date: Date| date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(|| text.parse().ok().and_then(day)).ok_or_else(|| "write a date such as 2026-11-22, or a time such as 2026-11-22T13:00:00Z".to_owned())
}
