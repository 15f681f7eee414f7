//! The words of the record: what a field is, and what a policy makes of it.

use crate::format::Field;
use crate::retain::{Dimension, Keep, Output};
use crate::scrub::{Action, Names, Simple};

/// What a field is, for somebody who never saw a log.
pub(super) const fn category(field: Field) -> &'static str {
    match field {
        Field::ClientAddr => "IP address of the visitor",
        Field::ProxiedAddr => "IP addresses that a proxy reported",
        Field::ClientPort => "source port",
        Field::Ident => "identity of the remote user (RFC 1413)",
        Field::User => "user name",
        Field::Time => "date and time of access",
        Field::Method => "kind of request",
        Field::Path => "address of the page or file",
        Field::Query => "parameters of the request",
        Field::Protocol => "protocol and version",
        Field::Referrer => "page that the visitor came from",
        Field::UserAgent => "browser and operating system",
        Field::Cookie => "cookies",
        Field::Header => "other headers of request or answer",
        Field::RequestId => "number of the request or connection",
        Field::Session => "number of the session",
        Field::Tls => "parameters of the encrypted connection",
        Field::Status => "whether the request succeeded",
        Field::Bytes => "amount of data",
        Field::Duration => "duration",
        Field::Host => "name of the website",
        Field::Server => "names and addresses of the servers",
        Field::Message => "text of an error message",
        Field::Country => "country or region of the address",
        Field::Asn => "network operator of the address",
        Field::Other => "everything else that the server wrote",
        Field::Request => "request line",
        Field::Url => "requested address",
    }
}

/// How a field is kept; `None` if it is not.
pub(super) fn treatment(action: &Action) -> Option<String> {
    if let Action::Named(names) = action {
        return by_name(names);
    }
    let name = action.name();
    let (word, bits) = name.split_once('/').unwrap_or((&name, ""));
    let said = match word {
        "keep" => "as it is",
        "drop" => return None,
        "hash" => "keyed pseudonym",
        "bucket" => "first digit (precision degradation)",
        "black-marker" => "version of the protocol alone (black-marker anonymization)",
        "encrypt-prefix" => "prefix-preserving pseudonym",
        "asn" => "network operator in its place",
        "country" => "country in its place",
        "second" => "to the second (precision degradation)",
        "minute" => "to the minute (precision degradation)",
        "hour" => "to the hour (precision degradation)",
        "day" => "to the day (precision degradation)",
        "detect" => "without e-mail addresses, tokens and numbers of persons",
        "template" => "without variable parts",
        "no-query" => "without its parameters",
        "path" => "path alone",
        "origin" => "name of the website alone",
        "site" => "registered domain alone",
        "family" => "family and major version, system, kind of device",
        "truncate" => {
            let (v4, v6) = bits.split_once(',').unwrap_or((bits, bits));
            return Some(format!("truncated to {v4} of 32 bits (IPv4), {v6} of 128 bits (IPv6)"));
        }
        other => return Some(other.to_owned()),
    };
    Some(said.to_owned())
}

fn by_name(names: &Names) -> Option<String> {
    let of = |wanted: Simple| names.names.iter().filter(|(_, simple)| **simple == wanted).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let (keep, hash, drop) = (of(Simple::Keep), of(Simple::Hash), of(Simple::Drop));
    let mut said = Vec::new();
    if !keep.is_empty() {
        said.push(format!("{keep} as they are"));
    }
    if !hash.is_empty() {
        said.push(format!("{hash} as keyed pseudonyms"));
    }
    match names.default {
        Simple::Keep if drop.is_empty() => said.push("all others as they are".to_owned()),
        Simple::Keep => said.push(format!("all others as they are, without {drop}")),
        Simple::Hash if drop.is_empty() => said.push("all others as keyed pseudonyms".to_owned()),
        Simple::Hash => said.push(format!("all others as keyed pseudonyms, without {drop}")),
        Simple::Drop => {}
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// What an aggregate counts by.
pub(super) const fn dimension(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Hour => "hour of the day",
        Dimension::Host => "name of the website",
        Dimension::Status => "whether requests succeeded",
        Dimension::Method => "kind of request",
        Dimension::Path => "page, without variable parts",
        Dimension::Family => "family of the browser",
        Dimension::Country => "country of origin",
        Dimension::Referrer => "site that visitors came from",
    }
}

/// Fields that name a person, or find one again, by themselves.
const DIRECT: [Field; 6] = [Field::ClientAddr, Field::ProxiedAddr, Field::Ident, Field::User, Field::Cookie, Field::Session];

/// What a form is before the law. Nothing is called anonymous here: that depends on what else the controller holds.
pub(super) fn nature(keep: &Keep, fields: &[Field]) -> String {
    match keep {
        Keep::Raw => "personal data as the server wrote it".to_owned(),
        Keep::Clean(policy) => {
            let kept = |field: &&Field| {
                let action = policy.action(**field);
                let by_name = |names: &Names| names.default == Simple::Keep || names.names.values().any(|simple| *simple == Simple::Keep);
                *action == Action::Keep || matches!(action, Action::Named(names) if by_name(names))
            };
            let direct: Vec<&str> = DIRECT.iter().filter(|field| fields.contains(field)).filter(kept).map(|field| category(*field)).collect();
            if direct.is_empty() {
                "pseudonymised data while the raw log or a key of its time exists, afterwards a candidate for anonymisation".to_owned()
            } else {
                format!("personal data: kept as they are: {}", direct.join(", "))
            }
        }
        Keep::Aggregate { .. } => "statistics, small groups suppressed".to_owned(),
    }
}

/// Where a form is kept.
pub(super) fn place(output: &Output) -> String {
    match output {
        Output::Directory(path) => path.display().to_string(),
        Output::Stdout => "handed to the program that reads standard output".to_owned(),
        Output::Http(address) => format!("sent to {address}"),
    }
}
