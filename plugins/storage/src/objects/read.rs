//! `head`, `read`, `list`.

use fazt_sdk::prelude::Bytes;
use fazt_sdk::services::objects::{OBJECTS_MAX, Object, ObjectPage, ObjectPart, PART_BYTES_MAX};
use fazt_sdk::{Error, Result};

use super::{Store, checked_path, store};
use crate::place::Place;
use crate::reading;

/// Content that one look at the cartridge reads, in bytes.
const STEP_BYTES: u64 = 256 * 1024;

impl Store {
    pub(crate) async fn find(&self, place: Place, path: &str) -> Result<Option<Object>> {
        let path = checked_path(path)?.to_owned();
        reading::read(&self.cartridge, move |reader| store::find(reader, &place, &path)).await
    }

    pub(super) async fn read_part(
        &self,
        place: Place,
        path: &str,
        offset: u64,
        len: u64,
    ) -> Result<Option<ObjectPart>> {
        let Some(object) = self.find(place, path).await? else { return Ok(None) };
        let left = object.size.saturating_sub(offset).min(len).min(PART_BYTES_MAX as u64);
        let content = self.content(object.hash, offset, left).await?;
        Ok(Some(ObjectPart { object, content }))
    }

    /// A part of content, read in steps.
    pub(crate) async fn content(&self, hash: [u8; 32], offset: u64, len: u64) -> Result<Bytes> {
        let mut content = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        let mut at = offset;
        while at < offset + len {
            let step = STEP_BYTES.min(offset + len - at);
            let part = reading::read(&self.cartridge, move |reader| {
                reader.blob(&hash, at, step, <[u8]>::to_vec)
            })
            .await?;
            if part.is_empty() {
                return Err(Error::internal("the content of an object is shorter than it says"));
            }
            at += part.len() as u64;
            content.extend_from_slice(&part);
        }
        Ok(content.into())
    }

    pub(super) async fn read_page(
        &self,
        place: Place,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<ObjectPage> {
        if !(1..=OBJECTS_MAX).contains(&limit) {
            return Err(Error::invalid(format!("`limit` is from 1 to {OBJECTS_MAX}"))
                .with_code("INVALID_ARGUMENT"));
        }
        let prefix = prefix.to_owned();
        reading::read(&self.cartridge, move |reader| {
            store::page(reader, &place, &prefix, limit, cursor.as_deref())
        })
        .await
    }
}
