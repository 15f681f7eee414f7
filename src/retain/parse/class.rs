//! One `[[class]]`: where its lines come from, how they are laid out, and that its forms fit together.

use super::form;
use crate::format::{Field, Format, FormatError, named};
use crate::retain::class::{Class, Door, Form, Keep, Listen, Output, RawGlob, RejectLimit, Source};
use crate::retain::config::Outside;
use crate::retain::toml::{Fault, Section, integer};
use crate::retain::until::{CalendarSpan, Until};
use crate::scrub::OnReject;
use globset::GlobBuilder;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a class.
pub(super) fn class(section: &Section<'_>, outside: Outside<'_>) -> Result<Class, Fault> {
    let name = section.words("name")?.unwrap_or_default();
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(section.fault(
            "name",
            format!("`{name}` cannot name a class"),
            ("not a name", "use letters, digits, dots, hyphens and underscores: it stands in commands and in the ledger"),
        ));
    }
    let source = source(section)?;
    let reopen = reopen(section, &source)?;
    let format = format(section)?;
    let zone = match section.text_of("zone") {
        None => TimeZone::UTC,
        Some(text) => (outside.zone)(text)
            .ok_or_else(|| section.fault("zone", format!("no time zone is called `{text}`"), ("unknown", "use a name of the IANA database, such as Europe/Stockholm or UTC")))?,
    };
    let mut forms: Vec<(Form, Section<'_>)> = Vec::new();
    for keep in section.sections("keep") {
        let form = form::form(&keep, outside, matches!(source, Source::Listen(_)))?;
        if forms.iter().any(|(known, _)| known.name == form.name) {
            let cause = format!("two forms of class {name} are called `{}`", form.name);
            return Err(keep.fault("form", cause, ("the second one", "tell them apart with name = \"…\"")));
        }
        if let (Some(select), Some(format)) = (&form.select, &format) {
            if let Some(condition) = select.lacking(format) {
                let place = keep.section("where").map_or_else(|| keep.place("where"), |conditions| conditions.place(condition.key()));
                let cause = format!("the format of class {name} has no {} to select by", condition.key());
                return Err(keep.text.fault(place, cause, ("no line says this", "log it, and name it in the format; or leave the condition out")));
            }
        } else if form.select.is_some() {
            return Err(keep.fault(
                "where",
                "a selection needs a known format",
                ("whether lines have these values is not known", "name the class's format: `logfade detect FILE` finds it"),
            ));
        }
        forms.push((form, keep));
    }
    let at_least = at_least(section, &forms)?;
    let Some(raw) = forms.iter().position(|(form, _)| matches!(form.keep, Keep::Raw)).map(|at| forms.remove(at).0) else {
        let remedy = "add [[class.keep]] with form = \"raw\" and until = \"6 months\", or however long it has to stay";
        return Err(section.text.fault(section.span(), format!("class {name} has no deadline for raw"), ("nothing says when its raw log goes", remedy)));
    };
    let unproven = section.text_of("unproven") == Some("allow");
    if let Some((_, keep)) = forms.iter().find(|(form, _)| form.output == Some(Output::Stdout)).filter(|_| !unproven) {
        let remedy = "write the form to a directory, or say unproven = \"allow\" in the class";
        return Err(keep.fault("output", format!("raw of class {name} would go on the word of stdout:"), ("proves nothing", remedy)));
    }
    Ok(Class {
        source,
        format,
        format_text: section.text_of("format").unwrap_or("auto").to_owned(),
        purpose: section.words("purpose")?,
        basis: section.words("basis")?,
        categories: section.strings("categories"),
        zone,
        reopen,
        split: section.flag("split", true),
        at_least,
        unproven,
        max_rejects: limit(section)?,
        on_reject: match section.text_of("on_reject") {
            Some("drop") => OnReject::Drop,
            Some("quarantine") => OnReject::Quarantine,
            _ => OnReject::Scrub,
        },
        raw,
        forms: forms.into_iter().map(|(form, _)| form).collect(),
        name,
    })
}

fn source(section: &Section<'_>) -> Result<Source, Fault> {
    let (raw, listen) = (section.texts("raw"), section.texts("listen"));
    match (raw.is_empty(), listen.is_empty()) {
        (false, true) => raw
            .into_iter()
            .map(|(text, span)| glob(text).map_err(|(cause, remedy)| section.text.fault(span, cause, ("not a glob of raw files", remedy))))
            .collect::<Result<_, _>>()
            .map(Source::Raw),
        (true, false) => {
            let wrong = |text: &str, span| {
                section.text.fault(
                    span,
                    format!("`{text}` is nothing to listen on"),
                    ("not an address", "write syslog+unix:///run/x.sock, syslog+unix-stream:///run/x.sock, syslog+udp://127.0.0.1:5514, syslog+tcp://127.0.0.1:5514 or fifo:///run/x.fifo; a path may end in ?mode=0660&group=www-data"),
                )
            };
            listen.into_iter().map(|(text, span)| listener(text).ok_or_else(|| wrong(text, span))).collect::<Result<_, _>>().map(Source::Listen)
        }
        (true, true) => Err(section.text.fault(
            section.span(),
            "a class has no source",
            ("neither raw nor listen", "add raw = [\"/var/log/nginx/access.log*\"] or listen = [\"fifo:///run/logfade/site.fifo\"]"),
        )),
        (false, false) => Err(section.fault("listen", "a class has raw files or listens, never both", ("the second source", "make two classes of it"))),
    }
}

/// The command that makes the server reopen its log: a program and its arguments, and globs that know a log again under its new name.
fn reopen(section: &Section<'_>, source: &Source) -> Result<Vec<String>, Fault> {
    let words = section.texts("reopen");
    let Some((program, span)) = words.first().cloned() else { return Ok(Vec::new()) };
    let Source::Raw(globs) = source else {
        return Err(section.fault("reopen", "reopen belongs to logs that a server writes", ("nothing to reopen", "leave it out: what is listened to is written by logfade")));
    };
    let fault = |span, cause: &str, remedy: &'static str| Err(section.text.fault(span, cause, ("no program and arguments", remedy)));
    if words.iter().any(|(word, _)| word.contains('\0')) || program.trim().is_empty() {
        return fault(span, "reopen names no program", "write it as [\"nginx\", \"-s\", \"reopen\"]");
    }
    if words.len() == 1 && program.contains(char::is_whitespace) {
        return fault(span, "reopen is run without a shell", "write program and arguments apart: [\"nginx\", \"-s\", \"reopen\"]");
    }
    if program.contains('/') && !Path::new(program).is_absolute() {
        return fault(
            span,
            "a program beside the configuration is not looked for",
            "write its whole path, or its name alone: it is looked for in /usr/sbin, /usr/bin and the like",
        );
    }
    let is_raw = |path: &str| globs.iter().any(|glob| glob.matcher.is_match(path));
    if let Some(at) = globs.iter().position(|glob| !is_raw(&format!("{}.1767225600", example(&glob.text)))) {
        let span = section.texts("raw").into_iter().nth(at).map_or_else(|| section.place("raw"), |(_, span)| span);
        let words = ("does not take access.log.1767225600", "end it with *, such as /var/log/nginx/access.log*, or name rotated logs in a second glob");
        return Err(section.text.fault(span, "a log that is moved aside would not be of this class any more", words));
    }
    Ok(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}

/// A path that a glob takes: the first alternative of each choice, and x for what is free.
fn example(glob: &str) -> String {
    let (mut path, mut chars) = (String::new(), glob.chars().peekable());
    let (mut depth, mut other) = (0_u32, false);
    while let Some(char) = chars.next() {
        match char {
            '{' => depth += 1,
            ',' if depth > 0 => other = true,
            '}' if depth > 0 => (depth, other) = (depth - 1, depth > 1 && other),
            _ if other => {}
            '*' => {
                while chars.next_if_eq(&'*').is_some() {}
                path.push('x');
            }
            '?' => path.push('x'),
            '[' => {
                let first = chars.next().filter(|first| !matches!(first, '!' | '^'));
                path.push(first.unwrap_or('x'));
                // A class may begin with the bracket that ends others.
                chars.by_ref().find(|char| *char == ']');
            }
            '\\' => path.extend(chars.next()),
            plain => path.push(plain),
        }
    }
    path
}

/// A glob, or what is wrong with it and what to do.
fn glob(text: &str) -> Result<RawGlob, (String, &'static str)> {
    let path = Path::new(text);
    let plain = path.components().take_while(|part| !part.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[]{}\\".contains(byte)));
    let fixed: PathBuf = plain.collect();
    let directory = if fixed.components().count() == path.components().count() { fixed.parent().map(Path::to_owned) } else { Some(fixed) };
    let Some(directory) = directory.filter(|directory| directory.parent().is_some() && path.is_absolute()) else {
        return Err((format!("`{text}` does not name a directory that the files lie in"), "write the whole path, with at least one directory in front of the first wildcard"));
    };
    if path.components().any(|part| part == std::path::Component::ParentDir) || text.ends_with('/') {
        return Err((format!("`{text}` does not name files"), "write the path of the files, without `..`, such as /var/log/nginx/access.log*"));
    }
    let glob = GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| (format!("`{text}` is no glob: {}", error.kind()), "use * ? [a-z] {a,b} and **"))?;
    Ok(RawGlob { text: text.to_owned(), directory, matcher: glob.compile_matcher() })
}

fn listener(text: &str) -> Option<Listen> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme {
        "syslog+unix" => door(rest).map(Listen::SyslogUnix),
        "syslog+unix-stream" => door(rest).map(Listen::SyslogUnixStream),
        "fifo" => door(rest).map(Listen::Fifo),
        "syslog+udp" => rest.parse().ok().map(Listen::SyslogUdp),
        "syslog+tcp" => rest.parse().ok().map(Listen::SyslogTcp),
        _ => None,
    }
}

/// A path, with who may hand lines over behind it: `/run/logfade/site.sock?mode=0660&group=www-data`.
fn door(text: &str) -> Option<Door> {
    let (path, terms) = text.split_once('?').map_or((text, None), |(path, terms)| (path, Some(terms)));
    let path = Some(PathBuf::from(path)).filter(|path| path.is_absolute() && path.file_name().is_some())?;
    let mut door = Door { path, mode: 0o660, group: None };
    for term in terms.into_iter().flat_map(|terms| terms.split('&')) {
        match term.split_once('=')? {
            ("mode", mode) => door.mode = u32::from_str_radix(mode, 8).ok().filter(|mode| mode & !0o777 == 0)?,
            ("group", group) if !group.is_empty() => door.group = Some(group.to_owned()),
            _ => return None,
        }
    }
    Some(door)
}

fn format(section: &Section<'_>) -> Result<Option<Arc<Format>>, Fault> {
    let text = section.text_of("format").unwrap_or("auto");
    if let Some(fields) = section.section("fields") {
        if text != "json" {
            return Err(section.fault("fields", "a field map belongs to format = \"json\"", ("not used", "write format = \"json\", or leave the map out")));
        }
        let mut map = Vec::new();
        for (key, values) in fields.pairs() {
            for (word, span) in values {
                let field = Field::named(word).ok_or_else(|| {
                    section.text.fault(
                        span,
                        format!("no field is called `{word}`"),
                        ("unknown field", "use the names of a policy file, or request and url for what is cut further"),
                    )
                })?;
                map.push((key.get_ref().to_string(), field));
            }
        }
        return Ok(Some(Format::json(&map)));
    }
    if text == "auto" {
        return Ok(None);
    }
    Format::parse(text).map(Some).map_err(|error| match error {
        FormatError::Unknown { name } => {
            let near = named().names().map(|known| (strsim::damerau_levenshtein(known, &name), known)).min().filter(|(distance, _)| *distance <= 3);
            let remedy =
                near.map_or_else(|| "use auto, nginx:LOG_FORMAT, apache:LOGFORMAT, or a name from `logfade formats`".to_owned(), |(_, near)| format!("did you mean {near}?"));
            section.fault("format", format!("no format is called `{name}`"), ("unknown", remedy))
        }
        FormatError::Directive { text: body, fault } => {
            let mut place = section.place("format");
            // The caret goes to the fault itself where the string stands in the file as it is.
            if let Some(at) = section.text.text.get(place.clone()).and_then(|written| written.find(&body)) {
                place = place.start + at + fault.at..(place.start + at + fault.at + 1).min(place.end);
            }
            section.text.fault(place, fault.cause, ("here", fault.remedy))
        }
    })
}

/// The minimum retention, which no form may undercut.
fn at_least(section: &Section<'_>, forms: &[(Form, Section<'_>)]) -> Result<Option<CalendarSpan>, Fault> {
    let Some(text) = section.text_of("at_least") else { return Ok(None) };
    let least = CalendarSpan::parse(text).ok_or_else(|| section.fault("at_least", format!("`{text}` is no span"), ("not a span", "write it as 30 days, 6 months or 1 year")))?;
    // A day and a month have no order of their own: compared is the shortest that months can be with the longest.
    let shortest = |span: CalendarSpan| i64::from(span.months) * 28 + i64::from(span.days);
    let longest = |span: CalendarSpan| i64::from(span.months) * 31 + i64::from(span.days);
    let under = |form: &Form| match form.until {
        Until::Span(span) | Until::EndOfYear(span) => longest(span) < shortest(least),
        Until::Forever => false,
    };
    match forms.iter().find(|(form, _)| under(form)) {
        Some((form, keep)) => {
            Err(keep.fault("until", format!("{} is less than at_least", form.until), ("too short", format!("at_least is {least}: give the form as much, or lower it"))))
        }
        None => Ok(Some(least)),
    }
}

fn limit(section: &Section<'_>) -> Result<Option<RejectLimit>, Fault> {
    let Some(value) = section.value("max_rejects") else { return Ok(None) };
    let lines = integer(value.get_ref()).and_then(|number| u64::try_from(number).ok()).map(RejectLimit::Lines);
    let percent = || value.get_ref().as_str()?.strip_suffix('%')?.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(RejectLimit::Percent);
    lines
        .or_else(percent)
        .map(Some)
        .ok_or_else(|| section.fault("max_rejects", "max_rejects is no limit", ("not a limit", "write a number of lines, or a percentage such as \"0.1%\"")))
}
