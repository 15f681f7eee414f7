//! The three questions of WP216 (opinion 05/2014 on anonymisation techniques), answered for a policy by the figures of what it made.

use super::risk::Figures;
use crate::format::{FIELDS, Field};
use crate::scrub::{Action, Policy, Precision, Simple};
use serde::{Serialize, Serializer};

/// Fields whose value is somebody's, or their device's.
const PERSONAL: [Field; 8] = [Field::ClientAddr, Field::ProxiedAddr, Field::User, Field::Ident, Field::Session, Field::RequestId, Field::Cookie, Field::ClientPort];

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// `singling out`, `linkability` or `inference`.
    #[serde(rename = "question")]
    pub name: &'static str,
    /// Whether it is possible.
    pub verdict: Verdict,
    /// Why, in words.
    pub answer: String,
}

/// Whether something is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For some records at least.
    Yes,
    /// With knowledge from elsewhere, or for groups.
    Partly,
    /// Not by what was measured.
    NotMeasured,
}

impl Verdict {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::NotMeasured => "not by these figures",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The three answers.
pub fn questions(policy: &Policy, figures: &Figures) -> [Question; 3] {
    [singling_out(policy, figures), linkability(policy, figures), inference(policy, figures)]
}

/// What the file is in law's words: never plainly anonymous.
pub fn standing(policy: &Policy) -> String {
    let kept = kept(policy, &PERSONAL);
    if !kept.is_empty() {
        return format!("personal data: the policy keeps {} as they are", words(&kept));
    }
    let mut text = "pseudonymised data as long as the raw log".to_owned();
    if is_keyed(policy) {
        text.push_str(", or a key of one of its periods,");
    }
    text.push_str(" exists anywhere, backups included; after that a candidate for anonymisation, to be judged by these figures");
    if is_keyed(policy) {
        text.push_str("; what a fleet seed keyed stays pseudonymised as long as anybody has the seed");
    }
    text
}

fn singling_out(policy: &Policy, figures: &Figures) -> Question {
    let kept = kept(policy, &PERSONAL);
    let (unique, below, k) = (figures.groups.unique, figures.groups.below_k, figures.k);
    let (verdict, mut answer) = if figures.records == 0 {
        (Verdict::NotMeasured, "there is no record to measure".to_owned())
    } else if !kept.is_empty() {
        (Verdict::Yes, format!("{} stay as they are, and single people out by themselves", words(&kept)))
    } else if unique > 0.0 {
        (Verdict::Yes, format!("{} of the records are the only one with their address, user agent and hour; {} share these with fewer than {k}", percent(unique), percent(below)))
    } else if below > 0.0 {
        (Verdict::Partly, format!("no record is the only one with its address, user agent and hour, but {} share these with fewer than {k}", percent(below)))
    } else {
        (Verdict::NotMeasured, format!("every record shares its address, user agent and hour with at least {k}, itself included"))
    };
    if let Some(known) = moment(policy).filter(|_| figures.records > 0) {
        answer.push_str(&format!("; whoever knows {known} of a visit may find its record by that"));
    }
    Question { name: "singling out", verdict, answer }
}

fn linkability(policy: &Policy, figures: &Figures) -> Question {
    let chain = figures.chains.map_or_else(String::new, |chains| {
        let at_least = if chains.one_in > 1 { "at least " } else { "" };
        format!("; the longest chain has {at_least}{} records, {} values have {:.1} records on average", chains.longest, chains.distinct, chains.mean)
    });
    let action = policy.action(Field::ClientAddr);
    let (mut verdict, by_address) = match action {
        Action::Keep => (Verdict::Yes, "all records of an address carry it".to_owned()),
        Action::Truncate { v4, v6 } => {
            (Verdict::Partly, format!("records of one network carry one value: {} addresses of IPv4, a /{v6} of IPv6, which may be one household", 1_u64 << (32 - (*v4).min(32))))
        }
        Action::Hash(_) => (Verdict::Yes, "by design, all records of an address carry one pseudonym within the period of a key, and another one in the next period".to_owned()),
        Action::EncryptPrefix => (
            Verdict::Yes,
            "by design, all records of an address carry one pseudonym within the period of a key, and neighbours in a network carry pseudonyms that begin alike".to_owned(),
        ),
        Action::Asn | Action::Country => (Verdict::Partly, "records of one provider or country carry one value".to_owned()),
        Action::Drop
        | Action::BlackMarker
        | Action::Bucket
        | Action::Precision(_)
        | Action::Detect
        | Action::Template
        | Action::NoQuery
        | Action::PathOnly
        | Action::Origin
        | Action::Site
        | Action::Family
        | Action::Add
        | Action::Named(_) => (Verdict::NotMeasured, "nothing is left of the address".to_owned()),
    };
    let others: Vec<Field> = PERSONAL
        .into_iter()
        .filter(|field| *field != Field::ClientAddr && is_hashed(policy.action(*field)))
        .chain(kept(policy, &PERSONAL))
        .filter(|field| *field != Field::ClientAddr)
        .collect();
    let also = if others.is_empty() { String::new() } else { format!("; {} link records as well", words(&others)) };
    if !others.is_empty() {
        verdict = Verdict::Yes;
    }
    Question { name: "linkability", verdict, answer: format!("{by_address}{chain}{also}; and whoever has the raw log links every line to its own by order and time") }
}

fn inference(policy: &Policy, figures: &Figures) -> Question {
    const TELLING: [Field; 7] = [Field::Path, Field::Query, Field::Referrer, Field::Host, Field::Message, Field::Country, Field::Asn];
    let telling: Vec<Field> = TELLING.into_iter().filter(|field| figures.fields.iter().any(|known| known.field == *field) && *policy.action(*field) != Action::Drop).collect();
    let alike = figures.groups.alike;
    let (verdict, answer) = if telling.is_empty() {
        (Verdict::NotMeasured, "no field is left that says what somebody read or where they came from".to_owned())
    } else if alike > 0.0 && telling.contains(&Field::Path) {
        let also: Vec<Field> = telling.into_iter().filter(|field| *field != Field::Path).collect();
        let also = if also.is_empty() { String::new() } else { format!("; {} tell more", words(&also)) };
        (
            Verdict::Yes,
            format!("{} of the records stand in a group of several that all ask for one path: who is known to be in the group is known to have read it{also}", percent(alike)),
        )
    } else {
        (
            Verdict::Partly,
            format!("{} {} what was read and from where, once a record is known to be somebody's", words(&telling), if telling.len() == 1 { "tells" } else { "tell" }),
        )
    };
    Question { name: "inference", verdict, answer }
}

/// The fields of a list that a policy keeps.
fn kept(policy: &Policy, fields: &[Field]) -> Vec<Field> {
    let keeps = |action: &Action| if let Action::Named(names) = action { names.default == Simple::Keep } else { *action == Action::Keep };
    fields.iter().copied().filter(|field| keeps(policy.action(*field))).collect()
}

fn is_hashed(action: &Action) -> bool {
    if let Action::Named(names) = action {
        return names.default == Simple::Hash || names.names.values().any(|simple| *simple == Simple::Hash);
    }
    matches!(action, Action::Hash(_) | Action::EncryptPrefix)
}

fn is_keyed(policy: &Policy) -> bool {
    FIELDS.into_iter().any(|field| is_hashed(policy.action(field)))
}

/// How exactly times are kept; `None` for hours and less.
fn moment(policy: &Policy) -> Option<&'static str> {
    let action = policy.action(Field::Time);
    let second = matches!(action, Action::Keep | Action::Precision(Precision::Second));
    let minute = *action == Action::Precision(Precision::Minute);
    second.then_some("the second").or(minute.then_some("the minute"))
}

fn words(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        other => other.concat(),
    }
}

/// `3.2 %`; never `0.0 %` of something that is there, nor `100.0 %` of less than all.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        some if some > 0.0 && some < 0.1 => "under 0.1 %".to_owned(),
        some if some > 99.9 && some < 100.0 => "over 99.9 %".to_owned(),
        some => format!("{some:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::risk::{HELD, Risk};
    use super::*;

    fn figures(k: u64, records: &[(&str, &str)]) -> Figures {
        let mut risk = Risk::new(k, HELD);
        for (client, path) in records {
            risk.add([(Field::ClientAddr, client.as_bytes()), (Field::Path, path.as_bytes())].into_iter(), Some(1));
        }
        risk.figures()
    }

    fn policy(text: &str) -> Policy {
        Policy::parse("mine", "mine.toml", text).unwrap()
    }

    #[test]
    fn a_lone_record_singles_out() {
        let found = questions(
            &policy("client_addr = \"truncate/24,32\"\ntime = \"hour\"\npath = \"detect\"\nother = \"drop\""),
            &figures(2, &[("203.0.113.0", "/a"), ("198.51.100.0", "/b"), ("198.51.100.0", "/c")]),
        );
        assert_eq!(found.each_ref().map(|question| question.verdict), [Verdict::Yes, Verdict::Partly, Verdict::Partly]);
        assert!(found[0].answer.starts_with("33.3 % of the records are the only one") && !found[0].answer.contains("second"), "{}", found[0].answer);
        assert!(found[1].answer.contains("256 addresses") && found[1].answer.contains("the longest chain has 2 records"), "{}", found[1].answer);
    }

    #[test]
    fn a_crowd_hides_and_tells_what_it_reads() {
        let found = questions(&policy("client_addr = \"drop\"\ntime = \"second\"\npath = \"keep\"\nother = \"drop\""), &figures(3, &[("-", "/a"); 3]));
        assert_eq!(found.each_ref().map(|question| question.verdict), [Verdict::NotMeasured, Verdict::NotMeasured, Verdict::Yes]);
        assert!(found[0].answer.contains("the second of a visit") && found[2].answer.starts_with("100.0 %"), "{found:?}");
    }

    #[test]
    fn what_is_kept_is_called_what_it_is() {
        let security = Policy::built_in("security").unwrap();
        assert!(standing(&security).starts_with("personal data: the policy keeps client_addr, proxied_addr, user"), "{}", standing(&security));
        assert_eq!(questions(&security, &figures(2, &[("203.0.113.9", "/a")]))[0].verdict, Verdict::Yes);
        for name in ["default", "strict", "analytics"] {
            let text = standing(&Policy::built_in(name).unwrap());
            assert!(text.starts_with("pseudonymised data as long as the raw log exists") && text.contains("a candidate for anonymisation"), "{text}");
        }
    }

    #[test]
    fn shares_never_round_to_what_they_are_not() {
        assert_eq!([0.0, 0.0004, 0.5, 0.9996, 1.0].map(percent), ["0.0 %", "under 0.1 %", "50.0 %", "over 99.9 %", "100.0 %"]);
    }
}
