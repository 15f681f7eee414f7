//! The configuration: samples that load and say when things go, and faults that show their place.

use super::support::{Dir, logfade};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use logfade::retain::{Config, Outside, PolicyFault};
use logfade::scrub::Policy;
use std::path::Path;

fn outside() -> Outside<'static> {
    Outside { policy: &|word| Policy::built_in(word).ok_or(PolicyFault::Unknown), zone: &|name| TimeZone::get(name).ok() }
}

fn sample(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Config::parse(name, &text, outside()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The deadline of a record in a form, as text.
fn due(config: &Config, class: &str, form: &str, record: &str) -> String {
    let class = config.class(class).unwrap();
    let form = class.all_forms().find(|known| known.name == form).unwrap_or_else(|| panic!("no form {form}"));
    let record: Timestamp = record.parse().unwrap();
    class.deadline(form, record).map_or_else(|| "never".to_owned(), |moment| moment.to_string())
}

#[test]
fn every_sample_says_when_its_records_go() {
    let table = [
        ("a-six-months.toml", "site", "raw", "2026-05-22T10:00:00Z", "2026-11-22T23:00:00Z"),
        ("a-six-months.toml", "site", "raw", "2026-08-31T21:59:59Z", "2027-02-28T23:00:00Z"),
        ("a-six-months.toml", "site", "default", "2026-05-22T10:00:00Z", "2028-06-22T22:00:00Z"),
        ("b-recipients.toml", "shop", "raw", "2026-03-20T12:00:00Z", "2026-04-03T21:00:00Z"),
        ("b-recipients.toml", "shop", "operations", "2024-02-29T12:00:00Z", "2025-02-28T22:00:00Z"),
        ("b-recipients.toml", "shop", "analytics", "2026-07-01T20:59:59Z", "2027-07-01T21:00:00Z"),
        ("b-recipients.toml", "shop", "group", "2026-07-01T21:00:00Z", "2027-07-02T21:00:00Z"),
        ("c-then-statistics.toml", "site", "raw", "2026-10-10T12:00:00Z", "2026-11-09T23:00:00Z"),
        ("c-then-statistics.toml", "site", "strict", "2026-10-10T12:00:00Z", "2027-04-10T22:00:00Z"),
        ("c-then-statistics.toml", "site", "aggregate", "2026-10-10T12:00:00Z", "2031-10-10T22:00:00Z"),
        ("d-aggregates-forever.toml", "app", "raw", "2026-10-10T12:00:00Z", "2026-10-18T00:00:00Z"),
        ("d-aggregates-forever.toml", "app", "aggregate", "2026-10-10T12:00:00Z", "never"),
        ("e-register.toml", "web", "raw", "2026-12-31T22:59:59Z", "2027-06-30T22:00:00Z"),
        ("e-register.toml", "payments", "raw", "2026-01-01T00:00:00Z", "2033-12-31T23:00:00Z"),
        ("e-register.toml", "payments", "raw", "2026-12-31T23:00:00Z", "2034-12-31T23:00:00Z"),
    ];
    for (name, class, form, record, expected) in table {
        assert_eq!(due(&sample(name), class, form, record), expected, "{name} {class} {form} {record}");
    }
    let listed = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention")).unwrap().count();
    let tested: std::collections::BTreeSet<&str> = table.iter().map(|row| row.0).collect();
    assert_eq!(listed, tested.len(), "each sample is in the table");
}

#[test]
fn check_explains_every_sample() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention")).unwrap() {
        let path = entry.unwrap().path();
        let state = Dir::new();
        let path = path.to_str().unwrap();
        let text = logfade(&["-c", path, "--state", &state.arg("s"), "check"]).run(b"").expect_code(0).stdout_text();
        assert!(text.contains("is fine") && text.contains("raw"), "{text}");
        let report = logfade(&["-c", path, "--json", "check"]).run(b"").expect_code(0).json();
        assert!(report["classes"][0]["forms"][0]["until"].is_string());
        assert_eq!(report["digest"].as_str().map(str::len), Some(64));
    }
}

/// A class that is fine, for changes.
const FINE: &str = r#"
[[class]]
name   = "site"
raw    = ["/var/log/nginx/access.log*"]
format = "combined"
zone   = "Europe/Stockholm"

[[class.keep]]
form  = "raw"
until = "6 months"

[[class.keep]]
form   = "default"
until  = "25 months"
output = "/srv/logs/site"
"#;

fn fault(text: &str) -> String {
    Config::parse("logfade.toml", text, outside()).map_or_else(|fault| fault.to_string(), |_| "fine".to_owned())
}

#[test]
fn faults_show_their_place_and_a_remedy() {
    assert_eq!(fault(FINE), "fine");
    // What is replaced, by what, words of the cause, where the caret stands, words of the remedy.
    let table = [
        ("raw    = [", "rav    = [", "unknown key `rav`", "4:1", "did you mean raw?"),
        ("zone   =", "zome   =", "unknown key `zome`", "6:1", "did you mean zone?"),
        ("name   = \"site\"", "", "`name` is missing", "2:1", "name of the class"),
        ("name   = \"site\"", "name   = \"my site\"", "cannot name a class", "3:10", "hyphens"),
        ("name   = \"site\"", "name   = 5", "cannot be an integer", "3:10", "name of the class"),
        ("Europe/Stockholm", "Europe/Stokholm", "no time zone", "6:10", "IANA"),
        ("\"combined\"", "\"combind\"", "no format is called `combind`", "5:10", "did you mean combined"),
        ("\"combined\"", "'nginx:$remote_addr ${status'", "", "5:", "help"),
        ("[\"/var/log/nginx/access.log*\"]", "[\"access.log\"]", "directory that the files lie in", "4:11", "whole path"),
        ("[\"/var/log/nginx/access.log*\"]", "[\"/*\"]", "directory that the files lie in", "4:11", "whole path"),
        ("[\"/var/log/nginx/access.log*\"]", "[\"/var/log/../x/*\"]", "does not name files", "4:11", ".."),
        ("[\"/var/log/nginx/access.log*\"]", "[\"/var/log/nginx/[a\"]", "is no glob", "4:11", "use *"),
        ("raw    = [\"/var/log/nginx/access.log*\"]", "", "no source", "2:1", "listen"),
        ("format = ", "listen = [\"fifo:///run/x\"]\nformat = ", "never both", "5:10", "two classes"),
        ("raw    = [\"/var/log/nginx/access.log*\"]", "listen = [\"udp://1\"]", "nothing to listen on", "4:11", "syslog+udp"),
        ("form  = \"raw\"", "form  = \"strict\"\noutput = \"/srv/x\"", "no deadline for raw", "2:1", "form = \"raw\""),
        ("\"6 months\"", "\"6 moons\"", "no calendar span", "10:9", "6 months"),
        ("\"6 months\"", "\"12 hours\"", "no calendar span", "10:9", "days"),
        ("\"6 months\"", "\"forever\"", "raw has no deadline", "10:9", "how long"),
        ("\"6 months\"", "\"6 months\"\noutput = \"/srv/raw\"", "stays where the server wrote it", "11:10", "leave it out"),
        ("\"6 months\"", "\"6 months\"\nseal = true", "no say over files", "11:8", "leave it out"),
        ("\"6 months\"", "\"6 months\"\nwhere = { status = 404 }", "raw is kept whole", "11:9", "move it"),
        ("\"default\"", "\"defualt\"", "no policy is called `defualt`", "13:10", "did you mean default?"),
        ("\"default\"", "\"raw\"", "raw stays where the server wrote it", "15:10", "help"),
        ("output = \"/srv/logs/site\"", "", "a form has no output", "13:10", "add output"),
        ("\"/srv/logs/site\"", "\"srv/logs\"", "is no directory", "15:10", "whole path"),
        ("\"/srv/logs/site\"", "\"/var/log/nginx\"", "would be raw of class site", "15:10", "narrower glob"),
        ("\"/srv/logs/site\"", "\"stdout:\"", "on the word of stdout:", "15:10", "unproven"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nmode = \"0666\"", "lets too much", "16:8", "0640"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nmode = \"rw\"", "no mode", "16:8", "octal"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nk = 5", "belongs to aggregates", "16:5", "aggregate"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nrotate = [\"1 day\", \"2 days\"]", "second of its kind", "16:20", "at most one"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\ncompress = \"gzip\"", "no compression", "16:12", "zstd"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nwhere = { cookie = { consent = \"yes\" } }", "has no cookie to select by", "16:20", "log it"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nwhere = { status = \"40x\" }", "no range of status codes", "16:20", "4xx"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nwhere = { network = \"10.0.0.0/33\" }", "is no network", "16:21", "10.0.0.0/8"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nwhere = {}", "without conditions", "16:9", "every record"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nwhere = { stats = 404 }", "unknown key `stats`", "16:11", "status"),
        (
            "\"/srv/logs/site\"",
            "\"/srv/logs/site\"\nrecipients = [{ name = \"X\", role = \"processor\", country = \"US\" }]",
            "needs a safeguard",
            "16:59",
            "standard contractual clauses",
        ),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nrecipients = [{ name = \"X\", role = \"procesor\", country = \"SE\" }]", "no value of `role`", "16:36", "processor"),
        ("\"/srv/logs/site\"", "\"/srv/logs/site\"\nrecipients = [{ name = \"X\", role = \"processor\", country = \"Sweden\" }]", "no country code", "16:59", "SE"),
        (
            "\"/srv/logs/site\"",
            "\"/srv/logs/site\"\n[[class.keep]]\nform = \"default\"\nuntil = \"1 year\"\noutput = \"/srv/2\"",
            "two forms of class site are called `default`",
            "17:8",
            "name =",
        ),
        (
            "\"/srv/logs/site\"",
            "\"/srv/logs/site\"\n[[class.keep]]\nform = \"strict\"\nuntil = \"1 year\"\noutput = \"/srv/logs/site/\"",
            "same output",
            "19:10",
            "class site, form default",
        ),
        ("zone   =", "reopen = \"nginx -s reopen\"\nzone   =", "without a shell", "6:10", "[\"nginx\", \"-s\", \"reopen\"]"),
        ("zone   =", "reopen = [\"\", \"-s\"]\nzone   =", "names no program", "6:11", "[\"nginx\", \"-s\", \"reopen\"]"),
        ("zone   =", "reopen = [\"bin/reload\"]\nzone   =", "beside the configuration", "6:11", "whole path"),
        ("log*\"]", "log\"]\nreopen = [\"nginx\", \"-s\", \"reopen\"]", "would not be of this class", "4:11", "end it with *"),
        ("raw    = [\"/var/log/nginx/access.log*\"]", "listen = [\"fifo:///run/x\"]\nreopen = [\"true\"]", "logs that a server writes", "5:10", "leave it out"),
        ("zone   =", "at_least = \"1 year\"\nzone   =", "less than at_least", "11:9", "lower it"),
        ("[[class]]", "state = \"/srv/logs/site\"\n[[class]]", "the state directory", "16:10", "another directory"),
        ("[[class]]", "[run]\nmetrics = \"9464\"\n[[class]]", "no address with a port", "3:11", "127.0.0.1:9464"),
        ("[[class]]", "[keys]\nkeep = \"forever\"\n[[class]]", "no duration", "3:8", "24 hours"),
        ("[[class]]", "[keys]\nmode = \"flet\"\n[[class]]", "no value of `mode`", "3:8", "fleet"),
        ("[[class]]", "[controller]\nname = \"\"\ncontact = \"x\"\n[[class]]", "`name` is empty", "3:8", "write it"),
        ("[[class]]", "[controller\n[[class]]", "not valid TOML", "2:", "correct the line"),
        ("[[class]]", "classes = 5\n[[class]]", "unknown key `classes`", "2:1", "did you mean class?"),
    ];
    let mut wrong = Vec::new();
    for (from, to, cause, place, remedy) in table {
        let text = FINE.replacen(from, to, 1);
        assert_ne!(text, FINE, "{from} is not there");
        let shown = fault(&text);
        let stands = format!("logfade.toml:{place}");
        if !(shown.contains(cause) && shown.contains(&stands) && shown.contains(remedy) && shown.contains("help:") && shown.contains('^')) {
            wrong.push(format!("{from} -> {to}: {cause}, {place}, {remedy}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let twice = format!("{FINE}{}", FINE.replace("/srv/logs/site", "/srv/2"));
    assert!(fault(&twice).contains("two classes are called `site`"));
    let other = format!("{FINE}{}", FINE.replace("/srv/logs/site", "/srv/2").replace("\"site\"", "\"other\""));
    assert!(fault(&other).contains("class site has the same raw files"));
}

#[test]
fn the_configuration_is_found_and_used() {
    let dir = Dir::new();
    let mine = dir.file("mine.toml", b"client_addr = \"black-marker\"\nother = \"drop\"\n");
    assert!(mine.ends_with("mine.toml"));
    let config = dir.file("logfade.toml", FINE.replace("\"default\"", "\"mine.toml\"").as_bytes());
    let text = logfade(&["-c", &config, "check"]).run(b"").expect_code(0).stdout_text();
    assert!(text.contains("policy mine") && text.contains("still undecided") && text.contains("purpose"), "{text}");
    // A fault in the policy that the configuration names is shown in the policy.
    dir.file("mine.toml", b"client_adr = \"black-marker\"\nother = \"drop\"\n");
    let shown = logfade(&["-c", &config, "check"]).run(b"").expect_code(2).stderr_text();
    assert!(shown.contains("mine.toml:1:1") && shown.contains('^'), "{shown}");
    // A configuration at fault stops a pipe: its keys would be missed.
    let broken = dir.file("broken.toml", b"[keys]\nmoed = \"local\"\n");
    let outcome = logfade(&["-c", &broken, "pipe"]).run(b"x\n");
    assert_eq!((outcome.code(), outcome.stdout.len()), (Some(2), 0));
    let keys = dir.file("keys.toml", b"[keys]\nmode = \"local\"\n");
    assert_eq!(logfade(&["-c", &keys, "pipe"]).run(b"").code(), Some(0));
}

#[test]
fn the_schema_knows_every_key_of_the_samples() {
    let schema = logfade(&["check", "--schema"]).run(b"").expect_code(0).json();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention")).unwrap() {
        let path = entry.unwrap().path();
        let value: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        known(&serde_json::to_value(value).unwrap(), &schema, &path);
    }
}

/// A little of a schema's validation: properties, required, items.
fn known(value: &serde_json::Value, schema: &serde_json::Value, path: &Path) {
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for (key, value) in members {
            known(value, properties.get(key).unwrap_or_else(|| panic!("{}: {key}", path.display())), path);
        }
        for required in schema["required"].as_array().unwrap() {
            assert!(members.contains_key(required.as_str().unwrap()), "{}: {required}", path.display());
        }
    } else if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        items.iter().for_each(|item| known(item, schema, path));
    }
}
