//! `PUT /api/blobs/{sha256}` and `POST /api/blobs`: the content that a pending deployment waits for.
//!
//! Nothing else is taken in: so what clients can fill the disk with is bounded by what may be pending.

use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::host::Host;
use fazt_sdk::http::{Body, Handler, Request, Response};
use fazt_sdk::prelude::{Bytes, Call};
use fazt_sdk::{AppId, Error, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::admission::Admission;
use crate::deploy::check_scope;
use crate::intake::HELD_BYTES_MAX;
use crate::model::{from_hex, hex};
use crate::pack::{PACK, PACK_BYTES_MAX, Unpack};
use crate::store;

/// Content up to this many bytes is held until it is whole, and stored in one write.
const WHOLE_BYTES_MAX: u64 = 256 * 1024;

/// The most contents of a pack that are stored in one write.
const CONTENTS_PER_WRITE: usize = 256;

/// Takes in one content of any size.
#[derive(Debug)]
pub(crate) struct TakeContent {
    pub(crate) cartridge: Cartridge,
    pub(crate) admission: Admission,
}

/// Takes in many small contents.
#[derive(Debug)]
pub(crate) struct TakePack {
    pub(crate) host: Host,
    pub(crate) cartridge: Cartridge,
    pub(crate) admission: Admission,
}

impl Handler for TakeContent {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        check_scope(call)?;
        let _permit = self.admission.admit()?;
        let hash = from_hex(request.capture(0)).ok_or_else(|| {
            Error::invalid("the path ends in the SHA-256 of the content: 64 digits of 0-9a-f")
        })?;
        let known = known(&self.cartridge, call, vec![hash]).await?;
        let Some(&Known { size, is_here }) = known.first() else {
            return Err(not_announced(&hash));
        };
        let announced = request.header_str("content-length").and_then(|text| text.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes != size) {
            return Err(wrong_size(&hash, size));
        }
        let body = request.into_body();
        if is_here || size <= WHOLE_BYTES_MAX {
            self.take_whole(call, body, hash, size, is_here).await?;
        } else {
            self.take_parts(call, body, hash, size).await?;
        }
        let data = json!({ "sha256": hex(&hash), "size": size, "stored": !is_here });
        Response::json(&json!({ "data": data }))
    }
}

impl TakeContent {
    /// Reads the content and stores it, unless it is here: then it is only compared.
    async fn take_whole(
        &self,
        call: &Call,
        mut body: Body,
        hash: [u8; 32],
        size: u64,
        is_here: bool,
    ) -> Result<()> {
        let (mut hasher, mut left, mut content) = (Sha256::new(), size, Vec::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| wrong_size(&hash, size))?;
            hasher.update(&chunk);
            if !is_here {
                content.extend_from_slice(&chunk);
            }
        }
        if left > 0 {
            return Err(wrong_size(&hash, size));
        }
        if <[u8; 32]>::from(hasher.finalize()) != hash {
            return Err(wrong_hash(&hash));
        }
        if !is_here {
            self.cartridge.put_blobs(call.limited_to(), vec![content.into()]).await?;
        }
        Ok(())
    }

    async fn take_parts(
        &self,
        call: &Call,
        mut body: Body,
        hash: [u8; 32],
        size: u64,
    ) -> Result<()> {
        let mut upload = self.cartridge.upload(call.limited_to())?;
        let mut left = size;
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| wrong_size(&hash, size))?;
            upload.push(chunk).await?;
        }
        if left > 0 {
            return Err(wrong_size(&hash, size));
        }
        upload.finish_as(&hash).await.map_err(|error| match error.code() {
            "HASH_MISMATCH" => wrong_hash(&hash),
            _ => error,
        })
    }
}

impl Handler for TakePack {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        check_scope(call)?;
        let kind = request.header_str("content-type").unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PACK) {
            return Err(Error::invalid(format!("send {PACK}: contents with their lengths"))
                .with_code("UNSUPPORTED_MEDIA_TYPE"));
        }
        let announced = request.header_str("content-length").and_then(|text| text.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > PACK_BYTES_MAX) {
            return Err(pack_too_large());
        }
        let _permit = self.admission.admit()?;
        let (mut body, mut unpack) = (request.into_body(), Unpack::default());
        let mut batch = Batch {
            host: &self.host,
            cartridge: &self.cartridge,
            call,
            contents: Vec::new(),
            bytes: 0,
        };
        let (mut stored, mut all, mut bytes) = (0, 0, 0);
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            bytes += chunk.len() as u64;
            if bytes > PACK_BYTES_MAX {
                return Err(pack_too_large());
            }
            let mut whole = Vec::new();
            unpack.push(&chunk, |content| whole.push(content))?;
            for content in whole {
                all += 1;
                stored += batch.add(content).await?;
            }
        }
        unpack.finish()?;
        stored += batch.flush().await?;
        Response::json(&json!({ "data": { "stored": stored, "known": all - stored } }))
    }
}

/// Contents on their way into one write.
struct Batch<'a> {
    host: &'a Host,
    cartridge: &'a Cartridge,
    call: &'a Call,
    contents: Vec<Bytes>,
    bytes: u64,
}

impl Batch<'_> {
    /// Returns how many contents were stored to make room.
    async fn add(&mut self, content: Bytes) -> Result<usize> {
        let bytes = content.len() as u64;
        let is_full = self.bytes + bytes > HELD_BYTES_MAX;
        let stored = if is_full || self.contents.len() >= CONTENTS_PER_WRITE {
            self.flush().await?
        } else {
            0
        };
        self.bytes += bytes;
        self.contents.push(content);
        Ok(stored)
    }

    async fn flush(&mut self) -> Result<usize> {
        if self.contents.is_empty() {
            return Ok(0);
        }
        self.bytes = 0;
        let contents = std::mem::take(&mut self.contents);
        let sent = contents.clone();
        let hashes = self.host.blocking(move || {
            sent.iter().map(|content| Sha256::digest(content).into()).collect::<Vec<[u8; 32]>>()
        });
        let hashes = hashes.await?;
        let known = known(self.cartridge, self.call, hashes.clone()).await?;
        let mut new = Vec::new();
        for ((content, hash), known) in contents.into_iter().zip(&hashes).zip(known) {
            if known.size != content.len() as u64 {
                return Err(wrong_size(hash, known.size));
            }
            if !known.is_here {
                new.push(content);
            }
        }
        let stored = new.len();
        if stored > 0 {
            self.cartridge.put_blobs(self.call.limited_to(), new).await?;
        }
        Ok(stored)
    }
}

/// What is known about a content that somebody sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// The size that the list gives it.
    size: u64,
    is_here: bool,
}

/// Looks contents up; refuses those that no pending deployment waits for, of the caller's own app when
/// the caller is limited to one.
async fn known(cartridge: &Cartridge, call: &Call, hashes: Vec<[u8; 32]>) -> Result<Vec<Known>> {
    let app = call.limited_to().map(|app: AppId| app.to_string());
    let read = move |reader: &Reader<'_>| {
        let here = reader.blob_sizes(&hashes)?;
        let known = hashes.iter().zip(here).map(|(hash, here)| {
            let size = store::announced_size(reader, hash, app.as_deref())?;
            let size = size.ok_or_else(|| not_announced(hash))?;
            Ok(Known { size, is_here: here.is_some() })
        });
        known.collect::<Result<Vec<_>>>()
    };
    store::read(cartridge, read).await
}

fn not_announced(hash: &[u8; 32]) -> Error {
    Error::conflict(format!(
        "no pending deployment waits for the content {}; send the list of files first, with POST \
         /api/apps/APP/deployments",
        hex(hash)
    ))
    .with_code("NOT_ANNOUNCED")
    .with_details(json!({ "sha256": hex(hash) }))
}

fn wrong_size(hash: &[u8; 32], size: u64) -> Error {
    Error::invalid(format!("the content {} was announced with {size} bytes", hex(hash)))
        .with_code("SIZE_MISMATCH")
        .with_details(json!({ "sha256": hex(hash) }))
}

fn wrong_hash(hash: &[u8; 32]) -> Error {
    Error::invalid(format!("what was sent is not the content with the SHA-256 {}", hex(hash)))
        .with_code("HASH_MISMATCH")
        .with_details(json!({ "sha256": hex(hash) }))
}

fn pack_too_large() -> Error {
    Error::too_large(format!("a pack has at most {PACK_BYTES_MAX} bytes; send several"))
        .with_code("UPLOAD_TOO_LARGE")
}
