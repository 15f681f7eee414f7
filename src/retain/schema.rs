//! The keys of the configuration as data: what each table may hold, for the reader and for `check --schema`.

use serde_json::{Map, Value, json};

/// A key of a table.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// What may stand behind a key.
pub(super) enum Kind {
    Text,
    Flag,
    /// A whole number from 1 up.
    Count,
    /// One string, or a list of them.
    Texts,
    /// Numbers or strings, one or a list: `404`, `"400-499"`.
    Ranges,
    /// A number of lines or a percentage.
    Limit,
    Choice(&'static [&'static str]),
    /// Any key, with a string behind it.
    Map,
    /// Any key, with one string or a list behind it.
    TextsMap,
    Table(&'static [Key]),
    Tables(&'static [Key]),
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, about }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: true, about }
}

pub(super) static ROOT: &[Key] = &[
    key("state", Kind::Text, "directory for what logfade keeps between runs, such as \"/var/lib/logfade\""),
    key("controller", Kind::Table(CONTROLLER), "who answers for the processing; for `register`"),
    key("keys", Kind::Table(KEYS), "pseudonym keys"),
    key("run", Kind::Table(RUN), "the sidecar"),
    key("class", Kind::Tables(CLASS), "a kind of log with its own rules"),
];

static CONTROLLER: &[Key] = &[
    must("name", Kind::Text, "name of the controller"),
    must("contact", Kind::Text, "how a person reaches the controller"),
    key("representative", Kind::Text, "representative in the Union, where there is one"),
    key("officer", Kind::Text, "data protection officer, where there is one"),
];

static KEYS: &[Key] = &[
    key("mode", Kind::Choice(&["local", "fleet"]), "local: random keys of this machine; fleet: a ratchet that many machines share"),
    key("keep", Kind::Text, "how long a key stays after its period has ended, such as \"24 hours\""),
];

static RUN: &[Key] = &[
    key("metrics", Kind::Text, "address and port of /metrics and /healthz, such as \"127.0.0.1:9464\"; off unless set"),
    key("expire_every", Kind::Text, "how often the sidecar expires, such as \"1 hour\""),
];

static CLASS: &[Key] = &[
    must("name", Kind::Text, "name of the class"),
    key("raw", Kind::Texts, "globs of the raw files, such as [\"/var/log/nginx/access.log*\"]"),
    key(
        "listen",
        Kind::Texts,
        "syslog+unix:, syslog+unix-stream:, syslog+udp:, syslog+tcp: or fifo: addresses, in place of raw; behind a path, ?mode=0660&group=www-data says who may write there",
    ),
    key("format", Kind::Text, "a name from `logfade formats`, nginx:LOG_FORMAT, apache:LOGFORMAT, or auto"),
    key("fields", Kind::Map, "member of the JSON object -> field, for format = \"json\""),
    key("purpose", Kind::Text, "what the log is for"),
    key("basis", Kind::Text, "legal basis, such as \"legitimate interest\""),
    key("categories", Kind::Texts, "whom the log is about, such as [\"visitors\"]"),
    key("zone", Kind::Text, "time zone in which days end, such as \"Europe/Stockholm\"; UTC if left out"),
    key(
        "reopen",
        Kind::Texts,
        "program and arguments that make the server reopen its log, such as [\"nginx\", \"-s\", \"reopen\"]: for logs with records that are due; run without a shell",
    ),
    key("split", Kind::Flag, "whether files that straddle a deadline are split; true if left out"),
    key("at_least", Kind::Text, "minimum retention, such as \"30 days\""),
    key("unproven", Kind::Choice(&["refuse", "allow"]), "whether raw may go on the word of outputs that prove nothing (stdout:)"),
    key("max_rejects", Kind::Limit, "more rejected lines than N, or than \"P%\", keep a raw file"),
    key("on_reject", Kind::Choice(&["scrub", "drop", "quarantine"]), "what becomes of lines that do not parse"),
    must("keep", Kind::Tables(KEEP), "a form that is kept; one of them is raw"),
];

static KEEP: &[Key] = &[
    must("form", Kind::Text, "raw, a policy's name or path, or aggregate"),
    key("name", Kind::Text, "tells two of the same form apart"),
    must("until", Kind::Text, "\"180 days\", \"6 months\", \"7 years, end of year\" or \"forever\", from the record's own time"),
    key("output", Kind::Text, "a directory, stdout:, http://… or https://…"),
    key("recipients", Kind::Tables(RECIPIENT), "who gets this form"),
    key("where", Kind::Table(WHERE), "only these records; keys are ANDed, lists ORed"),
    key("mode", Kind::Text, "permissions of the files, such as \"0640\""),
    key("owner", Kind::Text, "owner of the files"),
    key("group", Kind::Text, "group of the files"),
    key("rotate", Kind::Texts, "when a segment ends, such as [\"1 day\", \"256 MiB\"]"),
    key("flush", Kind::Text, "how long a line may wait before it is written, such as \"1 second\""),
    key("seal", Kind::Flag, "whether the files are written only encrypted"),
    key("layout", Kind::Choice(&["same", "json"]), "as the input, or NDJSON with ECS names"),
    key("compress", Kind::Text, "zstd or zstd:1 to zstd:19"),
    key("k", Kind::Count, "aggregate: cells with fewer distinct clients are suppressed; 10 if left out"),
    key("by", Kind::Texts, "aggregate: its dimensions; all that the format has if left out"),
];

static RECIPIENT: &[Key] = &[
    must("name", Kind::Text, "who it is"),
    must("role", Kind::Choice(&["processor", "controller", "joint controller", "authority"]), "in which role"),
    must("country", Kind::Text, "ISO 3166 code of two letters"),
    key("safeguard", Kind::Text, "what allows the transfer, outside the European Economic Area"),
];

static WHERE: &[Key] = &[
    key("status", Kind::Ranges, "404, \"400-499\" or \"4xx\""),
    key("method", Kind::Texts, "request methods"),
    key("path", Kind::Texts, "globs of the path, such as \"/login*\""),
    key("network", Kind::Texts, "networks of the client, such as \"10.0.0.0/8\""),
    key("host", Kind::Texts, "names of the virtual host"),
    key("cookie", Kind::TextsMap, "cookie name = value or values"),
    key("header", Kind::TextsMap, "header name = value or values"),
];

/// The JSON schema (draft 2020-12) of the configuration file, for editors.
pub fn json_schema() -> Value {
    let mut schema = table(ROOT);
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        members.insert("title".into(), json!("logfade.toml"));
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let mut value = kind(&key.kind);
            if let Value::Object(members) = &mut value {
                members.insert("description".into(), json!(key.about));
            }
            (key.name.to_owned(), value)
        })
        .collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

fn kind(kind: &Kind) -> Value {
    let one_or_many = |item: Value| json!({"anyOf": [item, {"type": "array", "items": item}]});
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Count => json!({"type": "integer", "minimum": 1}),
        Kind::Texts => one_or_many(json!({"type": "string"})),
        Kind::Ranges => one_or_many(json!({"type": ["integer", "string"]})),
        Kind::Limit => json!({"type": ["integer", "string"]}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Map => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Kind::TextsMap => json!({"type": "object", "additionalProperties": one_or_many(json!({"type": "string"}))}),
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => json!({"type": "array", "items": table(keys)}),
    }
}
