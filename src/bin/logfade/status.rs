//! `logfade report`: the state of retention, for people, for machines, and as a page.

use crate::args::{Args, Report as Typed};
use crate::exit::Exit;
use crate::show::{say, table};
use crate::{Outcome, complain, config, state};
use indicatif::HumanBytes;
use jiff::Timestamp;
use logfade::report::inert;
use logfade::report::questions::percent;
use logfade::report::status::{MARK, RiskStatus, SealsStatus, Status, html};
use logfade::run::status::status;
use logfade::store::page;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Looks, and tells; changes nothing.
pub(crate) fn run(args: &Args, typed: &Typed) -> Outcome {
    let config = config::required(args)?;
    let (status, failures) = status(&config, &state::dir(args)?, state::now())?;
    match typed.html.as_deref() {
        Some(path) if path == Path::new("-") => {
            say(&html(&status))?;
        }
        Some(path) => page::renew(path, &html(&status), MARK)?,
        None => {}
    }
    if args.json && typed.html.as_deref() != Some(Path::new("-")) {
        let text = serde_json::to_string(&status).map_err(|error| complain::output(error.into()))?;
        say(&format!("{text}\n"))?;
    } else if typed.html.is_none() {
        say(&text(&status))?;
    }
    let mut stderr = std::io::stderr().lock();
    for failure in &failures {
        let _nobody_to_tell = writeln!(stderr, "error: {failure}");
    }
    Ok(match (status.ledger.ok, failures.is_empty(), status.overdue) {
        (false, _, _) => Exit::Refused,
        (true, false, _) => Exit::Io,
        (true, true, 0) => Exit::Done,
        (true, true, _) => Exit::Rejects,
    })
}

fn time(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

fn text(status: &Status) -> String {
    let mut text = format!("as of {:.0}\n", status.now);
    // Writing to a string does not fail.
    let mut line = |words: &str| {
        let _infallible = writeln!(text, "{}", inert(words));
    };
    for class in &status.classes {
        line("");
        let volume = &class.volume;
        line(&match &class.class {
            Some(name) if class.configured => format!("class {name}"),
            Some(name) => format!("class {name}, which is not in the configuration"),
            None => "cleaned without a configuration".to_owned(),
        });
        if class.configured {
            let mut rows = table();
            rows.set_header(["  form", "kept for", "files", "size", "oldest record", "due", "state"]);
            for form in &class.forms {
                let never = if form.oldest.is_some() { "never" } else { "-" };
                rows.add_row([
                    format!("  {}", inert(&form.form)),
                    form.until.clone(),
                    form.files.map_or_else(|| "-".to_owned(), |files| files.to_string()),
                    form.bytes.map_or_else(|| "-".to_owned(), |bytes| HumanBytes(bytes).to_string()),
                    time(form.oldest, "-"),
                    time(form.deadline, never),
                    form.state.clone(),
                ]);
            }
            rows.to_string().lines().for_each(&mut line);
        }
        line(&format!(
            "  by the ledger: read {}, clean {}, rejected {}, excluded {}; {} files deleted, {} cut; {} raw became {}",
            volume.read,
            volume.clean,
            volume.rejected,
            volume.excluded,
            volume.deleted,
            volume.cut,
            HumanBytes(volume.bytes_raw),
            HumanBytes(volume.bytes_made)
        ));
        let reasons: Vec<String> = class.reasons.iter().map(|(reason, lines)| format!("{} {lines}", reason.name())).collect();
        if !reasons.is_empty() {
            line(&format!("  rejected for: {}", reasons.join(", ")));
        }
        for risk in status.risk.iter().filter(|risk| Some(&risk.class) == class.class.as_ref()) {
            if let Some(words) = risk_words(risk) {
                line(&words);
            }
        }
    }
    line("");
    let count = |count: usize, none: &str| if count == 0 { none.to_owned() } else { count.to_string() };
    line(&match (status.looked, status.overdue) {
        (false, _) => "overdue    not known: the ledger does not hold, so nobody looked at the files".to_owned(),
        (true, 0) => "overdue    nothing".to_owned(),
        (true, files) => format!("overdue    {files} file{} with records that are due and stay: logfade plan", if files == 1 { "" } else { "s" }),
    });
    let keys = &status.keys;
    let restored = if keys.restored.is_empty() { String::new() } else { format!(", {} PUT BACK AFTER ITS END", keys.restored.len()) };
    line(&match (&keys.error, keys.mode) {
        (Some(error), _) => format!("keys       {error}"),
        (None, None) => "keys       none".to_owned(),
        (None, Some(mode)) => format!("keys       {mode}: {} alive, {} destroyed{restored}; {}", keys.alive.len(), keys.destroyed.len(), keys.meaning),
    });
    let seals = &keys.seals;
    if *seals != SealsStatus::default() {
        let restored = if seals.restored == 0 { String::new() } else { format!(", {} PUT BACK AFTER THEIR END", seals.restored) };
        line(&format!("seals      {} alive, {} destroyed{restored}", seals.alive, seals.destroyed));
    }
    let holds = status.holds.iter().filter(|hold| hold.active).count();
    line(&format!("holds      {}", count(holds, "none")));
    line(&format!("incidents  {}", count(status.incidents.len(), "none open")));
    for case in &status.incidents {
        let about: Vec<&str> = [&case.class, &case.path, &case.note].into_iter().flatten().map(String::as_str).collect();
        line(&format!("  {}  {}: {}", case.number, case.what.name(), about.join(", ")));
    }
    let ledger = &status.ledger;
    line(&match &ledger.error {
        None => format!("ledger     {} entries, every one holds; head {}", ledger.entries, ledger.head),
        Some(error) => format!("ledger     broken: {error}"),
    });
    line("");
    if status.changed {
        line("this configuration was not carried out yet: the next expiry records its plan and deletes nothing");
    }
    line("not promised: other links, open descriptors, snapshots, backups, flash memory; --html says it in full");
    text
}

/// `  default: 3.2 % of 1000 records alone, 12.0 % with fewer than 10; singling out yes, …`
fn risk_words(risk: &RiskStatus) -> Option<String> {
    let sample = risk.sample.as_ref()?;
    let (groups, newest) = (&sample.figures.groups, if sample.whole { "" } else { " of the newest" });
    let answers: Vec<String> = risk.questions.iter().map(|question| format!("{} {}", question.name, question.verdict.name())).collect();
    Some(format!(
        "  {}: {} of {}{newest} records alone by address, agent and hour, {} with fewer than {}; {}",
        risk.form,
        percent(groups.unique),
        sample.figures.records,
        percent(groups.below_k),
        sample.figures.k,
        answers.join(", ")
    ))
}
