//! The sites of apps: which deployment is active and what its files hold.

use bytes::Bytes;
use fazt_macros::Event;
use schemars::JsonSchema;

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::{Wire, service};

/// A deployment of an app: immutable, numbered, kept for a while after the next one.
#[derive(Debug, Clone, PartialEq, Eq, Wire, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Deployment {
    /// Its identity: `dep_` and 12 characters of base 62.
    pub id: String,
    /// The app.
    pub app: AppId,
    /// Counts from 1 in each app.
    pub version: u64,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// How many files it has.
    pub file_count: u64,
    /// Bytes of all files together.
    pub size_bytes: u64,
    /// Whether `index.html` answers paths that have no file.
    pub spa: bool,
}

/// A file of an active deployment.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct SiteFile {
    /// The deployment that it is from: two files belong together when theirs are equal.
    pub deployment: String,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Bytes of the content.
    pub size: u64,
    /// What it is served as.
    pub content_type: String,
    /// Who may fetch it over HTTP.
    pub visibility: FileVisibility,
    /// The content; nothing when it is larger than [`CONTENT_BYTES_MAX`].
    pub content: Option<Bytes>,
}

/// A file that may be code.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct CodeFile {
    /// Its canonical path.
    pub path: String,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Bytes of the content.
    pub size: u64,
    /// Who may fetch it over HTTP.
    pub visibility: FileVisibility,
}

/// The files of a deployment that may be code.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct SiteCode {
    /// The deployment.
    pub deployment: String,
    /// The files, by path.
    pub files: Vec<CodeFile>,
}

/// The endings of files that may be code.
pub const CODE_ENDINGS: [&str; 7] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".json"];

/// The largest content that [`Sites::file`] hands out, in bytes.
pub const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// Who may fetch a file over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum FileVisibility {
    /// Everybody.
    Public,
    /// Whoever has a session of the app.
    Private,
    /// Nobody: it stays on the node.
    Server,
}

/// The sites of apps. Provided by the hosting plugin.
///
/// Callers are plugins: visibility is told, not enforced.
#[service("hosting.sites", 1)]
pub trait Sites {
    /// The deployment that `app` serves. Reads for at most 5 ms.
    async fn active(&self, call: &Call, app: AppId) -> Result<Option<Deployment>>;
    /// The file at the canonical `path` (relative, as in `api/main.js`) of the active deployment.
    ///
    /// Reads memory, and at most 1 MiB of the cartridge for content that is not in memory.
    async fn file(&self, call: &Call, app: AppId, path: &str) -> Result<Option<SiteFile>>;
    /// The id of the deployment that `app` serves; of the one that `preview`, the label of its own
    /// host, names. Reads memory, mostly.
    async fn current(
        &self,
        call: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<Option<String>>;
    /// The files of that deployment that end in one of [`CODE_ENDINGS`]. Their content is in the
    /// cartridge, under their hash.
    async fn code(
        &self,
        call: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<Option<SiteCode>>;
}

/// An app serves another deployment from now on: a new one, or an old one after a rollback.
/// Emitted in the transaction that makes it so.
#[derive(Debug, Clone, PartialEq, Eq, Wire, Event)]
#[event("hosting.deployment-activated")]
pub struct DeploymentActivated {
    /// The app.
    pub app: AppId,
    /// The deployment.
    pub deployment: String,
    /// Its version.
    pub version: u64,
    /// The deployment that was active before.
    pub previous: Option<String>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}
