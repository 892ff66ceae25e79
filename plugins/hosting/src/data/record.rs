//! What an export is made of, and where each of its pages starts.

use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, Result, Wire};

use crate::model::{StoredDeployment, StoredFile, from_hex, hex};

/// One record of an export.
#[derive(Debug, Clone, PartialEq, Wire)]
pub(super) enum Record {
    /// Part of a content.
    Part { hash: [u8; 32], size: u64, offset: u64, content: Bytes },
    /// A deployment, before its files.
    Deployment(DeploymentRecord),
    /// Files of the deployment with this number.
    Files { deployment: String, files: Vec<FileRecord> },
    /// The deployment that the app serves.
    Active { deployment: String },
}

#[derive(Debug, Clone, PartialEq, Wire)]
pub(super) struct DeploymentRecord {
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) created_at_ms: u64,
    pub(super) file_count: u64,
    pub(super) size_bytes: u64,
    pub(super) spa: bool,
    pub(super) source: Option<String>,
    pub(super) principal: String,
    pub(super) activated_at_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Wire)]
pub(super) struct FileRecord {
    pub(super) path: String,
    pub(super) hash: [u8; 32],
    pub(super) size: u64,
    pub(super) content_type: String,
    pub(super) visibility: String,
}

/// Where a page of an export starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// At `offset` of the first content from `hash` on.
    Content { hash: [u8; 32], offset: u64 },
    /// After `path` of the deployment with this number; at the deployment itself when nothing.
    Files { version: u64, path: Option<String> },
    /// At what is active.
    Active,
}

impl Cursor {
    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Content { hash: [0; 32], offset: 0 }) };
        let mut parts = text.splitn(3, ':');
        let parsed = match (parts.next(), parts.next(), parts.next()) {
            (Some("content"), Some(hash), Some(offset)) => from_hex(hash)
                .zip(offset.parse().ok())
                .map(|(hash, offset)| Self::Content { hash, offset }),
            (Some("files"), Some(version), path) => version
                .parse()
                .ok()
                .map(|version| Self::Files { version, path: path.map(str::to_owned) }),
            (Some("active"), None, None) => Some(Self::Active),
            _ => None,
        };
        parsed.ok_or_else(|| Error::invalid(format!("`{text}` is not a cursor of an export")))
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Content { hash, offset } => format!("content:{}:{offset}", hex(hash)),
            Self::Files { version, path: None } => format!("files:{version}"),
            Self::Files { version, path: Some(path) } => format!("files:{version}:{path}"),
            Self::Active => "active".to_owned(),
        }
    }
}

impl DeploymentRecord {
    pub(super) fn new(stored: StoredDeployment) -> Self {
        Self {
            id: stored.id.to_string(),
            version: stored.version,
            created_at_ms: stored.created_at_ms,
            file_count: stored.file_count,
            size_bytes: stored.size_bytes,
            spa: stored.is_spa,
            source: stored.source,
            principal: stored.principal,
            activated_at_ms: stored.activated_at_ms,
        }
    }
}

impl FileRecord {
    pub(super) fn new(file: StoredFile) -> Self {
        Self {
            path: file.path.into(),
            hash: file.entry.hash,
            size: file.entry.size,
            content_type: file.entry.content_type.to_owned(),
            visibility: file.entry.visibility.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_text() {
        for cursor in [
            Cursor::Content { hash: [0xab; 32], offset: 7 },
            Cursor::Files { version: 3, path: None },
            Cursor::Files { version: 3, path: Some("a:b/c".to_owned()) },
            Cursor::Active,
        ] {
            assert_eq!(Cursor::parse(Some(&cursor.text())).unwrap(), cursor);
        }
        for text in ["", "content", "content:00:1", "files:x", "active:", "active:1:2"] {
            assert!(Cursor::parse(Some(text)).is_err(), "{text}");
        }
    }
}
