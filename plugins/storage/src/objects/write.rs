//! `put`, `delete`.

use fazt_sdk::prelude::Bytes;
use fazt_sdk::services::objects::{Object, PART_BYTES_MAX};
use fazt_sdk::{Error, Result};

use super::{Store, checked_path, checked_type, store};
use crate::account::Limits;
use crate::place::Place;

/// Refuses what is larger than an object may be.
pub(super) fn check_size(size: u64, limits: &Limits) -> Result<()> {
    let max = limits.object_bytes_max;
    if size <= max {
        return Ok(());
    }
    Err(Error::too_large(format!("an object has at most {max} bytes (storage.object_bytes_max)"))
        .with_code("OBJECT_TOO_LARGE"))
}

impl Store {
    pub(super) async fn put_whole(
        &self,
        place: Place,
        path: &str,
        content: Bytes,
        content_type: &str,
    ) -> Result<Object> {
        let (path, content_type) = (checked_path(path)?, checked_type(content_type)?);
        if content.len() > PART_BYTES_MAX {
            return Err(Error::too_large(format!(
                "one call carries at most {PART_BYTES_MAX} bytes; send more in parts"
            ))
            .with_code("OBJECT_TOO_LARGE"));
        }
        let size = content.len() as u64;
        check_size(size, &self.limits)?;
        let hashes = self.cartridge.put_blobs(Some(place.id), vec![content]).await?;
        let hash =
            *hashes.first().ok_or_else(|| Error::internal("content was put without a hash"))?;
        let (path, content_type) = (path.to_owned(), content_type.to_owned());
        self.refer(place, store::New { path, hash, size, content_type }).await
    }

    /// Puts content that is in the cartridge under a path.
    pub(super) async fn refer(&self, place: Place, new: store::New) -> Result<Object> {
        let (limits, now_ms) = (self.limits, self.clock.unix_ms());
        self.cartridge
            .write(Some(place.id), move |transaction| {
                store::put(transaction, &place, &new, &limits, now_ms)
            })
            .await
    }

    pub(crate) async fn remove(&self, place: Place, path: &str) -> Result<bool> {
        let (path, limits) = (checked_path(path)?.to_owned(), self.limits);
        self.cartridge
            .write(Some(place.id), move |transaction| {
                store::remove(transaction, &place, &path, &limits)
            })
            .await
    }
}
