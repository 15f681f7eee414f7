//! Translates what upstream test suites expect, each in its own words, into our fields.

use serde_json::Value;

/// What one slot of a line should hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    Text(&'static str, String),
    Number(&'static str, f64),
    /// The record's time in milliseconds since 1970.
    Millis(i64),
}

impl Expected {
    pub fn field(&self) -> &'static str {
        match self {
            Self::Text(field, _) | Self::Number(field, _) => field,
            Self::Millis(_) => "time",
        }
    }
}

fn text(out: &mut Vec<Expected>, field: &'static str, value: &Value) {
    match value {
        Value::String(value) => out.push(Expected::Text(field, value.clone())),
        Value::Number(value) => out.extend(value.as_f64().map(|value| Expected::Number(field, value))),
        _ => {}
    }
}

/// A URL as path and query; scheme and host are other slots.
fn url(out: &mut Vec<Expected>, value: &Value) {
    let Some(value) = value.as_str() else { return };
    let (address, query) = value.split_once('?').map_or((value, None), |(path, query)| (path, Some(query)));
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    if path.starts_with('/') {
        out.push(Expected::Text("path", path.to_owned()));
    }
    out.extend(query.map(|query| Expected::Text("query", query.to_owned())));
}

/// A request line of three words.
fn request(out: &mut Vec<Expected>, value: &Value) {
    let words: Vec<&str> = value.as_str().unwrap_or_default().split(' ').collect();
    if let [method, target, protocol] = words[..]
        && protocol.starts_with("HTTP/")
    {
        out.push(Expected::Text("method", method.to_owned()));
        out.push(Expected::Text("protocol", protocol.to_owned()));
        url(out, &Value::from(target));
    }
}

fn time(out: &mut Vec<Expected>, value: &Value) {
    let millis = value.as_i64().or_else(|| value.as_str().and_then(epoch_millis));
    out.extend(millis.map(Expected::Millis));
}

/// DataDog: attributes after its log pipeline.
pub fn datadog(row: &Value) -> Vec<Expected> {
    let mut out = Vec::new();
    let (http, network) = (&row["expect"]["http"], &row["expect"]["network"]);
    if http["status_code"].is_null() || network["client"]["ip"].is_null() {
        return out;
    }
    text(&mut out, "client_addr", &network["client"]["ip"]);
    text(&mut out, "user", &http["auth"]);
    text(&mut out, "method", &http["method"]);
    url(&mut out, &http["url"]);
    text(&mut out, "status", &http["status_code"]);
    text(&mut out, "bytes", &network["bytes_written"]);
    text(&mut out, "referrer", &http["referer"]);
    text(&mut out, "user_agent", &http["useragent"]);
    time(&mut out, &row["timestamp_ms"]);
    out
}

/// CrowdSec: names of its grok patterns.
pub fn crowdsec(row: &Value) -> Vec<Expected> {
    let mut out = Vec::new();
    let (parsed, meta) = (&row["parsed"], &row["meta"]);
    if meta["http_status"].is_null() {
        return out;
    }
    let first = |names: &[&str]| names.iter().map(|name| &parsed[*name]).find(|value| !value.is_null()).cloned().unwrap_or(Value::Null);
    text(&mut out, "client_addr", &meta["source_ip"]);
    text(&mut out, "user", &first(&["remote_user", "auth"]));
    text(&mut out, "method", &first(&["verb", "http_method"]));
    text(&mut out, "status", &first(&["status", "response", "elb_status_code", "sc_status", "response_status"]));
    text(&mut out, "bytes", &first(&["body_bytes_sent", "bytes", "sent_bytes", "sc_bytes"]));
    text(&mut out, "referrer", &first(&["http_referer", "referrer", "cs_referer"]));
    text(&mut out, "user_agent", &first(&["http_user_agent", "cs_user_agent"]));
    text(&mut out, "request_id", &parsed["request_id"]);
    let target = first(&["request", "cs_uri_stem"]);
    if first(&["verb", "http_method", "cs_method"]).is_null() {
        text(&mut out, "path", &target);
    } else {
        url(&mut out, &target);
    }
    if let Some(raw) = first(&["time_local", "timestamp"]).as_str() {
        out.extend(epoch_millis(raw).map(Expected::Millis));
    }
    out
}

/// VRL: fields of its `parse_*_log` functions.
pub fn vrl(expect: &Value) -> Vec<Expected> {
    let mut out = Vec::new();
    let known = [
        ("client_addr", "client"),
        ("client_addr", "remote_addr"),
        ("ident", "identity"),
        ("user", "user"),
        ("user", "remote_user"),
        ("method", "method"),
        ("protocol", "protocol"),
        ("status", "status"),
        ("bytes", "size"),
        ("bytes", "body_bytes_size"),
        ("referrer", "referrer"),
        ("referrer", "referer"),
        ("referrer", "http_referer"),
        ("user_agent", "agent"),
        ("user_agent", "http_user_agent"),
        ("proxied_addr", "http_x_forwarded_for"),
        ("request_id", "req_id"),
        ("client_port", "port"),
    ];
    for (field, name) in known {
        text(&mut out, field, &expect[name]);
    }
    if expect["client"].is_null() && !expect["identity"].is_null() {
        text(&mut out, "client_addr", &expect["host"]);
    }
    url(&mut out, &expect["path"]);
    request(&mut out, &expect["request"]);
    time(&mut out, &expect["timestamp"]);
    out
}

/// logparser: `TYPE:path.of.the.field`.
pub fn logparser(expect: &Value) -> Vec<Expected> {
    let mut out = Vec::new();
    for (name, value) in expect.as_object().into_iter().flatten() {
        let field = match name.as_str() {
            "IP:connection.client.host" | "IP:connection.client.ip" | "IP_BINARY:connection.client.host" => "client_addr",
            "IP:nginxmodule.kubernetes.the_real_ip" => "client_addr",
            "STRING:connection.client.user" => "user",
            "PORT:connection.client.port" => "client_port",
            "HTTP.METHOD:request.firstline.method" => "method",
            "HTTP.PATH:request.firstline.uri.path" => "path",
            "HTTP.QUERYSTRING:request.firstline.uri.query" | "STRING:request.firstline.uri.query.name" => "query",
            "HTTP.PROTOCOL_VERSION:request.firstline.protocol" => "protocol",
            "STRING:request.status.last" => "status",
            "BYTES:response.bytes" | "BYTES:response.body.bytes" | "BYTES:request.bytes" => "bytes",
            "HTTP.URI:request.referer" => "referrer",
            "HTTP.USERAGENT:request.user-agent" => "user_agent",
            "HTTP.COOKIE:request.cookies.name" => "cookie",
            "SECOND_MILLIS:response.server.processing.time" => "duration",
            "STRING:nginxmodule.kubernetes.req_id" => "request_id",
            "STRING:connection.server.name" => "host",
            "IP:connection.server.ip" | "UPSTREAM_ADDR_LIST:nginxmodule.upstream.addr" => "server",
            header if header.starts_with("HTTP.HEADER:request.header.sec-ch") => "header",
            "HTTP.HEADER:request.header.foobar" | "HTTP.HEADER:response.header.foobar" => "header",
            _ => "",
        };
        match name.as_str() {
            "HTTP.URI:request.firstline.uri" => url(&mut out, value),
            "HTTP.FIRSTLINE:request.firstline" => request(&mut out, value),
            epoch if epoch.starts_with("TIME.EPOCH:") => {
                out.extend(value.as_str().and_then(|text| text.parse().ok()).map(Expected::Millis));
            }
            _ if field.is_empty() => {}
            _ if value.is_null() => out.push(Expected::Text(field, "-".to_owned())),
            _ => text(&mut out, field, value),
        }
    }
    out
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads the times of logs; one without a zone is UTC.
pub fn epoch_millis(raw: &str) -> Option<i64> {
    let text = raw.trim_matches(['[', ']', '"', ' ']);
    if let Ok(seconds) = text.parse::<f64>() {
        let whole = text.split('.').next().unwrap_or(text).len();
        let scale = match whole {
            0..=11 => 1000.0,
            12..=14 => 1.0,
            15..=17 => 1e-3,
            _ => 1e-6,
        };
        return Some((seconds * scale) as i64);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let words: Vec<&str> = text.split([' ', ':', '/', '-', 'T', '+', ',']).filter(|word| !word.is_empty()).collect();
    let number = |word: &str| word.split('.').next().and_then(|whole| whole.parse::<i16>().ok());
    let month = |word: &str| MONTHS.iter().position(|name| *name == word).and_then(|at| i16::try_from(at + 1).ok());
    let zone = zone_minutes(text);
    let (year, month, day, clock) = match words[..] {
        [day, name, year, hour, minute, second, ..] if month(name).is_some() && number(day).is_some() => (number(year)?, month(name)?, number(day)?, [hour, minute, second]),
        [_, name, day, hour, minute, second, year, ..] if month(name).is_some() => (number(year)?, month(name)?, number(day)?, [hour, minute, second]),
        [year, month, day, hour, minute, second, ..] if year.len() == 4 => (number(year)?, number(month)?, number(day)?, [hour, minute, second]),
        _ => return None,
    };
    let [hour, minute, second] = clock;
    let part = |value: i16| i8::try_from(value).ok();
    let date = jiff::civil::DateTime::new(year, part(month)?, part(day)?, part(number(hour)?)?, part(number(minute)?)?, part(number(second)?)?, 0);
    let utc = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(utc - i64::from(zone) * 60_000)
}

/// The offset behind the last blank, such as `-0700` or `+00:00`.
fn zone_minutes(text: &str) -> i32 {
    let zone = text.rsplit(' ').next().unwrap_or_default().replace(':', "");
    let sign = match zone.as_bytes() {
        [b'+', rest @ ..] if rest.len() == 4 => 1,
        [b'-', rest @ ..] if rest.len() == 4 => -1,
        _ => return 0,
    };
    let part = |from: usize, to: usize| zone.get(from..to).and_then(|digits| digits.parse::<i32>().ok()).unwrap_or(0);
    sign * (part(1, 3) * 60 + part(3, 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_that_logs_write() {
        for (text, seconds) in [
            ("10/Oct/2000:13:55:36 -0700", 971_211_336),
            ("[10/Oct/2000:13:55:36 -0700]", 971_211_336),
            ("2000-10-10T20:55:36Z", 971_211_336),
            ("2000-10-10T22:55:36+02:00", 971_211_336),
            ("2000-10-10 20:55:36", 971_211_336),
            ("2000/10/10 20:55:36", 971_211_336),
            ("Tue Oct 10 20:55:36 2000", 971_211_336),
            ("Tue Oct 10 20:55:36.123456 2000", 971_211_336),
            ("971211336.5", 971_211_336),
            ("971211336000", 971_211_336),
            ("10/Oct/2000:20:55:36.655", 971_211_336),
        ] {
            assert_eq!(epoch_millis(text).map(|millis| millis / 1000), Some(seconds), "{text}");
        }
        assert_eq!(epoch_millis("yesterday"), None);
    }
}
