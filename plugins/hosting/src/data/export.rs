//! The pages of an export.

use std::ops::ControlFlow;

use fazt_sdk::cartridge::Reader;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{AppId, Error, Result};

use super::record::{Cursor, DeploymentRecord, FileRecord, Record};
use crate::model::StoredDeployment;
use crate::store;

/// The most bytes of records in a page: the interface's 1 MiB, less what frames them.
const PAGE_BYTES_MAX: u64 = 1024 * 1024 - 64 * 1024;
/// The most bytes of content in one record.
const PART_BYTES_MAX: u64 = 256 * 1024;
/// The most files in one record.
const FILES_PER_RECORD: u32 = 500;
/// The most contents in one page.
const PARTS_PER_PAGE: usize = 512;

/// One page of records and where the next one starts.
pub(super) fn page(
    reader: &Reader<'_>,
    app: AppId,
    cursor: &Cursor,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    match cursor {
        Cursor::Content { hash, offset } => content_page(reader, app, hash, *offset),
        Cursor::Files { version, path } => files_page(reader, app, *version, path.as_deref()),
        Cursor::Active => {
            let active = store::active(reader, app)?;
            let record =
                |active: StoredDeployment| Record::Active { deployment: active.id.to_string() };
            Ok((active.map(record).into_iter().collect(), None))
        }
    }
}

fn content_page(
    reader: &Reader<'_>,
    app: AppId,
    from: &[u8; 32],
    offset: u64,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    let mut wanted = Vec::new();
    let (mut left, mut next) = (PAGE_BYTES_MAX, None);
    store::visit_content(reader, app, from, &mut |hash, size| {
        let mut at = if hash == *from { offset } else { 0 };
        loop {
            let len = PART_BYTES_MAX.min(size.saturating_sub(at));
            if len > left || wanted.len() >= PARTS_PER_PAGE {
                next = Some(Cursor::Content { hash, offset: at });
                return Ok(ControlFlow::Break(()));
            }
            left -= len;
            wanted.push((hash, size, at, len));
            at += len;
            if at >= size {
                return Ok(ControlFlow::Continue(()));
            }
        }
    })?;
    let mut records = Vec::with_capacity(wanted.len());
    for (hash, size, offset, len) in wanted {
        let content = match len {
            0 => Bytes::new(),
            len => reader.blob(&hash, offset, len, Bytes::copy_from_slice)?,
        };
        records.push(Record::Part { hash, size, offset, content });
    }
    if next.is_none() {
        next = Some(match store::list(reader, app)?.last() {
            Some(oldest) => Cursor::Files { version: oldest.version, path: None },
            None => Cursor::Active,
        });
    }
    Ok((records, next))
}

fn files_page(
    reader: &Reader<'_>,
    app: AppId,
    version: u64,
    after: Option<&str>,
) -> Result<(Vec<Record>, Option<Cursor>)> {
    let deployment = store::find_version(reader, app, version)?.ok_or_else(|| {
        Error::conflict("a deployment was removed during the export; start again")
    })?;
    let id = deployment.id.clone();
    let files = store::files_after(reader, &id, "", after.unwrap_or_default(), FILES_PER_RECORD)?;
    let is_last = files.len() < FILES_PER_RECORD as usize;
    let next = match files.last() {
        Some(last) if !is_last => Cursor::Files { version, path: Some(last.path.to_string()) },
        _ => match store::find_after(reader, app, version)? {
            Some(newer) => Cursor::Files { version: newer.version, path: None },
            None => Cursor::Active,
        },
    };
    let mut records = Vec::new();
    if after.is_none() {
        records.push(Record::Deployment(DeploymentRecord::new(deployment)));
    }
    if !files.is_empty() {
        let files = files.into_iter().map(FileRecord::new).collect();
        records.push(Record::Files { deployment: id.to_string(), files });
    }
    Ok((records, Some(next)))
}
