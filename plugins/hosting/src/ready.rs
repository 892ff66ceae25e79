//! Responses that are ready to be sent: heads that the host keeps, bodies in memory.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::host::Host;
use fazt_sdk::http::PreparedHead;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, ErrorKind, Result};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use crate::cache_policy::{REVALIDATE, SECURITY_HEADERS};
use crate::model::{Entry, hex};

/// The largest body that is kept in memory, in bytes. Larger ones are streamed by the kernel.
pub(crate) const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// What the heads of one file take in memory, in bytes: an estimate.
const HEADS_BYTES: u64 = 2 * 1024;

/// The smallest part that the cache is split into for several processors, in bytes: a body must be
/// small against it, or it is not kept.
const SHARD_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// What the path names.
    File,
    /// The app's page for paths that name nothing.
    NotFoundPage,
}

/// A file, ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The head of a whole response.
    pub(crate) head: PreparedHead,
    /// The head of a 304.
    pub(crate) not_modified: PreparedHead,
    /// The strong entity tag, quotes included.
    pub(crate) etag: String,
    /// The content; nothing when it is over [`BODY_BYTES_MAX`] or could not be read in time.
    pub(crate) body: Option<Bytes>,
}

/// Everything that a head and a body are made of.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    hash: [u8; 32],
    content_type: &'static str,
    cache_control: &'static str,
    role: Role,
}

/// The content's hash is as good as any; the rest differs rarely.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.hash[..16]);
        self.role.hash(state);
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Ready>> for Weight {
    fn weight(&self, _: &Key, ready: &Arc<Ready>) -> u64 {
        HEADS_BYTES + ready.body.as_ref().map_or(0, |body| body.len() as u64)
    }
}

/// The files that were asked for most, ready to be sent.
pub(crate) struct ReadyFiles {
    host: Host,
    cartridge: Cartridge,
    cache: Cache<Key, Arc<Ready>, Weight>,
}

impl std::fmt::Debug for ReadyFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadyFiles").field("bytes", &self.cache.weight()).finish_non_exhaustive()
    }
}

impl ReadyFiles {
    /// Keeps at most `bytes_max` of heads and bodies together.
    ///
    /// # Errors
    /// `Internal` when the cache refuses its options.
    pub(crate) fn new(host: &Host, bytes_max: u64) -> Result<Self> {
        let items = usize::try_from(bytes_max / (16 * 1024)).unwrap_or(usize::MAX).max(16);
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, 16);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(bytes_max)
            .shards(usize::try_from(shards).unwrap_or(1))
            .build()
            .map_err(|error| Error::internal(format!("the cache of files: {error}")))?;
        let cache = Cache::with_options(
            options,
            Weight,
            quick_cache::DefaultHashBuilder::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Ok(Self { host: host.clone(), cartridge: host.cartridge(), cache })
    }

    /// `entry`, ready to be sent as `role`. Reads at most [`BODY_BYTES_MAX`] of the cartridge when it
    /// is not in memory.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn get(&self, entry: &Entry, role: Role) -> Result<Arc<Ready>> {
        let cache_control = match role {
            Role::File => entry.cache_control,
            Role::NotFoundPage => REVALIDATE,
        };
        let Entry { hash, content_type, .. } = *entry;
        let key = Key { hash, content_type, cache_control, role };
        if let Some(ready) = self.cache.get(&key) {
            return Ok(ready);
        }
        let ready = Arc::new(self.make(entry, cache_control, role)?);
        // Content that could not be read in time is tried again the next time.
        if ready.body.is_some() || entry.size > BODY_BYTES_MAX {
            self.cache.insert(key, Arc::clone(&ready));
        }
        Ok(ready)
    }

    fn make(&self, entry: &Entry, cache_control: &str, role: Role) -> Result<Ready> {
        let etag = format!("\"{}\"", hex(&entry.hash));
        let policy = [("cache-control", cache_control)];
        let tag = [("etag", etag.as_str())];
        let kind = [("content-type", entry.content_type)];
        let whole = [("accept-ranges", "bytes")];
        let fields: Vec<_> = match role {
            Role::File => kind.iter().chain(&tag).chain(&policy).chain(&whole).copied().collect(),
            Role::NotFoundPage => kind.iter().chain(&policy).copied().collect(),
        };
        let head = self.host.prepare(fields.into_iter().chain(SECURITY_HEADERS))?;
        let not_modified = self.host.prepare(tag.into_iter().chain(policy))?;
        Ok(Ready { head, not_modified, body: self.read(entry)?, etag })
    }

    fn read(&self, entry: &Entry) -> Result<Option<Bytes>> {
        if entry.size > BODY_BYTES_MAX {
            return Ok(None);
        }
        match self.cartridge.read(|reader| content(reader, &entry.hash, entry.size)) {
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            other => other.map(Some),
        }
    }
}

/// The content with this hash, which has `size` bytes.
///
/// # Errors
/// What the cartridge says; `Internal` when the content has another size.
pub(crate) fn content(reader: &Reader<'_>, hash: &[u8; 32], size: u64) -> Result<Bytes> {
    if size == 0 {
        return Ok(Bytes::new());
    }
    let content = reader.blob(hash, 0, size, Bytes::copy_from_slice)?;
    if content.len() as u64 != size {
        let (is, hash) = (content.len(), hex(hash));
        return Err(Error::internal(format!("the blob {hash} has {is} bytes, its file {size}")));
    }
    Ok(content)
}
