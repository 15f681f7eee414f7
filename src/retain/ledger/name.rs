//! Paths in JSON, none of their bytes lost: text where they are UTF-8, else `{"hex":"…"}`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Bytes { hex: String },
}

impl Name {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes { hex: path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }

    fn path(self) -> Option<PathBuf> {
        match self {
            Self::Text(text) => Some(PathBuf::from(text)),
            Self::Bytes { hex } => {
                let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
                let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
                bytes.map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
            }
        }
    }
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Name::of(path).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Name::deserialize(deserializer)?.path().ok_or_else(|| de::Error::custom("no path"))
}

/// The same for a path that may be missing.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Name, PathBuf, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde hands it over like this")]
    pub(in crate::retain::ledger) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Name::of).serialize(serializer)
    }

    pub(in crate::retain::ledger) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        match Option::<Name>::deserialize(deserializer)? {
            Some(name) => name.path().map(Some).ok_or_else(|| de::Error::custom("no path")),
            None => Ok(None),
        }
    }
}
