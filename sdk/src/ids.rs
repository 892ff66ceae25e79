//! Identifiers that are types, not strings.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// The identity of an app: `fazt_app_` and 12 characters of base 62.
///
/// Everything an app owns is keyed by it. Names come and go; the id stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId([u8; 12]);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl AppId {
    /// The text before the 12 characters.
    pub const PREFIX: &'static str = "fazt_app_";

    /// Makes an id out of random bytes; at least 12 are needed, more remove the bias of rejected ones.
    ///
    /// Returns nothing when `random` held too few usable bytes.
    #[must_use]
    pub fn from_random(random: &[u8]) -> Option<Self> {
        let mut id = [0; 12];
        // 248 is the largest multiple of 62 below 256: larger bytes would favor the first letters.
        let mut usable = random.iter().filter(|byte| **byte < 248);
        for slot in &mut id {
            *slot = ALPHABET[usize::from(usable.next()? % 62)];
        }
        Some(Self(id))
    }

    /// The 12 characters.
    #[must_use]
    pub fn key(&self) -> &[u8; 12] {
        &self.0
    }

    /// An id from its 12 characters; nothing when one is not base 62.
    #[must_use]
    pub fn from_key(key: [u8; 12]) -> Option<Self> {
        key.iter().all(u8::is_ascii_alphanumeric).then_some(Self(key))
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::PREFIX)?;
        formatter.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for AppId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.strip_prefix(Self::PREFIX)
            .and_then(|key| <[u8; 12]>::try_from(key.as_bytes()).ok())
            .and_then(Self::from_key)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "`{text}` is not an app id; one looks like fazt_app_4kQ2mZ81xYbT"
                ))
            })
    }
}

impl Serialize for AppId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for AppId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AppId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^fazt_app_[0-9A-Za-z]{12}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text() {
        let id = AppId::from_random(&[255, 0, 61, 62, 123, 4, 5, 6, 7, 8, 9, 10, 11]).unwrap();
        assert_eq!(id.to_string(), "fazt_app_0z0z456789AB");
        assert_eq!(id.to_string().parse::<AppId>().unwrap(), id);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "fazt_app_",
            "fazt_app_0z0z456789A",
            "fazt_app_0z0z456789AB0",
            "fazt_app_0z0z456789A-",
            "app_0z0z456789AB",
        ] {
            assert!(text.parse::<AppId>().is_err(), "{text}");
        }
    }

    #[test]
    fn too_little_randomness_makes_no_id() {
        assert_eq!(AppId::from_random(&[255; 100]), None);
    }
}
