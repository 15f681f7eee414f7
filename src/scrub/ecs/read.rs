//! The values of a record as [`super::record`] wrote it, for whoever looks for a person in it.

use super::named;
use crate::format::Field;
use serde_json::Value;

/// Where each field's value stands. `source` repeats `client`, and `url.original` path and query.
const PLACES: [(&str, Field); 18] = [
    ("/@timestamp", Field::Time),
    ("/client/address", Field::ClientAddr),
    ("/client/port", Field::ClientPort),
    ("/client/geo/country_iso_code", Field::Country),
    ("/client/as/number", Field::Asn),
    ("/network/forwarded_ip", Field::ProxiedAddr),
    ("/user/name", Field::User),
    ("/http/version", Field::Protocol),
    ("/http/request/method", Field::Method),
    ("/http/request/referrer", Field::Referrer),
    ("/http/request/id", Field::RequestId),
    ("/http/response/status_code", Field::Status),
    ("/http/response/body/bytes", Field::Bytes),
    ("/url/domain", Field::Host),
    ("/url/path", Field::Path),
    ("/url/query", Field::Query),
    ("/user_agent/original", Field::UserAgent),
    ("/message", Field::Message),
];

/// Each value with its field and, of a label, the name in it; none for what is no object.
pub(in crate::scrub) fn values(line: &[u8]) -> Option<Vec<(Field, String, String)>> {
    let record: Value = serde_json::from_slice(line).ok()?;
    let labels = record.as_object()?.get("labels").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut values: Vec<_> = PLACES.iter().filter_map(|(place, field)| Some((*field, String::new(), text(record.pointer(place)?)))).collect();
    values.extend(labels.into_iter().flatten().filter_map(|(key, value)| {
        let (field, name) = named().find_map(|field| Some((field, key.strip_prefix(field.name())?)))?;
        Some((field, name.strip_prefix('_').unwrap_or(name).to_owned(), text(value)))
    }));
    Some(values)
}
