//! Objects: content of any size under a path.

use std::time::Duration;

use bytes::Bytes;

use crate::call::Call;
use crate::error::Result;
use crate::services::space::Space;
use crate::{Wire, service};

/// The longest path, in bytes of UTF-8.
pub const PATH_BYTES_MAX: usize = 512;

/// The most objects of one page.
pub const OBJECTS_MAX: u32 = 1_000;

/// The most content that one call carries, in bytes.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An object, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Object {
    /// Its path: segments with `/` between them, none of them empty, `.` or `..`.
    pub path: String,
    /// Bytes of the content.
    pub size: u64,
    /// What it is served as.
    pub content_type: String,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Grows with every write in the app.
    pub version: u64,
    /// When the path was first taken, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When the content was put, in milliseconds since 1970.
    pub updated_at_ms: u64,
}

/// A page of objects, in the order of the paths' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<Object>,
    /// Where the next page starts; nothing after the last.
    pub next: Option<String>,
}

/// An object and a part of its content.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct ObjectPart {
    /// The object.
    pub object: Object,
    /// The bytes that were asked for, fewer at the end.
    pub content: Bytes,
}

/// Objects, for the app of the call. Provided by the storage plugin.
///
/// Content that is larger than [`PART_BYTES_MAX`] comes in parts: `begin`, `append`, `finish`. Readers
/// see the old content or the new one, never a mix. Writes are durable when they return.
///
/// # Errors
/// Of every method: `Invalid` with `INVALID_PATH`. Of every write: `TooLarge` (`OBJECT_TOO_LARGE`) and
/// `Full` (`QUOTA_EXCEEDED`), which name the setting.
#[service("fazt.objects", 1)]
pub trait Objects {
    /// Puts content under a path, in the place of what is there.
    async fn put(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        content: Bytes,
        content_type: &str,
    ) -> Result<Object>;
    /// What is under a path.
    async fn head(&self, call: &Call, space: &Space, path: &str) -> Result<Option<Object>>;
    /// What is under a path, and up to `len` bytes of its content from `offset` on; at most
    /// [`PART_BYTES_MAX`].
    async fn read(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        offset: u64,
        len: u64,
    ) -> Result<Option<ObjectPart>>;
    /// Removes what is under a path; whether something was.
    async fn delete(&self, call: &Call, space: &Space, path: &str) -> Result<bool>;
    /// The objects whose paths start with `prefix`, which is taken literally; 1 to [`OBJECTS_MAX`].
    async fn list(
        &self,
        call: &Call,
        space: &Space,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<ObjectPage>;
    /// Begins an upload in parts; returns its number. It is forgotten after five minutes without a
    /// part.
    ///
    /// # Errors
    /// `Busy` when too many are under way.
    async fn begin(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        content_type: &str,
    ) -> Result<u64>;
    /// Adds the next part.
    ///
    /// # Errors
    /// `NotFound` when there is no such upload of this app.
    async fn append(&self, call: &Call, upload: u64, content: Bytes) -> Result<()>;
    /// Puts what was uploaded under its path.
    ///
    /// # Errors
    /// As [`Self::append`].
    async fn finish(&self, call: &Call, upload: u64) -> Result<Object>;
    /// An address on the app's hosts, without scheme and host, under which anybody may fetch the
    /// content for as long as `valid`: what is there then, not what is there now.
    async fn sign(&self, call: &Call, space: &Space, path: &str, valid: Duration)
    -> Result<String>;
}
