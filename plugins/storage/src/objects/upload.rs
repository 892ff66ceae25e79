//! Content in parts: `begin`, `append`, `finish`, and `PUT /api/storage/{app}/blobs/{path...}`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fazt_sdk::cartridge::Upload;
use fazt_sdk::http::{Request, Response};
use fazt_sdk::prelude::Bytes;
use fazt_sdk::services::objects::{Object, PART_BYTES_MAX};
use fazt_sdk::{AppId, Error, Result, json};

use super::write::check_size;
use super::{Store, checked_path, checked_type, store};
use crate::hex;
use crate::place::Place;

/// The most uploads in parts that are under way at a time.
const UPLOADS_MAX: usize = 64;

/// How long an upload is kept without another part.
const IDLE: Duration = Duration::from_secs(300);

/// Uploads that are under way.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    uploads: HashMap<u64, Incoming>,
}

#[derive(Debug)]
struct Incoming {
    place: Place,
    path: String,
    content_type: String,
    size: u64,
    upload: Upload,
    touched: Duration,
}

impl Uploads {
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, app: AppId, number: u64) -> Result<Incoming> {
        let mut open = self.lock();
        let is_own = open.uploads.get(&number).is_some_and(|incoming| incoming.place.id == app);
        let taken = if is_own { open.uploads.remove(&number) } else { None };
        taken
            .ok_or_else(|| Error::not_found(format!("there is no upload {number}: begin it again")))
    }
}

impl Store {
    pub(super) fn begin_upload(&self, place: Place, path: &str, content_type: &str) -> Result<u64> {
        let path = checked_path(path)?.to_owned();
        let content_type = checked_type(content_type)?.to_owned();
        let upload = self.cartridge.upload(Some(place.id))?;
        let now = self.clock.monotonic();
        let mut open = self.uploads.lock();
        open.uploads.retain(|_, incoming| now.saturating_sub(incoming.touched) < IDLE);
        if open.uploads.len() >= UPLOADS_MAX {
            return Err(Error::busy(format!(
                "{UPLOADS_MAX} uploads are under way; try again later"
            )));
        }
        open.last += 1;
        let number = open.last;
        let incoming = Incoming { place, path, content_type, size: 0, upload, touched: now };
        open.uploads.insert(number, incoming);
        Ok(number)
    }

    pub(super) async fn append_part(&self, app: AppId, number: u64, content: Bytes) -> Result<()> {
        if content.len() > PART_BYTES_MAX {
            return Err(Error::too_large(format!("a part has at most {PART_BYTES_MAX} bytes")));
        }
        // Taken out while it grows: what fails is gone, and nobody appends twice at a time.
        let mut incoming = self.uploads.take(app, number)?;
        incoming.size += content.len() as u64;
        check_size(incoming.size, &self.limits)?;
        incoming.upload.push(content).await?;
        incoming.touched = self.clock.monotonic();
        self.uploads.lock().uploads.insert(number, incoming);
        Ok(())
    }

    pub(super) async fn finish_upload(&self, app: AppId, number: u64) -> Result<Object> {
        let Incoming { place, path, content_type, size, upload, .. } =
            self.uploads.take(app, number)?;
        let hash = upload.finish().await?;
        self.refer(place, store::New { path, hash, size, content_type }).await
    }
}

/// Takes an object in over HTTP, of any size.
pub(super) async fn take(store: &Store, place: Place, request: Request) -> Result<Response> {
    let path = checked_path(request.capture(1))?.to_owned();
    let content_type = request.header_str("content-type").unwrap_or_default();
    let content_type = checked_type(content_type)?.to_owned();
    let announced = request.header_str("content-length").and_then(|text| text.parse().ok());
    check_size(announced.unwrap_or(0), &store.limits)?;
    let mut upload = store.cartridge.upload(Some(place.id))?;
    let (mut body, mut size) = (request.into_body(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        check_size(size, &store.limits)?;
        upload.push(chunk).await?;
    }
    let hash = upload.finish().await?;
    let object = store.refer(place, store::New { path, hash, size, content_type }).await?;
    Response::json(&json!({ "data": {
        "path": object.path, "size_bytes": object.size, "content_type": object.content_type,
        "sha256": hex::encode(&object.hash),
    } }))
}
