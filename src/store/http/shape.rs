//! What a receiver wants to be sent, told by the path of its address, and what its answer means. Pure.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Range;

/// What Elasticsearch is asked to answer: how each line fared, and nothing else.
const STATUS_ONLY: &str = "filter_path=errors,items.*.status";

/// How lines are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As they are: Vector, Fluent Bit, Fluentd and whatever reads NDJSON.
    Lines,
    /// Elasticsearch and OpenSearch: an action in front of each line.
    Bulk,
    /// Loki: one stream with these labels.
    Loki(Value),
}

/// What becomes of a part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has it.
    Taken,
    /// It is to be sent again, because of this.
    Again(String),
    /// It is too much at once.
    TooMuch,
    /// Only these lines of it are to be sent again, because of this.
    Rest(Vec<u8>, String),
    /// The receiver does not know this type of content.
    OtherType,
}

impl Shape {
    /// Told by the path: `…/_bulk`, `…/loki/api/v1/push`, or anything else.
    pub(super) fn of(url: &str, labels: &[(&str, &str)]) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        if path.ends_with("/_bulk") {
            Self::Bulk
        } else if path.ends_with("/loki/api/v1/push") {
            let mut all = serde_json::Map::new();
            all.insert("job".to_owned(), json!("logfade"));
            all.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
            Self::Loki(Value::Object(all))
        } else {
            Self::Lines
        }
    }

    /// The address to send to.
    pub(super) fn address(&self, url: &str) -> String {
        match self {
            Self::Bulk if !url.contains('?') => format!("{url}?{STATUS_ONLY}"),
            Self::Bulk | Self::Lines | Self::Loki(_) => url.to_owned(),
        }
    }

    /// The type of the content; `plain_json` for a receiver that knows no other word for JSON, such as Fluent Bit.
    pub(super) fn content_type(&self, lines: &[u8], plain_json: bool) -> &'static str {
        match self {
            Self::Lines if !lines.starts_with(b"{") => "text/plain; charset=utf-8",
            Self::Lines if plain_json => "application/json",
            Self::Lines | Self::Bulk => "application/x-ndjson",
            Self::Loki(_) => "application/json",
        }
    }

    /// What is sent for these whole lines. `received` stands in for records without a time.
    pub(super) fn body(&self, lines: &[u8], received: Timestamp) -> Vec<u8> {
        match self {
            Self::Lines => lines.to_vec(),
            Self::Bulk => {
                let mut body = Vec::with_capacity(lines.len() * 2);
                for line in whole(lines) {
                    body.extend_from_slice(b"{\"create\":{}}\n");
                    if line.starts_with(b"{") {
                        body.extend_from_slice(line);
                    } else {
                        let text = json!({"@timestamp": received.to_string(), "message": String::from_utf8_lossy(line)});
                        body.extend_from_slice(text.to_string().as_bytes());
                    }
                    body.push(b'\n');
                }
                body
            }
            Self::Loki(labels) => {
                // Loki takes the same line at the same time for one: the number of the line keeps them apart.
                let values: Vec<Value> = whole(lines)
                    .enumerate()
                    .map(|(at, line)| json!([(moment(line).unwrap_or(received).as_nanosecond() + at as i128).to_string(), String::from_utf8_lossy(line)]))
                    .collect();
                json!({"streams": [{"stream": labels, "values": values}]}).to_string().into_bytes()
            }
        }
    }

    /// What an answer means for the lines that were sent.
    pub(super) fn verdict(&self, status: u16, answer: &[u8], lines: &[u8]) -> Verdict {
        match (self, status) {
            (Self::Bulk, 200..=299) => bulk(answer, lines),
            (_, 200..=299) => Verdict::Taken,
            (_, 413) => Verdict::TooMuch,
            (Self::Lines, 400 | 415) if lines.starts_with(b"{") => Verdict::OtherType,
            (_, status) => Verdict::Again(format!("status {status}")),
        }
    }
}

/// The lines without their ends, blank ones left out.
fn whole(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty())
}

/// Halves of some lines, cut at a line's end; none if it is one line.
pub(super) fn halves(lines: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let middle = lines.len() / 2;
    let before = lines.get(..middle).and_then(|front| memchr::memrchr(b'\n', front));
    let cut = before.or_else(|| Some(middle + memchr::memchr(b'\n', lines.get(middle..)?)?)).map(|at| at + 1)?;
    (cut < lines.len()).then_some((0..cut, cut..lines.len()))
}

/// The time of a record with the names of the Elastic Common Schema.
fn moment(line: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Timed {
        #[serde(rename = "@timestamp")]
        at: Timestamp,
    }
    if !line.starts_with(b"{") {
        return None;
    }
    serde_json::from_slice::<Timed>(line).ok().map(|timed| timed.at)
}

/// The bulk API answers 200 whatever becomes of each line.
fn bulk(answer: &[u8], lines: &[u8]) -> Verdict {
    #[derive(Deserialize)]
    struct Answer {
        errors: bool,
        #[serde(default)]
        items: Vec<std::collections::BTreeMap<String, Item>>,
    }
    #[derive(Deserialize)]
    struct Item {
        status: u16,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return Verdict::Again("an answer that is not of the bulk API".to_owned()) };
    if !answer.errors {
        return Verdict::Taken;
    }
    let mut rest = Vec::new();
    let mut why = None;
    let mut items = answer.items.iter();
    for line in whole(lines) {
        let Some(item) = items.next().and_then(|item| item.values().next()) else { return Verdict::Again("an answer that lacks lines".to_owned()) };
        // A conflict: it is there already.
        if !matches!(item.status, 200..=299 | 409) {
            rest.extend_from_slice(line);
            rest.push(b'\n');
            why.get_or_insert(item.status);
        }
    }
    why.map_or(Verdict::Taken, |status| Verdict::Rest(rest, format!("status {status} for some lines")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"{\"@timestamp\":\"2024-01-01T00:00:00Z\"}\nplain \"text\"\n";

    #[test]
    fn the_path_tells_what_the_receiver_is() {
        for (url, shape) in [
            ("http://v:8080/", Shape::Lines),
            ("https://es:9200/logs/_bulk", Shape::Bulk),
            ("https://es:9200/_bulk?pipeline=x", Shape::Bulk),
            ("http://loki:3100/loki/api/v1/push", Shape::Loki(json!({"job": "logfade", "class": "site"}))),
            ("http://x/?a=/_bulk", Shape::Lines),
        ] {
            assert_eq!(Shape::of(url, &[("class", "site")]), shape, "{url}");
        }
        assert_eq!(Shape::Bulk.address("http://e/_bulk"), "http://e/_bulk?filter_path=errors,items.*.status");
    }

    #[test]
    fn bodies_have_their_receivers_shape() {
        let received: Timestamp = "2024-06-01T00:00:00Z".parse().unwrap();
        let bulk = String::from_utf8(Shape::Bulk.body(LINES, received)).unwrap();
        let expected =
            "{\"create\":{}}\n{\"@timestamp\":\"2024-01-01T00:00:00Z\"}\n{\"create\":{}}\n{\"@timestamp\":\"2024-06-01T00:00:00Z\",\"message\":\"plain \\\"text\\\"\"}\n";
        assert_eq!(bulk, expected);
        let loki: Value = serde_json::from_slice(&Shape::Loki(json!({"job": "x"})).body(LINES, received)).unwrap();
        let values = &loki["streams"][0]["values"];
        assert_eq!(values[0][0], "1704067200000000000");
        assert_eq!(values[1], json!(["1717200000000000001", "plain \"text\""]));
        assert_eq!(Shape::Lines.body(LINES, received), LINES);
    }

    #[test]
    fn an_answer_says_which_lines_are_to_come_again() {
        let table = [
            (Shape::Bulk, 200, r#"{"errors":false}"#, Verdict::Taken),
            (
                Shape::Bulk,
                200,
                r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429}}]}"#,
                Verdict::Rest(b"plain \"text\"\n".to_vec(), "status 429 for some lines".into()),
            ),
            (Shape::Bulk, 200, r#"{"errors":true,"items":[{"create":{"status":409}},{"create":{"status":201}}]}"#, Verdict::Taken),
            (Shape::Bulk, 200, r#"{"errors":true,"items":[]}"#, Verdict::Again("an answer that lacks lines".into())),
            (Shape::Bulk, 200, "<html>", Verdict::Again("an answer that is not of the bulk API".into())),
            (Shape::Lines, 204, "", Verdict::Taken),
            (Shape::Lines, 400, "", Verdict::OtherType),
            (Shape::Lines, 413, "", Verdict::TooMuch),
            (Shape::Lines, 302, "", Verdict::Again("status 302".into())),
            (Shape::Lines, 401, "", Verdict::Again("status 401".into())),
        ];
        for (shape, status, answer, verdict) in table {
            assert_eq!(shape.verdict(status, answer.as_bytes(), LINES), verdict, "{shape:?} {status} {answer}");
        }
    }

    #[test]
    fn halves_are_whole_lines() {
        assert_eq!(halves(b"a\nb\nc\n"), Some((0..2, 2..6)));
        assert_eq!(halves(b"aaaaaaaaa\nb\n"), Some((0..10, 10..12)));
        assert_eq!(halves(b"a\nbbbbbbbbb\n"), Some((0..2, 2..12)));
        assert_eq!(halves(b"only one\n"), None);
        assert_eq!(halves(b"no end"), None);
    }
}
