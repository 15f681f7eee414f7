//! One `[[class.keep]]`: what it keeps, until when, where, for whom, and of which records.

use super::{directory, duration};
use crate::retain::class::{Dimension, Form, Keep, Output, Rotate};
use crate::retain::config::{Outside, PolicyFault};
use crate::retain::recipient::{Recipient, Role, is_eea};
use crate::retain::toml::{Fault, Section, integer};
use crate::retain::until::{self, Until};
use crate::scrub::{self, Condition, Selection};
use globset::Glob;
use jiff::SignedDuration;
use std::sync::Arc;

/// Permissions of outputs, and of raw that only the administrator reads.
const MODE: u32 = 0o640;
const RAW_MODE: u32 = 0o600;

/// Level of zstd unless said.
const LEVEL: i32 = 3;

/// Reads a form. `listens`: raw does not exist until it is written here.
pub(super) fn form(section: &Section<'_>, outside: Outside<'_>, listens: bool) -> Result<Form, Fault> {
    let word = section.words("form")?.unwrap_or_default();
    let keep = keep(section, &word, outside)?;
    let is_raw = matches!(keep, Keep::Raw);
    let text = section.text_of("until").unwrap_or_default();
    let until = Until::parse(text).ok_or_else(|| {
        section.fault(
            "until",
            format!("`{text}` is no calendar span"),
            ("not a span of days, weeks, months or years", "write it as 180 days, 6 months, 1 year, \"7 years, end of year\" or forever"),
        )
    })?;
    if is_raw && until == Until::Forever {
        return Err(section.fault(
            "until",
            "raw has no deadline",
            ("forever is none", "say how long raw has to stay, such as 6 months; keep a policy's form or an aggregate for longer"),
        ));
    }
    let output = output(section, is_raw, listens)?;
    for key in ["rotate", "flush", "seal", "layout", "compress", "owner", "group", "mode"] {
        if is_raw && !listens && section.value(key).is_some() {
            return Err(section.fault(key, format!("{key} has no say over files that the server writes"), ("not used", "leave it out; it belongs to forms with an output")));
        }
    }
    if section.flag("seal", false) && !matches!(output, Some(Output::Directory(_))) {
        return Err(section.fault("seal", "only files are sealed", ("this form is no file", "leave it out, or name a directory as the form's output")));
    }
    if is_raw && section.value("where").is_some() {
        return Err(section.fault("where", "raw is kept whole", ("selects among raw records", "move it to a form that is made of raw")));
    }
    let name = match (section.words("name")?, &keep) {
        (Some(name), _) => name,
        (None, Keep::Clean(policy)) => policy.name().to_owned(),
        (None, Keep::Raw | Keep::Aggregate { .. }) => word,
    };
    Ok(Form {
        name,
        until,
        output,
        recipients: section.sections("recipients").iter().map(recipient).collect::<Result<_, _>>()?,
        select: section.section("where").map(|section| selection(&section)).transpose()?.map(Arc::new),
        mode: mode(section, is_raw)?,
        owner: section.words("owner")?,
        group: section.words("group")?,
        rotate: rotate(section)?,
        flush: duration(section, "flush", SignedDuration::ZERO)?.unwrap_or(SignedDuration::from_secs(1)),
        seal: section.flag("seal", false),
        layout: if section.text_of("layout") == Some("json") { scrub::Output::Json } else { scrub::Output::Same },
        compress: level(section)?,
        keep,
    })
}

fn keep(section: &Section<'_>, word: &str, outside: Outside<'_>) -> Result<Keep, Fault> {
    let aggregate = word == "aggregate";
    for key in ["k", "by"] {
        if !aggregate && section.value(key).is_some() {
            return Err(section.fault(key, format!("`{key}` belongs to aggregates"), ("not used", "leave it out, or write form = \"aggregate\"")));
        }
    }
    match word {
        "raw" => Ok(Keep::Raw),
        "aggregate" => {
            let mut by = Vec::new();
            for (word, span) in section.texts("by") {
                let known = Dimension::ALL.into_iter().find(|known| known.name() == word);
                let remedy = || format!("use {}", Dimension::ALL.map(Dimension::name).join(", "));
                by.push(known.ok_or_else(|| section.text.fault(span, format!("nothing is counted by `{word}`"), ("unknown dimension", remedy())))?);
            }
            let k = section.value("k").and_then(|value| integer(value.get_ref())).unwrap_or(10);
            Ok(Keep::Aggregate { k: u32::try_from(k).unwrap_or(u32::MAX), by })
        }
        word => match (outside.policy)(word) {
            Ok(policy) => Ok(Keep::Clean(Arc::new(policy))),
            Err(PolicyFault::Fault(fault)) => Err(fault),
            Err(PolicyFault::Unknown) => {
                let names = scrub::BUILT_IN.map(|(name, _)| name);
                let near =
                    names.into_iter().chain(["raw", "aggregate"]).map(|known| (strsim::damerau_levenshtein(known, word), known)).min().filter(|(distance, _)| *distance <= 2);
                let remedy = near.map_or_else(|| format!("use raw, aggregate, {}, or the path of a policy file", names.join(", ")), |(_, near)| format!("did you mean {near}?"));
                Err(section.fault("form", format!("no policy is called `{word}`"), ("no such policy, and no file that can be read", remedy)))
            }
        },
    }
}

fn output(section: &Section<'_>, is_raw: bool, listens: bool) -> Result<Option<Output>, Fault> {
    let Some(text) = section.text_of("output") else {
        return if is_raw && !listens {
            Ok(None)
        } else if is_raw {
            Err(section.fault("form", "raw has no output", ("where its files are to be written is not said", "add output = \"/var/lib/logfade/raw/site\"")))
        } else {
            Err(section.fault("form", "a form has no output", ("where it is to be written is not said", "add output = \"/srv/logs/site\", a directory of its own")))
        };
    };
    if is_raw && !listens {
        return Err(section.fault("output", "raw stays where the server wrote it", ("not used", "leave it out; an output belongs to forms that are made of raw")));
    }
    let output = match text.split_once(':') {
        Some(("stdout", "")) => Output::Stdout,
        Some(("http" | "https", rest)) if rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace)) => {
            Output::Http(text.to_owned())
        }
        _ => Output::Directory(directory(section, "output", text)?),
    };
    let aggregate = section.text_of("form") == Some("aggregate");
    if (is_raw || aggregate) && !matches!(output, Output::Directory(_)) {
        return Err(section.fault("output", "this form is kept in files", ("not a directory", "name a directory")));
    }
    Ok(Some(output))
}

fn recipient(section: &Section<'_>) -> Result<Recipient, Fault> {
    let country = section.text_of("country").unwrap_or_default().to_owned();
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(section.fault("country", format!("`{country}` is no country code"), ("not a code", "write the two letters of ISO 3166, such as SE")));
    }
    let safeguard = section.words("safeguard")?;
    if !is_eea(&country) && safeguard.is_none() {
        let remedy = "add safeguard = \"adequacy decision\", \"standard contractual clauses\" or whatever allows it (GDPR Art. 45 to 49)";
        return Err(section.fault("country", format!("a transfer to {country} needs a safeguard"), ("outside the European Economic Area", remedy)));
    }
    let role = section.text_of("role").and_then(Role::named).unwrap_or(Role::Processor);
    Ok(Recipient { name: section.words("name")?.unwrap_or_default(), role, country, safeguard })
}

fn selection(section: &Section<'_>) -> Result<Selection, Fault> {
    let mut conditions = Vec::new();
    if section.value("status").is_some() {
        let mut ranges = Vec::new();
        for item in section.list("status") {
            let range = integer(item.get_ref()).and_then(|code| u16::try_from(code).ok()).map(|code| (code, code)).or_else(|| status(item.get_ref().as_str()?));
            ranges.push(range.ok_or_else(|| section.text.fault(item.span(), "this is no range of status codes", ("not a range", "write 404, \"400-499\" or \"4xx\"")))?);
        }
        conditions.push(Condition::Status(ranges));
    }
    if section.value("method").is_some() {
        conditions.push(Condition::Method(section.strings("method")));
    }
    if section.value("path").is_some() {
        let glob = |(text, span): (&str, _)| {
            Glob::new(text)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| section.text.fault(span, format!("`{text}` is no glob: {}", error.kind()), ("not a glob", "use * ? [a-z] and {a,b}")))
        };
        conditions.push(Condition::Path(section.texts("path").into_iter().map(glob).collect::<Result<_, _>>()?));
    }
    if section.value("network").is_some() {
        let net = |(text, span): (&str, _)| {
            let parsed = text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from));
            parsed.ok_or_else(|| section.text.fault(span, format!("`{text}` is no network"), ("not a network", "write it as 10.0.0.0/8 or 2001:db8::/32")))
        };
        conditions.push(Condition::Network(section.texts("network").into_iter().map(net).collect::<Result<_, _>>()?));
    }
    if section.value("host").is_some() {
        conditions.push(Condition::Host(section.strings("host")));
    }
    let named = |key: &str| {
        section.section(key).into_iter().flat_map(|section| {
            section.pairs().map(|(name, values)| (name.get_ref().to_string(), values.into_iter().map(|(text, _)| text.to_owned()).collect::<Vec<_>>())).collect::<Vec<_>>()
        })
    };
    conditions.extend(named("cookie").map(|(name, values)| Condition::Cookie(name, values)));
    conditions.extend(named("header").map(|(name, values)| Condition::Header(name, values)));
    if conditions.is_empty() {
        return Err(section.text.fault(section.span(), "a selection without conditions", ("selects nothing in particular", "leave `where` out to take every record")));
    }
    Ok(Selection::new(conditions))
}

/// `404`, `400-499`, `4xx`.
fn status(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=999).contains(code));
    if let Some(class) = text.strip_suffix("xx") {
        let class = class.parse::<u16>().ok().filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((code(low)?, code(high)?)).filter(|(low, high)| low <= high)
}

fn mode(section: &Section<'_>, is_raw: bool) -> Result<u32, Fault> {
    let Some(text) = section.text_of("mode") else { return Ok(if is_raw { RAW_MODE } else { MODE }) };
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && mode & 0o400 == 0o400);
    let mode = mode.ok_or_else(|| section.fault("mode", format!("`{text}` is no mode"), ("not a mode", "write it in octal, readable by its owner, such as 0640")))?;
    if mode & 0o113 != 0 {
        return Err(section.fault(
            "mode",
            format!("`{text}` lets too much"),
            ("for anybody to write, or to execute", "log files need neither: use 0640, or 0644 for what may be public"),
        ));
    }
    if is_raw && mode & 0o007 != 0 {
        return Err(section.fault("mode", "raw would be readable by everybody", ("the last digit", "use 0600, or 0640 with a group")));
    }
    Ok(mode)
}

fn rotate(section: &Section<'_>) -> Result<Rotate, Fault> {
    let mut rotate = Rotate::default();
    for (text, span) in section.texts("rotate") {
        let wrong = |cause: String| section.text.fault(span.clone(), cause, ("not a duration or a size", "write [\"1 day\", \"256 MiB\"], at most one of each"));
        let again = match (until::duration(text), size(text)) {
            (Some(every), _) if every > SignedDuration::ZERO => rotate.every.replace(every).is_some(),
            (None, Some(size)) => rotate.size.replace(size).is_some(),
            (Some(_) | None, _) => return Err(wrong(format!("`{text}` is no time to rotate"))),
        };
        if again {
            return Err(wrong(format!("`{text}` is the second of its kind")));
        }
    }
    Ok(rotate)
}

/// `256 MiB`, `1 GB`.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let of: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(of).filter(|size| *size > 0)
}

fn level(section: &Section<'_>) -> Result<i32, Fault> {
    let Some(text) = section.text_of("compress") else { return Ok(LEVEL) };
    let level = match text.split_once(':') {
        None if text == "zstd" => Some(LEVEL),
        Some(("zstd", level)) => level.parse().ok().filter(|level| (1..=19).contains(level)),
        _ => None,
    };
    level.ok_or_else(|| section.fault("compress", format!("`{text}` is no compression of outputs"), ("outputs are .zst", "write zstd, or zstd:1 to zstd:19")))
}
