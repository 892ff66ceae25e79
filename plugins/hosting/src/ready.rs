//! Responses that are ready to be sent: heads that the host keeps, bodies in memory.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::host::Host;
use fazt_sdk::http::PreparedHead;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, ErrorKind, Result};
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::accept::Encoding;
use crate::head::{Context, Role};
use crate::markdown;
use crate::model::hex;
use crate::representation::Representation;
use crate::rules::Selection;

/// The largest body that is kept in memory, in bytes. Larger ones are streamed by the kernel.
pub(crate) const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// What is kept of a file besides its content takes this much memory, in bytes: an estimate.
const HEAD_BYTES: u64 = 768;

/// The smallest part that the cache is split into for several processors, in bytes: a body must be
/// small against it, or it is not kept.
const SHARD_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// Whether a body is going to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The answer has one.
    Body,
    /// The answer is a head, or the decision needs the entity tag first.
    Head,
}

/// A representation, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The head of the response.
    pub(crate) head: PreparedHead,
    /// The strong entity tag, quotes included.
    pub(crate) etag: Arc<str>,
    /// The content; nothing when it is over [`BODY_BYTES_MAX`], was not needed so far, or could not be
    /// read in time.
    pub(crate) body: Option<Bytes>,
}

/// Everything that a head and a body are made of.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    /// Of the bytes that are sent; it gives the content and its hash too, by the encoding.
    hash: [u8; 32],
    encoding: Encoding,
    role: Role,
    is_preview: bool,
    depends_on_visitor: bool,
    content_type: &'static str,
    cache_control: &'static str,
    /// The rules of `_headers` that apply, and the hash of that file.
    rules: Option<([u8; 32], Selection)>,
}

impl Key {
    fn of(sent: &Representation<'_>, context: &Context<'_>) -> Self {
        let has_rules = context.selection != Selection::NONE;
        Self {
            hash: sent.hash,
            encoding: sent.encoding,
            role: context.role,
            is_preview: context.is_preview,
            depends_on_visitor: context.depends_on_visitor(),
            content_type: sent.file.entry.content_type,
            cache_control: context.cache_control(sent),
            rules: has_rules.then_some((context.rules.headers_hash, context.selection)),
        }
    }
}

/// The content's hash is as good as any; the rest differs rarely.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ self.role as u64);
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Ready>> for Weight {
    fn weight(&self, _: &Key, ready: &Arc<Ready>) -> u64 {
        HEAD_BYTES + ready.body.as_ref().map_or(0, |body| body.len() as u64)
    }
}

/// The representations that were asked for most, ready to be sent.
pub(crate) struct ReadyFiles {
    host: Host,
    cartridge: Cartridge,
    cache: Cache<Key, Arc<Ready>, Weight, RandomState>,
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
            RandomState::default(),
            DefaultLifecycle::default(),
        );
        Ok(Self { host: host.clone(), cartridge: host.cartridge(), cache })
    }

    /// `sent`, ready to be sent. Reads at most [`BODY_BYTES_MAX`] of the cartridge when the
    /// body is needed and not in memory; otherwise nothing.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn get(
        &self,
        sent: &Representation<'_>,
        context: &Context<'_>,
        need: Need,
    ) -> Result<Arc<Ready>> {
        if context.depends_on_address() {
            let plain = Context { selection: Selection::NONE, ..*context };
            let body = self.get(sent, &plain, need)?.body.clone();
            return self.prepare(sent, context, body).map(Arc::new);
        }
        let key = Key::of(sent, context);
        let is_kept_without_body = sent.size > BODY_BYTES_MAX;
        let found = self.cache.get(&key);
        // A page that says nothing in Markdown will not say more the next time.
        let is_complete = is_kept_without_body || context.role == Role::Markdown;
        if let Some(ready) = &found
            && (ready.body.is_some() || need == Need::Head || is_complete)
        {
            return Ok(Arc::clone(ready));
        }
        let body = match need {
            Need::Body if !is_kept_without_body => self.read(sent)?,
            Need::Body | Need::Head => None,
        };
        let body = match context.role {
            Role::File | Role::ErrorPage => body,
            Role::Markdown => body.and_then(|page| markdown::from_html(&page)).map(Bytes::from),
        };
        let ready = match found {
            Some(ready) => Ready { body, ..Ready::clone(&ready) },
            None => self.prepare(sent, context, body)?,
        };
        let ready = Arc::new(ready);
        self.cache.insert(key, Arc::clone(&ready));
        Ok(ready)
    }

    fn prepare(
        &self,
        sent: &Representation<'_>,
        context: &Context<'_>,
        body: Option<Bytes>,
    ) -> Result<Ready> {
        let etag = context.etag(sent);
        let fields = context.fields(sent, &etag);
        let head = self.host.prepare(fields.iter().map(|(name, value)| (&**name, &**value)))?;
        Ok(Ready { head, etag: etag.into(), body })
    }

    fn read(&self, sent: &Representation<'_>) -> Result<Option<Bytes>> {
        match self.cartridge.read(|reader| content(reader, &sent.hash, sent.size)) {
            // Content that could not be read in time is tried again the next time.
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
