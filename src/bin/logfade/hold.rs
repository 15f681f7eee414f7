//! `logfade hold`: what may not be deleted, from when to when, and why.

use crate::args::Args;
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say};
use crate::{Outcome, config, state};
use clap::{Args as Group, Subcommand};
use ipnet::IpNet;
use jiff::Timestamp;
use logfade::retain::ledger::{Entry, Hold as Held, Release};
use logfade::store::kept::HeldNets;
use logfade::store::ledger_key::LedgerKey;
use logfade::store::{Chronicle, StoreError};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// `logfade hold`
#[derive(Debug, Group)]
pub(crate) struct Hold {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Block deletions from now on
    #[command(after_help = "Examples:
  logfade hold add case-17 --class site --from 2026-03-01 --to 2026-04-01 --reason \"court order 17/2026\"
  logfade hold add abuse-3 --class site --ip 203.0.113.0/24 --reason \"report to the police\" --until 2027-01-01

A hold on addresses keeps only records in which one of them stands; the others expire. The addresses are kept beside the
ledger (mode 0600), never in it.")]
    Add(Add),
    /// The holds that were not released
    List,
    /// End a hold
    Release {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Why; the ledger keeps it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Group)]
struct Add {
    /// A name that no other hold has
    #[arg(value_name = "NAME")]
    name: String,
    /// The class that it blocks
    #[arg(long, value_name = "CLASS")]
    class: String,
    /// Records from this time on
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    from: Option<Timestamp>,
    /// Records up to this time
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    to: Option<Timestamp>,
    /// Only records with an address of this network; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = net)]
    ip: Vec<IpNet>,
    /// Why; the ledger keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself
    #[arg(long, value_name = "DATE", value_parser = state::moment)]
    until: Option<Timestamp>,
}

fn net(text: &str) -> Result<IpNet, String> {
    let single = || text.parse().ok().map(|addr: std::net::IpAddr| IpNet::from(addr.to_canonical()));
    text.parse().ok().or_else(single).ok_or_else(|| "write an address, or a network such as 203.0.113.0/24".to_owned())
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Hold) -> Outcome {
    let state = state::dir(args)?;
    match &typed.action {
        Action::Add(add) => begin(args, &state, add),
        Action::List => list(args, &state),
        Action::Release { name, reason } => end(args, &state, name, reason),
    }
}

fn said(reason: &str) -> Result<String, Complaint> {
    let reason = reason.trim();
    if reason.is_empty() { Err(Complaint::usage("there is no reason", "write one that can still be understood in a year")) } else { Ok(reason.to_owned()) }
}

fn begin(args: &Args, state: &Path, add: &Add) -> Outcome {
    let config = config::load(args)?;
    if config.as_ref().is_some_and(|config| config.class(&add.class).is_none()) {
        return Err(Complaint::usage(format!("the configuration has no class {}", sane(&add.class)), "name one of its [[class]] entries"));
    }
    if add.from.zip(add.to).is_some_and(|(from, to)| to < from) {
        return Err(Complaint::usage("--to lies before --from", "exchange them"));
    }
    let mut chronicle = Chronicle::open(state, state::now())?;
    if chronicle.known().holds().contains_key(&add.name) {
        return Err(Complaint::usage(format!("there is a hold {} already", sane(&add.name)), "choose another name, or release that one first"));
    }
    let addresses = if add.ip.is_empty() { None } else { Some(keep(state, add)?) };
    let hold = Held { name: add.name.clone(), class: add.class.clone(), from: add.from, to: add.to, addresses, reason: said(&add.reason)?, until: add.until };
    chronicle.note(&Entry::Hold(hold))?;
    let checked = if config.is_some() { "the hold stands\n" } else { "the hold stands; there is no configuration, so nobody knows whether a class has this name\n" };
    tell(args, &json!({"hold": add.name}), checked)
}

/// The addresses first: an entry without them would hold nothing.
fn keep(state: &Path, add: &Add) -> Result<logfade::retain::ledger::Keyed, StoreError> {
    let mut nets = HeldNets::open(state)?;
    nets.add(&add.name, add.ip.clone());
    nets.keep(state)?;
    let list: Vec<String> = add.ip.iter().map(ToString::to_string).collect();
    Ok(LedgerKey::open(state)?.digest(list.join("\n").as_bytes()))
}

fn end(args: &Args, state: &Path, name: &str, reason: &str) -> Outcome {
    let mut chronicle = Chronicle::open(state, state::now())?;
    if !chronicle.known().holds().contains_key(name) {
        return Err(Complaint::usage(format!("no hold has the name {}", sane(name)), "`logfade hold list` shows them"));
    }
    chronicle.note(&Entry::Release(Release { name: name.to_owned(), reason: said(reason)? }))?;
    let mut nets = HeldNets::open(state)?;
    if nets.of(name).is_some() {
        nets.remove(name);
        nets.keep(state)?;
    }
    tell(args, &json!({"released": name}), "the hold is released\n")
}

fn tell(args: &Args, report: &serde_json::Value, text: &str) -> Outcome {
    match (args.json, args.quiet) {
        (true, _) => say(&format!("{report}\n")),
        (false, true) => Ok(Exit::Done),
        (false, false) => say(text),
    }
}

fn list(args: &Args, state: &Path) -> Outcome {
    let known = Chronicle::read(state)?;
    let nets = HeldNets::open(state)?;
    if args.json {
        let row = |hold: &Held| json!({"name": hold.name, "class": hold.class, "from": hold.from, "to": hold.to, "addresses": nets.of(&hold.name).map(<[IpNet]>::len), "reason": hold.reason, "until": hold.until});
        let rows: Vec<_> = known.holds().values().map(row).collect();
        return say(&format!("{}\n", json!(rows)));
    }
    let time = |at: Option<Timestamp>, none: &str| at.map_or_else(|| none.to_owned(), |at| format!("{at:.0}"));
    let mut text = String::new();
    for hold in known.holds().values() {
        let some = nets.of(&hold.name).map_or_else(String::new, |nets| format!(", {} networks", nets.len()));
        let until = hold.until.map_or_else(String::new, |until| format!(", until {until:.0}"));
        let line = format!("{}  {}, {} to {}{some}{until}: {}", hold.name, hold.class, time(hold.from, "the first record"), time(hold.to, "the last"), hold.reason);
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{}", sane(&line));
    }
    say(if text.is_empty() { "nothing is held\n" } else { &text })
}
