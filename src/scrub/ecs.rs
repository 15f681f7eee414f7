//! Clean records as NDJSON with the names of the Elastic Common Schema (ECS 8).

mod read;

pub(super) use read::values;

use super::clean::{Clean, Reject};
use super::place::Place;
use super::scrubber::Plan;
use super::tools::{Edit, Tools, Value};
use crate::format::{FIELDS, Field, Span, Text, escape, time};
use std::collections::BTreeMap;

/// Values of one record, reused.
#[derive(Debug, Default)]
pub(super) struct Record {
    values: BTreeMap<Field, Vec<u8>>,
    labels: BTreeMap<String, Vec<u8>>,
    moment: Option<jiff::Timestamp>,
    /// A date that stands in a column of its own.
    date: Vec<u8>,
    kept: Vec<u8>,
    place: Option<Place>,
}

/// Appends the record, without a line end.
pub(super) fn record(plan: &Plan, tools: &mut Tools, record: &mut Record, parts: &[(&[u8], &[Span])], clean: &mut Clean) -> Result<(), Reject> {
    record.clear();
    // The carried line says more than its carrier: its values count first.
    for (line, spans) in parts.iter().rev() {
        let mut key: &[u8] = b"";
        let mut skip_to = 0;
        for span in *spans {
            let (start, end) = (span.start as usize, span.end as usize);
            let slot = usize::from(span.slot);
            let (Some(act), Some(slot), Some(bytes)) = (plan.acts.get(slot), plan.format.slots().get(slot), line.get(start..end)) else { return Err(Reject::Envelope) };
            if start < skip_to {
                continue;
            }
            match span.text {
                Text::JsonKey => {
                    key = bytes;
                    continue;
                }
                Text::JsonNest => {
                    if act.drops_objects() {
                        skip_to = end;
                    }
                    continue;
                }
                Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonScalar | Text::Tail => {}
            }
            // Before anything of the address is cut; the first one counts, as it does for the address itself.
            if slot.field == Field::ClientAddr && record.place.is_none() && tools.policy().adds() != (false, false) {
                let (place, (country, asn)) = (tools.place(bytes), tools.policy().adds());
                record.place = Some(Place { country: place.country.filter(|_| country), asn: place.asn.filter(|_| asn) });
            }
            let edit = tools.apply(act, Value { bytes, text: span.text, after: line.get(end..).unwrap_or_default(), key })?;
            record.kept.clear();
            match edit {
                Edit::Gone => continue,
                Edit::Same => record.kept.extend_from_slice(bytes),
                // A pseudonym of a number brings its quotes.
                Edit::Piece if span.text == Text::JsonScalar => {
                    record.kept.extend_from_slice(tools.piece.trim_ascii_start().strip_prefix(b"\"").and_then(|piece| piece.strip_suffix(b"\"")).unwrap_or(&tools.piece))
                }
                Edit::Piece => record.kept.extend_from_slice(&tools.piece),
                Edit::Masked => {
                    let mut at = 0;
                    for hit in &tools.hits {
                        record.kept.extend_from_slice(bytes.get(at..hit.start).unwrap_or_default());
                        record.kept.push(b'-');
                        at = hit.end;
                    }
                    record.kept.extend_from_slice(bytes.get(at..).unwrap_or_default());
                }
            }
            let name: &[u8] = if slot.name.ends_with('*') { key } else { slot.name.as_bytes() };
            record.add(slot.field, name, span.text);
        }
    }
    record.write(clean.buffer());
    Ok(())
}

/// A name as it stands in a label.
pub(super) fn label(name: &str) -> String {
    name.to_lowercase().replace(['.', '-', ' '], "_")
}

/// Fields that stand among the labels.
fn named() -> impl Iterator<Item = Field> {
    FIELDS.into_iter().filter(|field| {
        matches!(field, Field::Ident | Field::Cookie | Field::Header | Field::Session | Field::Tls | Field::Duration | Field::Server | Field::Country | Field::Asn | Field::Other)
    })
}

impl Record {
    fn clear(&mut self) {
        self.values.clear();
        self.labels.clear();
        self.moment = None;
        self.date.clear();
        self.place = None;
    }

    fn add(&mut self, field: Field, name: &[u8], text: Text) {
        if matches!(self.kept.as_slice(), b"" | b"-" | b"null") {
            return;
        }
        let mut value = Vec::with_capacity(self.kept.len());
        escape::text(&self.kept, &mut value);
        match field {
            Field::Time => self.time(&value),
            Field::Query => {
                let value = if text == Text::Tail { value.get(1..).unwrap_or_default().to_vec() } else { value };
                self.values.entry(field).or_insert(value);
            }
            Field::Ident | Field::Cookie | Field::Header | Field::Session | Field::Tls | Field::Duration | Field::Server | Field::Country | Field::Asn | Field::Other => {
                let name = if name.is_empty() { field.name().to_owned() } else { format!("{}_{}", field.name(), label(&String::from_utf8_lossy(name))) };
                self.labels.entry(name).or_insert(value);
            }
            Field::Request | Field::Url => self.first(Field::Path, value),
            Field::ClientAddr | Field::ProxiedAddr | Field::ClientPort | Field::User | Field::Method | Field::Path | Field::Protocol => self.first(field, value),
            Field::Referrer | Field::UserAgent | Field::RequestId | Field::Status | Field::Bytes | Field::Host | Field::Message => self.first(field, value),
        }
    }

    fn first(&mut self, field: Field, value: Vec<u8>) {
        self.values.entry(field).or_insert(value);
    }

    /// The first time counts; a date and a clock in two columns are one time.
    fn time(&mut self, value: &[u8]) {
        if self.moment.is_some() {
            return;
        }
        self.moment = time::instant(value);
        if self.moment.is_none() && self.date.is_empty() {
            self.date.extend_from_slice(value);
        } else if self.moment.is_none() {
            let joined = [self.date.as_slice(), b" ", value].concat();
            self.moment = time::instant(&joined);
        }
    }

    fn text(&self, field: Field) -> Option<&[u8]> {
        self.values.get(&field).map(Vec::as_slice)
    }

    fn number(&self, field: Field) -> Option<u64> {
        std::str::from_utf8(self.text(field)?).ok()?.parse().ok()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object { out, first: true };
        object.open("");
        if let Some(moment) = self.moment {
            object.string("@timestamp", moment.to_string().as_bytes());
        }
        // ECS: a record that names the client names the source as well.
        for side in ["client", "source"] {
            let place = self.place.filter(|place| *place != Place::default());
            let address = self.text(Field::ClientAddr);
            if address.is_none() && place.is_none() {
                continue;
            }
            object.open(side);
            if let Some(address) = address {
                object.string("address", address);
                if std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok()) {
                    object.string("ip", address);
                }
                if let Some(port) = self.number(Field::ClientPort) {
                    object.number("port", port);
                }
            }
            if let Some(country) = place.and_then(|place| place.country) {
                object.open("geo");
                object.string("country_iso_code", country.as_bytes());
                object.close();
            }
            if let Some(asn) = place.and_then(|place| place.asn) {
                object.open("as");
                object.number("number", asn.into());
                object.close();
            }
            object.close();
        }
        if let Some(forwarded) = self.text(Field::ProxiedAddr) {
            object.open("network");
            object.string("forwarded_ip", forwarded);
            object.close();
        }
        if let Some(user) = self.text(Field::User) {
            object.open("user");
            object.string("name", user);
            object.close();
        }
        self.http(&mut object);
        self.url(&mut object);
        if let Some(agent) = self.text(Field::UserAgent) {
            object.open("user_agent");
            object.string("original", agent);
            object.close();
        }
        if let Some(message) = self.text(Field::Message) {
            object.string("message", message);
        }
        if !self.labels.is_empty() {
            object.open("labels");
            for (name, value) in &self.labels {
                object.string(name, value);
            }
            object.close();
        }
        object.close();
    }

    fn http(&self, object: &mut Object<'_>) {
        let strings = [(Field::Method, "method"), (Field::Referrer, "referrer"), (Field::RequestId, "id")];
        let request = strings.iter().any(|(field, _)| self.values.contains_key(field));
        let (status, bytes) = (self.number(Field::Status), self.number(Field::Bytes));
        if !(request || status.is_some() || bytes.is_some() || self.values.contains_key(&Field::Protocol)) {
            return;
        }
        object.open("http");
        if let Some(protocol) = self.text(Field::Protocol) {
            object.string("version", protocol.strip_prefix(b"HTTP/").unwrap_or(protocol));
        }
        if request {
            object.open("request");
            for (field, name) in strings {
                if let Some(value) = self.text(field) {
                    object.string(name, value);
                }
            }
            object.close();
        }
        if status.is_some() || bytes.is_some() {
            object.open("response");
            if let Some(status) = status {
                object.number("status_code", status);
            }
            if let Some(bytes) = bytes {
                object.open("body");
                object.number("bytes", bytes);
                object.close();
            }
            object.close();
        }
        object.close();
    }

    fn url(&self, object: &mut Object<'_>) {
        let (path, query, domain) = (self.text(Field::Path), self.text(Field::Query), self.text(Field::Host));
        if path.is_none() && query.is_none() && domain.is_none() {
            return;
        }
        object.open("url");
        if let Some(domain) = domain {
            object.string("domain", domain);
        }
        if let Some(path) = path {
            let original = match query {
                Some(query) => [path, b"?", query].concat(),
                None => path.to_vec(),
            };
            object.string("original", &original);
            object.string("path", path);
        }
        if let Some(query) = query {
            object.string("query", query);
        }
        object.close();
    }
}

/// A JSON object being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        if !name.is_empty() {
            self.out.push(b'"');
            escape::to_json(name.as_bytes(), self.out);
            self.out.extend_from_slice(b"\":");
        }
    }

    fn open(&mut self, name: &str) {
        self.key(name);
        self.out.push(b'{');
        self.first = true;
    }

    fn close(&mut self) {
        self.out.push(b'}');
        self.first = false;
    }

    fn string(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        self.out.push(b'"');
        escape::to_json(value, self.out);
        self.out.push(b'"');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }
}
