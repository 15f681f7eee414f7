//! The record of processing: says what the configuration says, derives the rest, and escapes everything.

use super::support::{Dir, logfade};
use serde_json::Value;
use std::path::Path;

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention").join(name).to_str().unwrap().to_owned()
}

fn texts<'v>(values: &'v Value, key: &str) -> Vec<&'v str> {
    values.as_array().unwrap().iter().map(|value| value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))).collect()
}

#[test]
fn the_record_says_what_the_configuration_says_and_derives_the_rest() {
    let json = logfade(&["-c", &sample("e-register.toml"), "register", "--as", "json"]).run(b"").expect_code(0).json();
    assert_eq!(json["controller"]["name"], "Example Payments S.A.");
    assert_eq!(json["controller"]["officer"], "dpo@example.org");
    let web = &json["activities"][0];
    assert_eq!((web["class"].as_str(), web["basis"].as_str()), (Some("web"), Some("legitimate interest")));
    assert_eq!(texts(&json["activities"], "purpose"), ["security of the service, fault finding", "bookkeeping of card payments"]);
    assert_eq!(texts(&web["forms"], "form"), ["raw", "default"]);
    let (raw, clean) = (&web["forms"][0], &web["forms"][1]);
    assert!(texts(&raw["data"], "what").contains(&"IP address of the visitor"));
    assert!(texts(&raw["data"], "treatment").iter().all(|treatment| *treatment == "as the server wrote it"));
    let address = clean["data"].as_array().unwrap().iter().find(|datum| datum["field"] == "client_addr").unwrap();
    assert!(address["treatment"].as_str().unwrap().contains("truncated to 24 of 32 bits"));
    let removed: Vec<&str> = clean["removed"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(removed.contains(&"user name") && removed.contains(&"parameters of the request"), "{removed:?}");
    assert!(clean["nature"].as_str().unwrap().contains("pseudonymised"));
    assert_eq!(raw["retention"], "6 months from the time of each record, to the end of that day (Europe/Luxembourg)");
    let receiver = &clean["recipients"][0];
    assert_eq!((receiver["country"].as_str(), receiver["third_country"].as_bool(), receiver["safeguard"].as_str()), (Some("US"), Some(true), Some("standard contractual clauses")));
    assert_eq!(raw["recipients"][0]["third_country"], false);
    let payments = &json["activities"][1];
    let fields = texts(&payments["forms"][0]["data"], "field");
    assert!(["client_addr", "user", "time", "other"].iter().all(|field| fields.contains(field)) && !fields.contains(&"referrer"), "{fields:?}");
    assert!(
        payments["forms"][0]["retention"].as_str().unwrap().contains("to the end of that year")
            && payments["forms"][0]["retention"].as_str().unwrap().contains("not less than 7 years")
    );
    let shop = logfade(&["-c", &sample("b-recipients.toml"), "register", "--as", "json"]).run(b"").expect_code(0).json();
    let natures = texts(&shop["activities"][0]["forms"], "nature");
    // The security policy keeps addresses and users as they are: nothing pseudonymous about that.
    assert!(natures[1].starts_with("personal data") && natures[1].contains("user name") && natures[3].starts_with("pseudonymised"), "{natures:?}");
    assert!(!json.to_string().contains(" anonymous"), "nothing is called plainly anonymous");
}

#[test]
fn every_sample_is_written_in_every_form() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retention")).unwrap() {
        let path = entry.unwrap().path().to_str().unwrap().to_owned();
        let json = logfade(&["-c", &path, "--json", "register"]).run(b"").expect_code(0).json();
        let markdown = logfade(&["-c", &path, "register"]).run(b"").expect_code(0).stdout_text();
        let html = logfade(&["-c", &path, "register", "--as", "html"]).run(b"").expect_code(0).stdout_text();
        assert_eq!(logfade(&["-c", &path, "register", "--as", "md"]).run(b"").stdout_text(), markdown);
        for activity in json["activities"].as_array().unwrap() {
            let class = activity["class"].as_str().unwrap();
            assert!(markdown.contains(&format!("## {class}")) && html.contains(&format!("<h2>{class}</h2>")), "{path}");
            for form in activity["forms"].as_array().unwrap() {
                assert!(html.contains(form["retention"].as_str().unwrap()), "{path}");
            }
        }
        for elsewhere in ["<script", "<link", "<img", "src=", "href=", "url(", "@import", "http://", "https://"] {
            assert!(!html.contains(elsewhere), "{path}: {elsewhere}");
        }
    }
    let outcome = logfade(&["-c", "/nonexistent/logfade.toml", "register"]).run(b"");
    assert_eq!(outcome.code(), Some(2));
}

/// Whatever people write into a configuration is text in the record, and never markup.
#[test]
fn the_configuration_is_escaped() {
    let dir = Dir::new();
    let evil = r#"<script>alert(1)</script><b onclick=\"x\">|**a**`b`[c](http://d)&amp;\n# e"#;
    let text = format!(
        r#"
[controller]
name = "{evil}"
contact = "{evil}"
representative = "{evil}"
officer = "{evil}"
[[class]]
name = "site"
raw = ["/var/log/{{<script>,x}}/access*"]
format = "nginx:$remote_addr '<script>' $cookie_x"
purpose = "{evil}"
basis = "{evil}"
categories = ["{evil}"]
[[class.keep]]
form = "raw"
until = "1 day"
recipients = [{{ name = "{evil}", role = "controller", country = "US", safeguard = "{evil}" }}]
[[class.keep]]
name = "{evil}"
form = "default"
until = "1 day"
output = "/srv/<script>"
owner = "{evil}"
group = "{evil}"
where = {{ cookie = {{ x = "{evil}" }} }}
"#
    );
    let path = dir.file("logfade.toml", text.as_bytes());
    let html = logfade(&["-c", &path, "register", "--as", "html"]).run(b"").expect_code(0).stdout_text();
    for markup in ["<script", "<b ", "onclick=\"", "</script", "&amp;\n"] {
        assert!(!html.contains(markup), "{markup}: {html}");
    }
    assert!(html.contains("&lt;script&gt;") && html.contains("&amp;amp;"), "it is there as text");
    let markdown = logfade(&["-c", &path, "register", "--as", "md"]).run(b"").expect_code(0).stdout_text();
    for line in markdown.lines() {
        for markup in ["<script", "**a", " `b`", "[c]", "&amp; "] {
            assert!(!line.contains(markup), "{markup}: {line}");
        }
        assert!(!line.starts_with("# e"));
        let bare = line.replace("\\|", "");
        assert!(!line.starts_with('|') || bare.matches('|').count() == 3, "a table keeps its columns: {line}");
    }
    let json = logfade(&["-c", &path, "register", "--as", "json"]).run(b"").expect_code(0).json();
    assert!(json["controller"]["name"].as_str().unwrap().contains("<script>"));
}
