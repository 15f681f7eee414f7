//! What an aggregate needs of a record, out of the clean line with the names of the Elastic Common Schema.

use crate::retain::class::Dimension;
use serde_json::Value;

/// What is counted of one record. The client stays in memory, and only as long as its day is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who asked; only told apart, never written.
    pub client: Option<String>,
    /// Virtual host.
    pub host: Option<String>,
    /// Status, 100 to 599.
    pub status: Option<u64>,
    /// Request method.
    pub method: Option<String>,
    /// Template of the path.
    pub path: Option<String>,
    /// Family of the user agent.
    pub family: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Site that the visitor came from.
    pub referrer: Option<String>,
}

impl Record {
    /// Reads a clean line; `None` of one that holds no record.
    pub fn read(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let label = || value.get("labels").and_then(Value::as_object).and_then(|labels| labels.iter().find(|(name, _)| name.starts_with("country"))?.1.as_str().map(str::to_owned));
        Some(Self {
            client: text("/client/address"),
            host: text("/url/domain").map(|host| host.to_ascii_lowercase()),
            status: value.pointer("/http/response/status_code").and_then(Value::as_u64),
            method: text("/http/request/method"),
            path: text("/url/path"),
            family: text("/user_agent/original"),
            country: text("/client/geo/country_iso_code").or_else(label),
            referrer: text("/http/request/referrer"),
        })
    }

    /// The cell that it belongs to; `None` where the log says nothing.
    pub(super) fn label(&self, dimension: Dimension, hour: i8) -> Option<String> {
        match dimension {
            Dimension::Hour => Some(format!("{hour:02}")),
            Dimension::Host => self.host.clone(),
            Dimension::Status => self.status.filter(|status| (100..600).contains(status)).map(|status| format!("{}xx", status / 100)),
            Dimension::Method => self.method.clone(),
            Dimension::Path => self.path.clone(),
            Dimension::Family => self.family.clone(),
            Dimension::Country => self.country.clone(),
            Dimension::Referrer => self.referrer.clone(),
        }
    }
}
