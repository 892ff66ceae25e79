//! Content by its SHA-256.
//!
//! Up to 256 KiB lies in one row, more in chunks of 256 KiB. A chunk's row id is computed from the
//! blob's id and the chunk's place, so a range is read without an index, and content whose hash is
//! not known yet is published by filling in the hash, not by moving chunks.
//!
//! Content is immutable and stored once, however often it is put. How it goes away again is in
//! `collect.rs`.
//!
//! A range is read in short reads of its own, at most one chunk each, so a slow client keeps nothing
//! from shrinking. Ranges of chunks are read through SQLite's blob handles, which are many times faster
//! than a SELECT; content of one row is read whole by one statement, which is faster than a handle.

use std::{fmt, ops::ControlFlow};

use rusqlite::blob::Blob;
use sha2::{Digest as _, Sha256};

use super::{
    access::Access,
    error::{SqlError, SqlErrorKind},
    reader::Reader,
    statement::Session,
    tx::WriteTx,
    value::Value,
};

/// The SHA-256 of content; prints as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// Hashes `content`. Costs milliseconds per megabyte: not for the writer's thread.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Content that was hashed already, so that the writer's thread does not have to.
#[derive(Debug, Clone)]
pub struct HashedContent {
    hash: BlobHash,
    bytes: bytes::Bytes,
}

impl HashedContent {
    /// Hashes `bytes` on this thread.
    #[must_use]
    pub fn new(bytes: impl Into<bytes::Bytes>) -> Self {
        let bytes = bytes.into();
        Self { hash: BlobHash::of(&bytes), bytes }
    }

    /// The hash.
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is known about stored content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    pub(super) id: i64,
    pub(super) chunked: bool,
    /// The hash.
    pub hash: BlobHash,
    /// Length in bytes.
    pub size: u64,
    /// When it was last put, in milliseconds since 1970.
    pub put_at_ms: i64,
}

impl BlobInfo {
    /// Its number: content that came later has a larger one.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }
}

impl WriteTx<'_> {
    /// Stores content unless it is there; returns its hash.
    ///
    /// Content over a few megabytes holds up the other callers: use [`super::BlobUpload`].
    ///
    /// # Errors
    /// What the statements ran into.
    pub fn put_blob(&self, content: &HashedContent) -> Result<BlobHash, SqlError> {
        self.note_blob_owner()?;
        if self.touch(content.hash)? {
            return Ok(content.hash);
        }
        let chunked = content.bytes.len() > CHUNK_BYTES;
        self.own_execute(
            "INSERT INTO blob (hash, size, put_at, data) VALUES (?1, ?2, ?3, ?4)",
            &[
                Value::Blob(&content.hash.0),
                Value::Integer(content.bytes.len() as i64),
                Value::Integer(self.now_ms()),
                if chunked { Value::Null } else { Value::Blob(&content.bytes) },
            ],
        )?;
        let id = self.last_insert_rowid();
        if chunked {
            for (n, data) in content.bytes.chunks(CHUNK_BYTES).enumerate() {
                self.put_chunk(id, n as u64, data)?;
            }
        }
        Ok(content.hash)
    }

    /// Begins an upload whose hash is not known yet; returns its id.
    pub(super) fn begin_upload(&self) -> Result<i64, SqlError> {
        self.own_execute(
            "INSERT INTO blob (hash, size, put_at) VALUES (NULL, 0, ?1)",
            &[Value::Integer(self.now_ms())],
        )?;
        Ok(self.last_insert_rowid())
    }

    pub(super) fn put_chunk(&self, id: i64, n: u64, data: &[u8]) -> Result<(), SqlError> {
        let row = chunk_row(id, n).ok_or_else(|| {
            SqlError::own(SqlErrorKind::TooBig, "content is at most 1048576 chunks of 256 KiB")
        })?;
        self.own_execute(
            "INSERT INTO blob_chunk (id, data) VALUES (?1, ?2)",
            &[Value::Integer(row), Value::Blob(data)],
        )?;
        Ok(())
    }

    /// Gives an upload its hash, which makes it a blob; or drops it when the content is there already.
    pub(super) fn publish_upload(
        &self,
        id: i64,
        hash: BlobHash,
        size: u64,
        inline: Option<&[u8]>,
    ) -> Result<(), SqlError> {
        self.note_blob_owner()?;
        if self.touch(hash)? {
            return self.delete_row(id);
        }
        self.continue_upload(id)?;
        self.own_execute(
            "UPDATE blob SET hash = ?2, size = ?3, put_at = ?4, data = ?5 WHERE id = ?1 AND hash IS NULL",
            &[
                Value::Integer(id),
                Value::Blob(&hash.0),
                Value::Integer(size as i64),
                Value::Integer(self.now_ms()),
                inline.map_or(Value::Null, Value::Blob),
            ],
        )?;
        Ok(())
    }

    /// Notes that an upload goes on, and fails when its parts are gone.
    pub(super) fn continue_upload(&self, id: i64) -> Result<i64, SqlError> {
        let changed = self.own_execute(
            "UPDATE blob SET put_at = max(put_at, ?2) WHERE id = ?1 AND hash IS NULL",
            &[Value::Integer(id), Value::Integer(self.now_ms())],
        )?;
        if changed == 0 {
            return Err(SqlError::own(
                SqlErrorKind::Other,
                "the upload was given up after an hour without a byte",
            ));
        }
        Ok(id)
    }

    pub(super) fn delete_row(&self, id: i64) -> Result<(), SqlError> {
        let first = id.saturating_mul(CHUNKS_PER_BLOB);
        self.own_execute(
            "DELETE FROM blob_chunk WHERE id BETWEEN ?1 AND ?2",
            &[Value::Integer(first), Value::Integer(first.saturating_add(CHUNKS_PER_BLOB - 1))],
        )?;
        self.own_execute("DELETE FROM blob WHERE id = ?1", &[Value::Integer(id)])?;
        Ok(())
    }

    /// Notes that content was put again; returns whether it is there.
    fn touch(&self, hash: BlobHash) -> Result<bool, SqlError> {
        let changed = self.own_execute(
            "UPDATE blob SET put_at = max(put_at, ?2) WHERE hash = ?1",
            &[Value::Blob(&hash.0), Value::Integer(self.now_ms())],
        )?;
        Ok(changed > 0)
    }
}

impl Reader<'_> {
    /// What is known about the content with this hash, if it is there.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn blob(&self, hash: BlobHash) -> Result<Option<BlobInfo>, SqlError> {
        find(self.session(), hash)
    }

    /// Lends `len` bytes of a blob from `offset` on, or as many as there are, to `visit`; says whether
    /// the blob is there. Content of one row is lent from SQLite's own memory, after one statement.
    ///
    /// # Errors
    /// As [`Reader::query`]; [`SqlErrorKind::Corrupt`] when a part is missing.
    pub fn lend_blob(
        &self,
        hash: BlobHash,
        offset: u64,
        len: u64,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, SqlError> {
        let mut chunked = None;
        let mut found = false;
        self.session().own_query(
            "SELECT id, size, put_at, data FROM blob WHERE hash = ?1",
            &[Value::Blob(&hash.0)],
            &mut |row| {
                found = true;
                match row.value(3) {
                    Some(Value::Blob(content)) => {
                        let at =
                            |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(content.len());
                        // What it does with them is done in the owner's name, not in the cartridge's.
                        let _entered = self.session().enter(Access::Rows(self.owner().clone()));
                        visit(&content[at(offset)..at(offset.saturating_add(len))]);
                    }
                    _ => chunked = Some(info(row, hash, true)),
                }
                ControlFlow::Break(())
            },
        )?;
        let Some(info) = chunked.transpose()? else { return Ok(found) };
        let end = offset.saturating_add(len).min(info.size);
        let mut content = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or(0)];
        let mut filled = 0;
        while filled < content.len() {
            match self.read_blob_at(&info, offset + filled as u64, &mut content[filled..])? {
                0 => return Err(missing_part(&info)),
                read => filled += read,
            }
        }
        visit(&content);
        Ok(true)
    }

    /// The whole content with this hash, if it is there.
    ///
    /// A short read moves some tens of megabytes in its limit; larger content is read in ranges.
    ///
    /// # Errors
    /// As [`Reader::query`]; [`SqlErrorKind::Corrupt`] when a part is missing.
    pub fn read_blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, SqlError> {
        let Some(info) = self.blob(hash)? else { return Ok(None) };
        let mut content = vec![0; usize::try_from(info.size).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < content.len() {
            let n = self.read_blob_at(&info, filled as u64, &mut content[filled..])?;
            if n == 0 {
                return Err(missing_part(&info));
            }
            filled += n;
        }
        Ok(Some(content))
    }

    /// Fills `into` from `offset` on, at most to the end of the chunk in which it lies; returns how
    /// many bytes. 0 means the end, or that the content was deleted since `info` was read.
    ///
    /// # Errors
    /// As [`Reader::query`]; [`SqlErrorKind::Corrupt`] when a part is missing.
    pub fn read_blob_at(
        &self,
        info: &BlobInfo,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, SqlError> {
        read_at(self.session(), info, offset, into)
    }
}

pub(super) fn find(session: &Session, hash: BlobHash) -> Result<Option<BlobInfo>, SqlError> {
    let mut found = None;
    session.own_query(
        // `data IS NULL` would read the content to say so.
        "SELECT id, size, put_at, typeof(data) = 'null' FROM blob WHERE hash = ?1",
        &[Value::Blob(&hash.0)],
        &mut |row| {
            found = Some(listed(row, hash));
            ControlFlow::Break(())
        },
    )?;
    found.transpose()
}

/// What a row says of id, size, time and whether the content lies in chunks.
pub(super) fn listed(row: &super::Row<'_>, hash: BlobHash) -> Result<BlobInfo, SqlError> {
    info(row, hash, row.integer(3)? != 0)
}

/// What a row says whose columns begin with id, size and time.
fn info(row: &super::Row<'_>, hash: BlobHash, chunked: bool) -> Result<BlobInfo, SqlError> {
    Ok(BlobInfo {
        id: row.integer(0)?,
        size: u64::try_from(row.integer(1)?).unwrap_or(0),
        put_at_ms: row.integer(2)?,
        chunked,
        hash,
    })
}

pub(super) fn read_at(
    session: &Session,
    info: &BlobInfo,
    offset: u64,
    into: &mut [u8],
) -> Result<usize, SqlError> {
    session.deadline.check()?;
    if offset >= info.size || into.is_empty() {
        return Ok(0);
    }
    let (table, row, start) = if info.chunked {
        let row = chunk_row(info.id, offset / CHUNK_BYTES as u64);
        ("blob_chunk", row.unwrap_or(0), offset % CHUNK_BYTES as u64)
    } else {
        ("blob", info.id, offset)
    };
    let Some(part) = open(session, table, row)? else { return Ok(0) };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let n = part.len().saturating_sub(start).min(into.len());
    if n == 0 {
        return Err(missing_part(info));
    }
    part.read_at_exact(&mut into[..n], start).map_err(|e| session.error(e))?;
    Ok(n)
}

/// A handle on the content of one row; nothing when the row is gone.
fn open<'s>(session: &'s Session, table: &str, row: i64) -> Result<Option<Blob<'s>>, SqlError> {
    let _entered = session.enter(Access::Cartridge);
    match session.raw.blob_open(rusqlite::MAIN_DB, table, "data", row, true) {
        Ok(blob) => Ok(Some(blob)),
        // SQLite answers SQLITE_ERROR for a row that does not exist.
        Err(error) => match session.error(error) {
            error if error.kind == SqlErrorKind::Usage => Ok(None),
            error => Err(error),
        },
    }
}

fn chunk_row(id: i64, n: u64) -> Option<i64> {
    let n = i64::try_from(n).ok().filter(|&n| n < CHUNKS_PER_BLOB)?;
    id.checked_mul(CHUNKS_PER_BLOB)?.checked_add(n)
}

fn missing_part(info: &BlobInfo) -> SqlError {
    SqlError::own(SqlErrorKind::Corrupt, format!("blob {} lacks a part of its content", info.hash))
}

/// Length of a chunk, and of the largest content in one row, in bytes.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks that one blob has at most; 256 GiB.
pub(super) const CHUNKS_PER_BLOB: i64 = 1 << 20;
