//! Who still refers to content.

use crate::call::Call;
use crate::error::Result;
use crate::service;

/// The content that one plugin refers to. Contributed by every plugin that stores content: the kernel
/// deletes what nobody refers to.
///
/// Content that was put or touched within the last three quarters of an hour is never deleted. So
/// whoever writes down a new reference to content that another row of its own does not refer to has
/// just put it, or touches it in the same transaction (`Transaction::touch_blobs`).
#[service("fazt.blob-refs", 1)]
pub trait BlobRefs {
    /// For each of at most [`HASHES_MAX`] contents, by its SHA-256, whether something of this plugin
    /// refers to it. In doubt, yes.
    async fn in_use(&self, call: &Call, hashes: &[[u8; 32]]) -> Result<Vec<bool>>;
}

/// The most contents that are asked about at a time.
pub const HASHES_MAX: usize = 64;
