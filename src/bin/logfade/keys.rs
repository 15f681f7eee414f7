//! `logfade keys`: what there is, a first one, a copy, an end, and the way back for the holder.

use crate::args::Args;
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say};
use crate::state::now;
use crate::{Outcome, config, seals, state};
use clap::{Args as Group, Subcommand};
use jiff::SignedDuration;
use logfade::run::expire::{Fate, KeyVerdict, destroy_seal};
use logfade::scrub::{Period, Policy};
use logfade::store::keys::{Export, KeyMode, KeyRing, KeyState, KeyStore};
use logfade::store::seal::{Keychain, SealId, SealKey};
use serde_json::json;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `logfade keys`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade keys init                              a key directory; a key is made with the first record of each day
  logfade keys init --fleet seed                 the same pseudonyms on every machine that was given this seed
  logfade keys list
  logfade keys destroy 2026-11-22                its pseudonyms cannot be made or undone any more
  logfade keys decrypt 203.0.113.9 --period 2026-11-22
  logfade keys export --current -o state         for a new machine of a fleet: keys init --fleet state")]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
enum Action {
    /// Which periods have a key, and which were destroyed
    List,
    /// Make the key directory
    #[command(after_help = "With --fleet every machine that was given the same seed writes the same pseudonym on the same day.
The seed file is overwritten and removed; whoever keeps a copy of it can compute every later key.
A further machine is better given what `logfade keys export --current` wrote: SEEDFILE may be that, too.")]
    Init {
        /// Take over a seed of at least 32 random bytes, or an exported state; the file is destroyed
        #[arg(long, value_name = "SEEDFILE")]
        fleet: Option<PathBuf>,
    },
    /// Copy key material to a new file of mode 0400, or to stdout if that is no terminal
    Export {
        /// The key of this UTC day (2026-11-22)
        #[arg(required_unless_present = "current", conflicts_with = "current")]
        period: Option<Period>,
        /// The current state of fleet mode, for a new machine
        #[arg(long)]
        current: bool,
        /// A file that is not there yet
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Destroy the key of a period for good (in fleet mode also every key before it), or a seal key. The ledger says so first; a hold forbids it
    Destroy {
        /// A UTC day (2026-11-22), or the 16 hex digits of a seal key
        #[arg(value_name = "PERIOD", value_parser = key)]
        key: Key,
    },
    /// The address behind one that encrypt-prefix wrote. Shows raw data to you
    Decrypt {
        /// An address of a clean file
        addr: IpAddr,
        /// The UTC day of its record (2026-11-22)
        #[arg(long, value_name = "P")]
        period: Period,
    },
}

/// What can be destroyed.
#[derive(Clone, Copy, Debug)]
enum Key {
    Period(Period),
    Seal(SealId),
}

fn key(text: &str) -> Result<Key, String> {
    text.parse().map(Key::Seal).or_else(|_no_seal| text.parse().map(Key::Period).map_err(|error: <Period as std::str::FromStr>::Err| error.to_string()))
}

/// What the configuration says about keys.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// `keys.mode`; `None`: whatever the directory was made for.
    mode: Option<KeyMode>,
    /// `keys.keep`
    keep: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: None, keep: SignedDuration::from_hours(24) }
    }
}

impl Settings {
    fn load(args: &Args) -> Result<Self, Complaint> {
        let keys = config::load(args)?.and_then(|config| config.keys);
        Ok(keys.map_or_else(Self::default, |keys| Self { mode: Some(keys.mode), keep: keys.keep }))
    }
}

/// The keys that a policy needs; `None` if it needs none.
pub(crate) fn ring(args: &Args, policy: &Policy) -> Result<Option<Arc<KeyRing>>, Complaint> {
    Ok(sound(args, policy)?.map(|(store, keep)| KeyRing::new(store, keep, Box::new(now))))
}

/// The same for a look ahead, which leaves no key behind.
pub(crate) fn trial(args: &Args, policy: &Policy) -> Result<Option<Arc<KeyRing>>, Complaint> {
    Ok(sound(args, policy)?.map(|(store, keep)| KeyRing::trial(store, keep, Box::new(now))))
}

fn sound(args: &Args, policy: &Policy) -> Result<Option<(KeyStore, SignedDuration)>, Complaint> {
    if !policy.is_keyed() {
        return Ok(None);
    }
    let (store, keep) = opened(args)?;
    store.sound()?;
    Ok(Some((store, keep)))
}

/// The keys of the state directory, held against the ledger.
fn opened(args: &Args) -> Result<(KeyStore, SignedDuration), Complaint> {
    let settings = Settings::load(args)?;
    let store = KeyStore::open(&state::dir(args)?, settings.mode)?;
    guard(&store)?;
    Ok((store, settings.keep))
}

/// Refuses keys that the ledger knows as destroyed.
fn guard(store: &KeyStore) -> Result<(), Complaint> {
    let restored = store.guard(now())?;
    let Some(last) = restored.last() else { return Ok(()) };
    let names: Vec<String> = restored.iter().map(Period::to_string).collect();
    let ends: Vec<String> = match store.mode() {
        KeyMode::Local => restored.iter().map(|period| format!("`logfade keys destroy {period}`")).collect(),
        // It takes all before it along.
        KeyMode::Fleet => vec![format!("`logfade keys destroy {last}`")],
    };
    let cause = format!("the ledger says that the key of {} was destroyed, and somebody put it back: an older key or key directory was restored", names.join(", "));
    let remedy = format!("end it again with {}, and see who restored it: pseudonyms of a destroyed key are not to be made again", ends.join(", "));
    Err(Complaint::refused(cause, remedy))
}

/// The keys that expiry looks after, if there are any; `plan` changes nothing there.
pub(crate) fn expiring(args: &Args, is_plan: bool) -> Result<Option<(KeyStore, SignedDuration)>, Complaint> {
    let state = state::dir(args)?;
    if !KeyStore::is_there(&state) {
        return Ok(None);
    }
    if is_plan {
        let settings = Settings::load(args)?;
        return Ok(Some((KeyStore::look(&state, settings.mode)?, settings.keep)));
    }
    opened(args).map(Some)
}

/// What is said of keys whose time is over: the JSON of `plan`, with what became of them in `expire`.
pub(crate) fn over_json(verdicts: &[KeyVerdict], is_plan: bool) -> serde_json::Value {
    let row = |verdict: &KeyVerdict| {
        let reason = if verdict.hold.is_some() { "held" } else { "expired" };
        let actions: &[&str] = if verdict.hold.is_some() { &[] } else { &["destroy"] };
        let mut row = json!({"period": verdict.period.to_string(), "reason": reason, "hold": verdict.hold, "actions": actions});
        if let (false, Some(row)) = (is_plan, row.as_object_mut()) {
            row.insert("outcome".into(), json!(verdict.fate.name()));
        }
        row
    };
    verdicts.iter().map(row).collect()
}

/// The same for people, one line for each key.
pub(crate) fn over_text(verdicts: &[KeyVerdict], is_plan: bool) -> String {
    let mut text = String::new();
    for KeyVerdict { period, hold, fate } in verdicts {
        let what = match (hold, fate) {
            (Some(hold), _) => format!("kept by the hold {}", sane(hold)),
            (None, Fate::Done) => "destroyed".to_owned(),
            (None, _) if is_plan => "expired, to be destroyed".to_owned(),
            (None, fate) => format!("expired, {}", fate.name()),
        };
        let _infallible = writeln!(text, "key of {period}: {what}");
    }
    text
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Keys) -> Outcome {
    let state = state::dir(args)?;
    let now = now();
    let Settings { mode, keep } = Settings::load(args)?;
    match &typed.action {
        Action::List => {
            let sealed = Keychain::of(&state).list()?;
            if !KeyStore::is_there(&state) && !sealed.is_empty() {
                return if args.json { say(&format!("{}\n", json!({"mode": null, "periods": [], "seals": seals::list_json(&sealed)}))) } else { say(&seals::list_text(&sealed)) };
            }
            let store = KeyStore::open(&state, mode)?;
            // It shows what was put back, and does nothing with it.
            store.guard(now)?;
            list(args, &store, &sealed)
        }
        Action::Init { fleet } => {
            let made = match (fleet, mode) {
                (Some(_), Some(KeyMode::Local)) => return Err(Complaint::usage("the configuration says keys.mode = \"local\"", "leave --fleet out, or set keys.mode = \"fleet\"")),
                (None, Some(KeyMode::Fleet)) => return Err(Complaint::usage("the configuration says keys.mode = \"fleet\"", "name the seed file with --fleet FILE")),
                (Some(handed), _) => KeyStore::init_fleet(&state, handed, now, keep)?,
                (None, _) => KeyStore::init_local(&state)?,
            };
            guard(&made)?;
            init(args, &state, &made, fleet.as_deref())
        }
        Action::Export { period, output, .. } => {
            let what = period.map_or(Export::Current, Export::Period);
            opened(args)?.0.export(what, output.as_deref(), (now, keep))?;
            let Some(path) = output else { return Ok(Exit::Done) };
            let name = period.map_or_else(|| String::from("current"), |period| period.to_string());
            report(args, &json!({"exported": name, "path": path.to_string_lossy()}), &format!("{name} is in {}; whoever has it can make these pseudonyms\n", path.display()))
        }
        Action::Destroy { key: Key::Seal(id) } => {
            let gone = destroy_seal(&state, *id, now)?;
            let text = if gone { "it is destroyed; what it sealed cannot be read any more\n" } else { "there is no such seal key\n" };
            report(args, &json!({"seal": id.to_string(), "destroyed": gone}), text)
        }
        Action::Destroy { key: Key::Period(period) } => {
            let gone: Vec<String> = KeyStore::open(&state, mode)?.destroy(*period, now)?.iter().map(Period::to_string).collect();
            let text = match gone.as_slice() {
                [] => format!("{period} had no key, and will never have one\n"),
                [one] => format!("{one} is destroyed; its pseudonyms cannot be made or undone any more\n"),
                [first, .., last] => format!("{first} to {last} are destroyed; their pseudonyms cannot be made or undone any more\n"),
            };
            report(args, &json!({"period": period.to_string(), "destroyed": gone}), &text)
        }
        Action::Decrypt { addr, period } => {
            let key = opened(args)?.0.held_key(*period, now)?;
            let key = key.ok_or_else(|| Complaint::usage(format!("{period} has no key here"), "`logfade keys list` shows the periods; what is destroyed cannot be undone"))?;
            let plain = key.decrypt_prefix(*addr);
            report(args, &json!({"addr": addr.to_string(), "period": period.to_string(), "decrypted": plain.to_string()}), &format!("{plain}\n"))
        }
    }
}

fn report(args: &Args, json: &serde_json::Value, text: &str) -> Outcome {
    if args.json {
        say(&format!("{json}\n"))
    } else if args.quiet && !text.is_empty() && json.get("decrypted").is_none() {
        Ok(Exit::Done)
    } else {
        say(text)
    }
}

const fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Held => "held",
        KeyState::Destroyed => "destroyed",
        KeyState::Restored => "restored",
    }
}

fn list(args: &Args, store: &KeyStore, sealed: &[SealKey]) -> Outcome {
    let inventory = store.list()?;
    let mode = inventory.mode;
    if args.json {
        let rows: Vec<_> = inventory.periods.iter().map(|(period, state)| json!({"period": period.to_string(), "state": word(*state)})).collect();
        let mut value = json!({"mode": mode.name(), "periods": rows});
        if let (false, Some(whole)) = (sealed.is_empty(), value.as_object_mut()) {
            whole.insert("seals".into(), seals::list_json(sealed));
        }
        return say(&format!("{value}\n"));
    }
    let mut text = format!("mode {}\n", mode.name());
    for (period, state) in &inventory.periods {
        let reach = match (mode, state) {
            (KeyMode::Fleet, KeyState::Destroyed) => ", and all before",
            (KeyMode::Fleet, KeyState::Held | KeyState::Restored) => ", and all after",
            (KeyMode::Local, _) => "",
        };
        let _infallible = writeln!(text, "{period}  {}{reach}", word(*state));
    }
    if inventory.periods.is_empty() {
        text.push_str("no keys yet: each is made with the first record of its day\n");
    }
    if inventory.periods.iter().any(|(_, state)| *state == KeyState::Restored) {
        text.push_str("\nrestored: it was destroyed and somebody put it back; `logfade keys destroy` ends it again\n");
    }
    text.push_str(&seals::list_text(sealed));
    say(&text)
}

fn init(args: &Args, state: &Path, store: &KeyStore, handed: Option<&Path>) -> Outcome {
    let mode = store.mode().name();
    let mut text = format!("{} holds keys of {mode} mode\n", state.display());
    if let Some(handed) = handed {
        let _infallible = writeln!(text, "{} is overwritten and removed; a copy kept elsewhere can compute every later key", handed.display());
    }
    report(args, &json!({"state": state.to_string_lossy(), "mode": mode}), &text)
}
