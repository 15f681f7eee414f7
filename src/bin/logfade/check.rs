//! `logfade check`: whether policy, format and configuration hold, what they leave undecided, and what expiry will lack.

use crate::args::{Args, Check};
use crate::show::{self, say, table};
use crate::{Outcome, config, keys, state};
use logfade::retain::{self, Class, Config, Keep, Output, Source};
use logfade::run::expire::{is_found, raw_files};
use logfade::store::rights::{self, Lack, Missing};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Checks what was named, and the configuration if there is one.
pub(crate) fn check(args: &Args, typed: &Check) -> Outcome {
    if typed.schema {
        return say(&format!("{:#}\n", retain::json_schema()));
    }
    show::format(&typed.rules.format)?;
    let policy = show::policy(args, &typed.rules.policy)?;
    keys::trial(args, &policy)?;
    show::atlas(&policy)?;
    let Some(config) = config::load(args)? else {
        if args.json {
            return say(&format!("{}\n", json!({"format": typed.rules.format, "policy": policy.name(), "config": null})));
        }
        return say(&format!("format {} and policy {} are fine\n", typed.rules.format, policy.name()));
    };
    let path = config::path(args).unwrap_or_default();
    let state_dir = state::dir(args)?;
    let mut lacks = rights::directory(&state_dir);
    lacks.extend(config.classes.iter().flat_map(lacking));
    let raw = raw_files(&config, &state_dir)?;
    lacks.extend(raw.iter().filter_map(|path| rights::file(path)).filter(|lack| lack.what != Missing::Absent));
    if args.json { say(&format!("{}\n", report(&config, &path, &lacks))) } else { say(&explain(&config, &path, &lacks)) }
}

/// What a class's raw files and outputs will lack.
fn lacking(class: &Class) -> Vec<Lack> {
    let mut found = Vec::new();
    let directories: BTreeSet<&Path> = match &class.source {
        Source::Raw(globs) => globs.iter().map(|glob| glob.directory.as_path()).collect(),
        Source::Listen(listens) => listens.iter().filter_map(|listen| listen.door()?.path.parent()).collect(),
    };
    found.extend(directories.into_iter().flat_map(rights::directory));
    found.extend(class.all_forms().filter_map(|form| form.directory()).flat_map(rights::directory));
    if !is_found(&class.reopen) {
        found.extend(class.reopen.first().map(|program| Lack { path: program.into(), what: Missing::Program }));
    }
    found
}

fn what(keep: &Keep) -> String {
    match keep {
        Keep::Raw => "raw".to_owned(),
        Keep::Clean(policy) => format!("policy {}", policy.name()),
        Keep::Aggregate { k, .. } => format!("aggregate, k = {k}"),
    }
}

fn place(output: Option<&Output>) -> String {
    match output {
        Some(Output::Directory(path)) => path.display().to_string(),
        Some(Output::Stdout) => "stdout:".to_owned(),
        Some(Output::Http(address)) => address.clone(),
        None => "where the server writes it".to_owned(),
    }
}

fn explain(config: &Config, path: &Path, lacks: &[Lack]) -> String {
    let mut text = format!("{} is fine\n", path.display());
    for class in &config.classes {
        let zone = class.zone.iana_name().unwrap_or("UTC");
        let _infallible = writeln!(text, "\nclass {} (format {}, days end in {zone})", class.name, class.format_text);
        let mut rows = table();
        for form in class.all_forms() {
            let only = form.select.as_ref().map_or_else(String::new, |select| format!("only {select}"));
            rows.add_row([format!("  {}", form.name), what(&form.keep), form.until.to_string(), place(form.output.as_ref()), only]);
        }
        let _infallible = writeln!(text, "{rows}");
    }
    if config.classes.is_empty() {
        text.push_str("\nit has no [[class]]: nothing is kept, and nothing expires\n");
    }
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _infallible = writeln!(text, "\n{title}");
            for line in lines {
                let _infallible = writeln!(text, "  {line}");
            }
        }
    };
    list("still undecided", config.undecided());
    list("what expiry will lack", briefly(lacks));
    text
}

/// A directory full of files that lack the same is two lines.
fn briefly(lacks: &[Lack]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: Vec<(Option<&Path>, Missing, usize)> = Vec::new();
    for lack in lacks {
        let kind = (lack.path.parent(), lack.what);
        match told.iter_mut().find(|(parent, what, _)| (*parent, *what) == kind) {
            Some((.., more)) => *more += 1,
            None => {
                lines.push(lack.to_string());
                told.push((kind.0, kind.1, 0));
            }
        }
    }
    lines.extend(told.iter().filter(|(.., more)| *more > 0).map(|(parent, what, more)| format!("{more} more in {} {what}", parent.unwrap_or(Path::new("/")).display())));
    lines
}

fn report(config: &Config, path: &Path, lacks: &[Lack]) -> serde_json::Value {
    let form = |form: &retain::Form| json!({"form": form.name, "keeps": what(&form.keep), "until": form.until.to_string(), "output": form.output.as_ref().map(|output| place(Some(output)))});
    let classes: Vec<_> = config
        .classes
        .iter()
        .map(|class| json!({"class": class.name, "format": class.format_text, "zone": class.zone.iana_name(), "forms": class.all_forms().map(form).collect::<Vec<_>>()}))
        .collect();
    let lacks: Vec<_> = lacks.iter().map(|lack| json!({"path": lack.path.to_string_lossy(), "lack": lack.what.to_string()})).collect();
    json!({"config": path.to_string_lossy(), "digest": config.retention_digest().to_string(), "classes": classes, "undecided": config.undecided(), "lacking": lacks})
}
