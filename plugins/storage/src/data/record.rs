//! What an export is made of, and where each of its pages starts.

use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, Result, Wire};
use serde::{Deserialize, Serialize};

/// One record of an export. Later versions only append.
#[derive(Debug, Clone, PartialEq, Wire)]
pub(super) enum Record {
    /// A value under a key.
    Value { user: String, key: String, value: String, expires_at_ms: Option<u64> },
    /// A collection and the indexes of it, before its documents.
    Collection { user: String, name: String, indexes: Vec<(String, bool)> },
    /// A document.
    Document {
        user: String,
        collection: String,
        id: String,
        body: String,
        created_at_ms: u64,
        updated_at_ms: u64,
    },
    /// Part of a content, before the object that has it.
    Part { hash: [u8; 32], size: u64, offset: u64, content: Bytes },
    /// An object.
    Object { user: String, path: String, hash: [u8; 32], size: u64, content_type: String },
}

impl Record {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Value { user, key, value, .. } => user.len() + key.len() + value.len() + 32,
            Self::Collection { user, name, .. } => user.len() + name.len() + 512,
            Self::Document { user, collection, id, body, .. } => {
                user.len() + collection.len() + id.len() + body.len() + 48
            }
            Self::Part { content, .. } => content.len() + 64,
            Self::Object { user, path, .. } => user.len() + path.len() + 256,
        }
    }
}

/// Where a page of an export starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cursor {
    /// Behind this key.
    Values { user: String, key: String },
    /// Behind this collection.
    Collections { id: i64 },
    /// Behind the document at this place.
    Documents { place: i64 },
    /// Behind this object.
    Objects { user: String, path: String },
    /// In the content of the object behind that one.
    Content { user: String, path: String, offset: u64 },
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
