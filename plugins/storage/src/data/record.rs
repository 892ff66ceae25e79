//! What an export is made of, and where each of its pages starts.

use fazt_sdk::{Error, Result, Wire};
use serde::{Deserialize, Serialize};

/// One record of an export. Later versions only append.
#[derive(Debug, Clone, PartialEq, Wire)]
pub(super) enum Record {
    /// A value under a key.
    Value { user: String, key: String, value: String, expires_at_ms: Option<u64> },
}

impl Record {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Value { user, key, value, .. } => user.len() + key.len() + value.len() + 32,
        }
    }

    /// Where the export goes on behind it.
    pub(super) fn cursor(&self) -> Cursor {
        match self {
            Self::Value { user, key, .. } => {
                Cursor::Values { user: user.clone(), key: key.clone() }
            }
        }
    }
}

/// Where a page of an export starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cursor {
    /// Behind this key.
    Values { user: String, key: String },
}

impl Cursor {
    /// Where an export starts.
    pub(super) fn start() -> Self {
        Self::Values { user: String::new(), key: String::new() }
    }

    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::start()) };
        serde_json::from_str(text)
            .map_err(|_| Error::invalid(format!("`{text}` is not a cursor of an export")))
    }

    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal(format!("a cursor has no JSON form: {error}")))
    }
}
