//! What may become of a value: one closed set, and which of it a field can have.

use crate::format::Field;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What becomes of a value. Methods carry the words of RFC 6235.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stays; free text goes through the residual scan.
    Keep,
    /// Becomes `-`, or `null` in JSON.
    Drop,
    /// Keyed pseudonym (HMAC-SHA-256 under the key of the record's period).
    Hash(Form),
    /// Precision degradation of a number: one significant digit.
    Bucket,
    /// Black-marker anonymization of an address: `0.0.0.0` or `::`.
    BlackMarker,
    /// Truncation of an address to its first bits.
    Truncate {
        /// Bits of IPv4 that stay, 0 to 32.
        v4: u8,
        /// Bits of IPv6 that stay, 0 to 128.
        v6: u8,
    },
    /// Prefix-preserving pseudonymization of an address.
    EncryptPrefix,
    /// The autonomous system in place of the address.
    Asn,
    /// The country in place of the address.
    Country,
    /// What a database says about the client is added to records of `--output json`; what the log says itself stays.
    Add,
    /// Precision degradation of a time.
    Precision(Precision),
    /// Masks identifiers in a path.
    Detect,
    /// Replaces variable segments of a path by `{id}`.
    Template,
    /// A referrer without query and fragment.
    NoQuery,
    /// The path of a referrer alone.
    PathOnly,
    /// `https://example.com/`.
    Origin,
    /// Registrable domain: public suffix and one label.
    Site,
    /// Family, major version, system and device class of a user agent.
    Family,
    /// By name of the parameter, cookie or header.
    Named(Names),
}

/// How a pseudonym is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 32 hex digits.
    Hex,
    /// An address in `fd00::/8`, where a tool needs an address.
    Address,
}

/// Actions by name, and what the others get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// For every name that is not listed: keep, drop or hash.
    pub default: Simple,
    /// Names in lower case.
    pub names: BTreeMap<String, Simple>,
    /// What joins the hashed names with other fields: the same value has the same pseudonym in both.
    pub domain: Option<String>,
}

impl Names {
    /// The action for a name; cookies and parameters are compared as headers are, without case.
    pub fn decide(&self, name: &[u8]) -> Simple {
        if self.names.is_empty() {
            return self.default;
        }
        let lower = String::from_utf8_lossy(name).to_lowercase();
        self.names.get(&lower).copied().unwrap_or(self.default)
    }

    /// Whether a name is in one of the lists.
    pub fn lists(&self, name: &[u8]) -> bool {
        self.names.contains_key(&String::from_utf8_lossy(name).to_lowercase())
    }

    /// Whether a value may become a pseudonym.
    pub(crate) fn is_keyed(&self) -> bool {
        self.default == Simple::Hash || self.names.values().any(|simple| *simple == Simple::Hash)
    }

    /// What keeps pseudonyms of a named value apart from those of others: `cookie:session`.
    pub fn domain_of(&self, field: Field, name: &[u8]) -> Cow<'_, str> {
        match &self.domain {
            Some(domain) => Cow::Borrowed(domain),
            None => Cow::Owned(format!("{}:{}", field.name(), String::from_utf8_lossy(name).to_lowercase())),
        }
    }
}

/// What can become of a named value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simple {
    /// Stays.
    Keep,
    /// Goes.
    Drop,
    /// Keyed pseudonym.
    Hash,
}

/// What a time is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Whole seconds.
    Second,
    /// Whole minutes.
    Minute,
    /// Whole hours.
    Hour,
    /// Whole days.
    Day,
}

impl Action {
    /// The words that a field accepts, for messages.
    pub const fn accepted(field: Field) -> &'static str {
        match field {
            Field::ClientAddr | Field::ProxiedAddr => "keep, drop, black-marker, truncate/24,32, hash, hash/address, encrypt-prefix, asn, country",
            Field::ClientPort => "keep, drop",
            Field::Time => "keep, second, minute, hour, day, drop",
            Field::Path => "keep, detect, template, drop",
            Field::Query | Field::Cookie | Field::Header => "keep, drop, or { default = \"drop\", keep = [\"name\"], hash = [\"name\"] }",
            Field::Referrer => "keep, no-query, path, origin, site, drop",
            Field::UserAgent => "keep, family, hash, drop",
            Field::Ident | Field::User | Field::RequestId | Field::Session | Field::Tls | Field::Other => "keep, hash, drop",
            Field::Status | Field::Bytes | Field::Method | Field::Protocol | Field::Duration | Field::Host => "keep, bucket, drop",
            Field::Server | Field::Message => "keep, drop",
            Field::Country | Field::Asn => "off, add, keep, drop",
            Field::Request | Field::Url => "",
        }
    }

    /// The action that `word` names for `field`; `None` if the field has none of that name.
    pub fn parse(field: Field, word: &str) -> Option<Self> {
        let (name, argument) = word.split_once('/').map_or((word, None), |(name, argument)| (name, Some(argument)));
        let action = match (name, argument) {
            ("truncate", Some(bits)) => {
                let (v4, v6) = bits.split_once(',')?;
                let (v4, v6) = (v4.trim().parse().ok()?, v6.trim().parse().ok()?);
                (v4 <= 32 && v6 <= 128).then_some(Self::Truncate { v4, v6 })?
            }
            ("hash", Some("address")) if matches!(field, Field::ClientAddr | Field::ProxiedAddr) => Self::Hash(Form::Address),
            (_, Some(_)) => return None,
            ("keep", None) => Self::Keep,
            ("add", None) => Self::Add,
            ("drop" | "off", None) => Self::Drop,
            ("hash", None) => Self::Hash(Form::Hex),
            ("bucket", None) => Self::Bucket,
            ("black-marker", None) => Self::BlackMarker,
            ("encrypt-prefix", None) => Self::EncryptPrefix,
            ("asn", None) => Self::Asn,
            ("country", None) => Self::Country,
            ("second", None) => Self::Precision(Precision::Second),
            ("minute", None) => Self::Precision(Precision::Minute),
            ("hour", None) => Self::Precision(Precision::Hour),
            ("day", None) => Self::Precision(Precision::Day),
            ("detect", None) => Self::Detect,
            ("template", None) => Self::Template,
            ("no-query", None) => Self::NoQuery,
            ("path", None) => Self::PathOnly,
            ("origin", None) => Self::Origin,
            ("site", None) => Self::Site,
            ("family", None) => Self::Family,
            _ => return None,
        };
        let accepted = Self::accepted(field);
        accepted.split(", ").any(|known| known.split('/').next() == Some(name)).then_some(action)
    }

    /// Whether it needs a key.
    pub fn is_keyed(&self) -> bool {
        match self {
            Self::Hash(_) | Self::EncryptPrefix => true,
            Self::Named(names) => names.is_keyed(),
            Self::Keep | Self::Drop | Self::Bucket | Self::BlackMarker | Self::Truncate { .. } | Self::Asn | Self::Country | Self::Add | Self::Precision(_) => false,
            Self::Detect | Self::Template | Self::NoQuery | Self::PathOnly | Self::Origin | Self::Site | Self::Family => false,
        }
    }

    /// The word in a policy file and in `explain`.
    pub fn name(&self) -> String {
        match self {
            Self::Truncate { v4, v6 } => format!("truncate/{v4},{v6}"),
            Self::Precision(precision) => precision.name().to_owned(),
            Self::Keep => "keep".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Hash(Form::Hex) => "hash".to_owned(),
            Self::Hash(Form::Address) => "hash/address".to_owned(),
            Self::Bucket => "bucket".to_owned(),
            Self::BlackMarker => "black-marker".to_owned(),
            Self::EncryptPrefix => "encrypt-prefix".to_owned(),
            Self::Add => "add".to_owned(),
            Self::Asn => "asn".to_owned(),
            Self::Country => "country".to_owned(),
            Self::Detect => "detect".to_owned(),
            Self::Template => "template".to_owned(),
            Self::NoQuery => "no-query".to_owned(),
            Self::PathOnly => "path".to_owned(),
            Self::Origin => "origin".to_owned(),
            Self::Site => "site".to_owned(),
            Self::Family => "family".to_owned(),
            Self::Named(_) => "by name".to_owned(),
        }
    }
}

impl Precision {
    const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_its_own_words_only() {
        assert_eq!(Action::parse(Field::ClientAddr, "truncate/24,32"), Some(Action::Truncate { v4: 24, v6: 32 }));
        for (field, word) in [
            (Field::ClientAddr, "truncate/33,32"),
            (Field::ClientAddr, "truncate"),
            (Field::ClientAddr, "origin"),
            (Field::Time, "truncate/24,32"),
            (Field::Path, "hash"),
            (Field::UserAgent, ""),
            (Field::User, "hash/address"),
            (Field::ClientAddr, "hash/hex"),
        ] {
            assert_eq!(Action::parse(field, word), None, "{word}");
        }
        for field in crate::format::FIELDS {
            for word in ["keep", "drop"] {
                assert!(Action::parse(field, word).is_some(), "{field:?} {word}");
            }
        }
    }
}
