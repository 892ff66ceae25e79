//! Settings: a name, a default, a unit and a sentence each; unknown names are errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One setting of a plugin. Its full name is `plugin.name`.
///
/// The value comes from the command line, else from the cartridge, else from the default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The name, without the plugin's.
    pub name: String,
    /// The type and its bounds.
    pub kind: SettingKind,
    /// The default.
    pub default: Value,
    /// One sentence, with the unit.
    pub doc: String,
}

/// The type of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum SettingKind {
    /// Text.
    Text,
    /// A host name: lower case, no scheme, no port, no path.
    HostName,
    /// Yes or no.
    Switch,
    /// A whole number within bounds.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number of bytes; `10 MiB` and `500 KB` are understood.
    Bytes {
        /// Largest.
        max: u64,
    },
    /// A time, kept in milliseconds; `90 d`, `15 s` and `5 min` are understood.
    Duration {
        /// Longest, in milliseconds.
        max_ms: u64,
    },
}

impl Setting {
    fn with(name: &str, kind: SettingKind, default: Value) -> Self {
        Self { name: name.to_owned(), kind, default, doc: String::new() }
    }

    /// Text.
    #[must_use]
    pub fn text(name: &str, default: &str) -> Self {
        Self::with(name, SettingKind::Text, default.into())
    }

    /// A host name.
    #[must_use]
    pub fn host_name(name: &str, default: &str) -> Self {
        Self::with(name, SettingKind::HostName, default.into())
    }

    /// Yes or no.
    #[must_use]
    pub fn switch(name: &str, default: bool) -> Self {
        Self::with(name, SettingKind::Switch, default.into())
    }

    /// A whole number from `min` to `max`.
    #[must_use]
    pub fn integer(name: &str, default: i64, min: i64, max: i64) -> Self {
        Self::with(name, SettingKind::Integer { min, max }, default.into())
    }

    /// A number of bytes up to `max`.
    #[must_use]
    pub fn bytes(name: &str, default: u64, max: u64) -> Self {
        Self::with(name, SettingKind::Bytes { max }, default.into())
    }

    /// A time up to `max`.
    #[must_use]
    pub fn duration(name: &str, default: Duration, max: Duration) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::with(name, SettingKind::Duration { max_ms: ms(max) }, ms(default).into())
    }

    /// One sentence about it.
    #[must_use]
    pub fn doc(mut self, doc: &str) -> Self {
        self.doc = doc.to_owned();
        self
    }
}
