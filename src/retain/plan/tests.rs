//! Every reason, and what must hold whatever is found.

use super::*;
use crate::retain::{Outside, PolicyFault};
use crate::scrub::Policy;
use jiff::tz::TimeZone;
use proptest::prelude::*;

const CONFIG: &str = r#"
[[class]]
name = "site"
raw  = ["/var/log/x/access.log*"]
zone = "Europe/Stockholm"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "6 months"
output = "/srv/x"

[[class]]
name  = "whole"
raw   = ["/var/log/y/*"]
split = false
at_least = "10 days"
[[class.keep]]
form  = "raw"
until = "10 days"
"#;

fn config() -> Config {
    let outside = Outside { policy: &|word| Policy::built_in(word).ok_or(PolicyFault::Unknown), zone: &|name| TimeZone::get(name).ok() };
    Config::parse("test.toml", CONFIG, outside).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn found(class: &str, form: &str, oldest: &str, newest: &str) -> Found {
    Found {
        path: "/var/log/x/access.log.1".into(),
        class: class.into(),
        form: form.into(),
        span: Some((at(oldest), at(newest))),
        state: State::Quiet,
        forms: Forms::Proven,
        too_many_rejects: false,
        cut: None,
        lets_go: false,
        empty: false,
    }
}

fn hold(class: &str, from: Option<&str>, to: Option<&str>, addresses: bool) -> BTreeMap<String, Hold> {
    let hold = Hold {
        name: "case".into(),
        class: class.into(),
        from: from.map(at),
        to: to.map(at),
        addresses: addresses.then(Default::default),
        reason: "court".into(),
        until: Some(at("2030-01-01T00:00:00Z")),
    };
    BTreeMap::from([(hold.name.clone(), hold)])
}

/// Reason, actions and whether it is overdue, of one file on 1 July 2026 in the afternoon.
fn judge(file: Found, holds: &BTreeMap<String, Hold>) -> (Reason, Vec<Action>, bool) {
    let plan = plan(&config(), &[file], holds, at("2026-07-01T12:00:00Z"));
    let file = &plan.files[0];
    assert_eq!(plan.overdue, usize::from(file.overdue));
    (file.reason, file.actions.clone(), file.overdue)
}

#[test]
fn every_file_gets_a_reason() {
    use Action::{Delete, Reopen, Scrub, Split};
    let none = BTreeMap::new();
    let (old, edge, young) = ("2026-05-20T10:00:00Z", "2026-05-31T21:59:59Z", "2026-05-31T22:00:00Z");
    let expired = || found("site", "raw", old, edge);
    let straddles = || found("site", "raw", old, young);
    let table = [
        ("all due", expired(), Reason::Expired, vec![Delete], false),
        ("one second younger", found("site", "raw", young, young), Reason::Young, vec![], false),
        ("both", straddles(), Reason::Straddles, vec![Split], false),
        ("forms to make", Found { forms: Forms::ToMake, ..expired() }, Reason::Expired, vec![Scrub, Delete], false),
        ("forms to make, both", Found { forms: Forms::ToMake, ..straddles() }, Reason::Straddles, vec![Scrub, Split], false),
        ("forms to make, young", Found { forms: Forms::ToMake, ..found("site", "raw", young, young) }, Reason::Young, vec![], false),
        ("forms that cannot be made", Found { forms: Forms::Missing, ..expired() }, Reason::NotScrubbed, vec![], true),
        ("in use", Found { state: State::InUse, ..straddles() }, Reason::InUse, vec![], true),
        ("in use, and the server can be told", Found { state: State::InUse, lets_go: true, ..straddles() }, Reason::InUse, vec![Reopen], false),
        ("in use, young, and the server can be told", Found { state: State::InUse, lets_go: true, ..found("site", "raw", young, young) }, Reason::Young, vec![], false),
        ("quiet, and the server could be told", Found { lets_go: true, ..straddles() }, Reason::Straddles, vec![Split], false),
        ("in use and empty", Found { state: State::InUse, empty: true, ..expired() }, Reason::Young, vec![], false),
        ("in use and young", Found { state: State::InUse, ..found("site", "raw", young, young) }, Reason::Young, vec![], false),
        ("damaged", Found { state: State::Unreadable, ..expired() }, Reason::Unproven, vec![], true),
        ("rejects", Found { too_many_rejects: true, forms: Forms::ToMake, ..expired() }, Reason::TooManyRejects, vec![], true),
        ("gone", Found { state: State::Gone, ..expired() }, Reason::Vanished, vec![], false),
        ("of a time to come", found("site", "raw", young, "2026-07-02T13:00:01Z"), Reason::FutureDated, vec![], false),
        ("of a time to come, and due", found("site", "raw", old, "2026-07-02T13:00:01Z"), Reason::FutureDated, vec![], true),
        ("within the hour of a clock change", found("site", "raw", young, "2026-07-02T13:00:00Z"), Reason::Young, vec![], false),
        ("a form", found("site", "default", "2025-12-31T10:00:00Z", "2025-12-31T22:59:59Z"), Reason::Expired, vec![Delete], false),
        ("a young form", found("site", "default", "2025-12-31T23:00:00Z", "2026-01-02T10:00:00Z"), Reason::Young, vec![], false),
        ("whole files, one record young", found("whole", "raw", "2026-06-01T00:00:00Z", "2026-06-21T00:00:00Z"), Reason::Straddles, vec![], false),
        ("whole files", found("whole", "raw", "2026-06-01T00:00:00Z", "2026-06-20T23:59:59Z"), Reason::Expired, vec![Delete], false),
    ];
    for (what, file, reason, actions, overdue) in table {
        assert_eq!(judge(file, &none), (reason, actions, overdue), "{what}");
    }
}

#[test]
fn holds_beat_deadlines() {
    use Action::Split;
    let (old, edge, young) = ("2026-05-20T10:00:00Z", "2026-05-31T21:59:59Z", "2026-06-20T22:00:00Z");
    let raw = || found("site", "raw", old, edge);
    let held = (Reason::Held, vec![], true);
    let goes = (Reason::Expired, vec![Action::Delete], false);
    assert_eq!(judge(raw(), &hold("site", None, None, false)), held);
    assert_eq!(judge(raw(), &hold("site", Some(edge), None, false)), held);
    assert_eq!(judge(raw(), &hold("site", Some("2026-06-01T00:00:00Z"), None, false)), goes);
    assert_eq!(judge(raw(), &hold("site", None, Some(old), false)), held);
    assert_eq!(judge(raw(), &hold("site", None, Some("2026-05-20T09:00:00Z"), false)), goes);
    assert_eq!(judge(raw(), &hold("whole", None, None, false)), goes);
    // A hold beats what else keeps a file, and says nothing about one that is young.
    assert_eq!(judge(Found { state: State::InUse, ..raw() }, &hold("site", None, None, false)), held);
    assert_eq!(judge(found("site", "raw", young, young), &hold("site", None, None, false)).0, Reason::Young);
    // Of a straddling file only the young part is held: the rest goes.
    assert_eq!(judge(found("site", "raw", old, young), &hold("site", Some("2026-06-10T00:00:00Z"), None, false)), (Reason::Straddles, vec![Split], false));
    // Addresses: what matches is cut out, once; forms without addresses go.
    assert_eq!(judge(raw(), &hold("site", None, None, true)), (Reason::Held, vec![Split], false));
    assert_eq!(judge(Found { cut: Some(at("2026-07-01T12:00:00Z")), ..raw() }, &hold("site", None, None, true)), held);
    assert_eq!(judge(Found { cut: Some(at("2026-05-25T00:00:00Z")), ..raw() }, &hold("site", None, None, true)).1, vec![Split]);
    let form = found("site", "default", "2025-11-01T10:00:00Z", "2025-11-01T11:00:00Z");
    assert_eq!(judge(form.clone(), &hold("site", None, None, true)), goes);
    assert_eq!(judge(form, &hold("site", None, None, false)), held);
    // One that has ended by itself.
    let mut ended = hold("site", None, None, false);
    ended.values_mut().for_each(|hold| hold.until = Some(at("2026-07-01T12:00:00Z")));
    assert_eq!(judge(raw(), &ended), goes);
}

#[test]
fn the_report_has_its_keys() {
    let plan = plan(&config(), &[found("site", "raw", "2026-05-20T10:00:00Z", "2026-05-20T11:00:00Z")], &BTreeMap::new(), at("2026-07-01T12:00:00Z"));
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!((json["now"].as_str(), json["overdue"].as_u64()), (Some("2026-07-01T12:00:00Z"), Some(0)));
    let file = &json["files"][0];
    assert_eq!((file["class"].as_str(), file["form"].as_str(), file["reason"].as_str()), (Some("site"), Some("raw"), Some("expired")));
    assert_eq!((file["newest"].as_str(), file["deadline"].as_str()), (Some("2026-05-20T11:00:00Z"), Some("2026-06-19T22:00:00Z")));
    assert_eq!(file["actions"], serde_json::json!(["delete"]));
    assert_eq!(file["path"], "/var/log/x/access.log.1");
    let mut other = plan.clone();
    other.now = at("2026-07-02T12:00:00Z");
    assert_eq!(other.digest(), plan.digest(), "the hour of a plan is no part of it");
    other.files[0].actions.clear();
    assert_ne!(other.digest(), plan.digest());
}

proptest! {
    /// Whatever is found and held: what is deleted is due as a whole, what is cut is due in part, nothing held goes, and nothing
    /// due stays without an alarm.
    #[test]
    fn nothing_goes_early(
        now in 1_700_000_000_i64..1_900_000_000,
        age in 0_i64..40_000_000,
        length in 0_i64..20_000_000,
        whole in any::<bool>(),
        state in 0..3_usize,
        forms in 0..3_usize,
        from in proptest::option::of(1_690_000_000_i64..1_900_000_000),
        to in proptest::option::of(1_690_000_000_i64..1_900_000_000),
        addresses in any::<bool>(),
        cut in proptest::option::of(1_690_000_000_i64..1_900_000_000),
    ) {
        let config = config();
        let second = |second: i64| Timestamp::from_second(second).unwrap();
        let class = if whole { "whole" } else { "site" };
        let span = (second(now - age - length), second(now - age));
        let file = Found {
            path: "/x".into(),
            class: class.into(),
            form: "raw".into(),
            span: Some(span),
            state: [State::Quiet, State::InUse, State::Unreadable][state],
            forms: [Forms::Proven, Forms::ToMake, Forms::Missing][forms],
            too_many_rejects: false,
            cut: cut.map(second),
            lets_go: false,
            empty: false,
        };
        let held = Hold { name: "case".into(), class: class.into(), from: from.map(second), to: to.map(second), addresses: addresses.then(Default::default), reason: "x".into(), until: None };
        let now = second(now);
        let judged = &plan(&config, std::slice::from_ref(&file), &BTreeMap::from([("case".to_owned(), held.clone())]), now).files[0];
        let class = config.class(class).unwrap();
        let due = |record: Timestamp| class.deadline(&class.raw, record).unwrap() <= now;
        let acts = judged.actions.iter().any(|action| *action != Action::Scrub);
        if judged.actions.contains(&Action::Delete) {
            prop_assert!(due(span.1) && !held.covers(&class.name, span, now));
        }
        if judged.actions.contains(&Action::Split) {
            prop_assert!(due(span.0) && (class.split || due(span.1)));
        }
        prop_assert!(!acts || file.state == State::Quiet && file.forms != Forms::Missing);
        prop_assert!(!acts || addresses || !due(span.1) || !held.covers(&class.name, span, now));
        let is_due = due(span.1) || (class.split && due(span.0));
        prop_assert_eq!(judged.overdue, is_due && !acts);
        if let Some(boundary) = class.boundary(&class.raw, now) {
            prop_assert!(!due(boundary) && due(second(boundary.as_second() - 1)));
        }
    }
}
