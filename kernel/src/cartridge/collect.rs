//! How content goes away: what is spared, and how much is deleted at a time.
//!
//! A blob that a [`BlobPin`] holds, that a response is being made of, or that was put or touched within
//! the last hour, is never deleted: somebody may be about to refer to it. Whoever calls [`WriteTx::delete_blob`] has asked everybody
//! else who may refer to it.
//!
//! Content of many chunks is not deleted in one write, which would hold up everybody: it loses its
//! hash, and is then what is left of an upload that broke off.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Cartridge,
    blobs::{BlobHash, BlobInfo, CHUNK_BYTES, CHUNKS_PER_BLOB, find, listed},
    error::SqlError,
    owner::{KERNEL, Role},
    reader::Reader,
    tx::WriteTx,
    value::Value,
};

/// What one round of [`WriteTx::delete_abandoned_uploads`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many uploads are gone.
    pub uploads: u64,
    /// Whether there is more to delete.
    pub more: bool,
}

impl WriteTx<'_> {
    /// Writes down that this owner stores content: what it refers to is asked before anything is
    /// deleted, and it may not be there to answer.
    pub(super) fn note_blob_owner(&self) -> Result<(), SqlError> {
        if self.owner().role() == Role::Kernel || self.blob_owner_noted.replace(true) {
            return Ok(());
        }
        let key = format!("{OWNER_KEY}{}", self.owner().name());
        self.own_execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
            &[Value::Text(&key), Value::Integer(self.now_ms())],
        )?;
        Ok(())
    }

    /// Notes that content is wanted; returns its size, or nothing when it is not there.
    ///
    /// From now on it is spared for three quarters of an hour at least. Touching again and again costs
    /// a look-up only.
    ///
    /// # Errors
    /// What the statements ran into.
    pub fn touch_blob(&self, hash: BlobHash) -> Result<Option<u64>, SqlError> {
        let Some(info) = find(self.session, hash)? else { return Ok(None) };
        if info.put_at_ms < self.now_ms() - SPARED_MS / 4 {
            self.own_execute(
                "UPDATE blob SET put_at = max(put_at, ?2) WHERE id = ?1",
                &[Value::Integer(info.id), Value::Integer(self.now_ms())],
            )?;
        }
        Ok(Some(info.size))
    }

    /// Deletes content, unless somebody may still want it; returns whether it is gone.
    ///
    /// The caller has made sure that no table refers to it. What does not fit a short write is only
    /// made invisible here; [`WriteTx::delete_abandoned_uploads`] does the rest.
    ///
    /// # Errors
    /// What the statements ran into.
    pub fn delete_blob(&self, hash: BlobHash) -> Result<bool, SqlError> {
        let Some(info) = find(self.session, hash)? else { return Ok(true) };
        let young = info.put_at_ms > self.now_ms() - SPARED_MS;
        if young || self.pins().holds(hash, self.monotonic()) {
            return Ok(false);
        }
        if info.chunked && info.size > CHUNKS_PER_SWEEP as u64 * CHUNK_BYTES as u64 {
            self.own_execute(
                "UPDATE blob SET hash = NULL, put_at = 0 WHERE id = ?1",
                &[Value::Integer(info.id)],
            )?;
        } else {
            self.delete_row(info.id)?;
        }
        Ok(true)
    }

    /// Gives up an upload that did not end; what arrived is deleted in the next rounds.
    ///
    /// # Errors
    /// What the statement ran into.
    pub fn abandon_upload(&self, id: i64) -> Result<(), SqlError> {
        self.own_execute(
            "UPDATE blob SET put_at = 0 WHERE id = ?1 AND hash IS NULL",
            &[Value::Integer(id)],
        )?;
        Ok(())
    }

    /// Deletes what is left of uploads that were given up or did not finish within an hour: at most
    /// `limit` of them, and at most 16 MiB.
    ///
    /// # Errors
    /// What the statements ran into.
    pub fn delete_abandoned_uploads(&self, limit: u32) -> Result<Swept, SqlError> {
        let mut ids = Vec::new();
        self.session.own_query(
            "SELECT id FROM blob WHERE hash IS NULL AND put_at < ?1 ORDER BY put_at LIMIT ?2",
            &[Value::Integer(self.now_ms() - SPARED_MS), Value::Integer(i64::from(limit))],
            &mut |row| {
                ids.extend(row.integer(0));
                ControlFlow::Continue(())
            },
        )?;
        let mut swept = Swept { uploads: 0, more: ids.len() == limit as usize };
        let mut left = CHUNKS_PER_SWEEP;
        for &id in &ids {
            let first = id.saturating_mul(CHUNKS_PER_BLOB);
            let deleted = self.own_execute(
                "DELETE FROM blob_chunk WHERE id IN \
                 (SELECT id FROM blob_chunk WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
                &[
                    Value::Integer(first),
                    Value::Integer(first.saturating_add(CHUNKS_PER_BLOB - 1)),
                    Value::Integer(left),
                ],
            )?;
            left -= i64::try_from(deleted).unwrap_or(left);
            if left <= 0 {
                return Ok(Swept { more: true, ..swept });
            }
            self.own_execute("DELETE FROM blob WHERE id = ?1", &[Value::Integer(id)])?;
            swept.uploads += 1;
        }
        Ok(swept)
    }
}

impl Reader<'_> {
    /// Hands the blobs with numbers after `after_id` that were last put before `before_ms` to `each`, in
    /// the order of their numbers, at most `limit`. For garbage collection.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn blobs_after_id(
        &self,
        after_id: i64,
        before_ms: i64,
        limit: u32,
        each: &mut dyn FnMut(&BlobInfo),
    ) -> Result<(), SqlError> {
        self.session().own_query(
            "SELECT id, size, put_at, typeof(data) = 'null', hash FROM blob \
             WHERE id > ?1 AND hash IS NOT NULL AND put_at < ?2 ORDER BY id LIMIT ?3",
            &[
                Value::Integer(after_id),
                Value::Integer(before_ms),
                Value::Integer(i64::from(limit)),
            ],
            &mut |row| {
                if let Ok(hash) = row.blob(4)
                    && let Ok(hash) = hash.try_into()
                    && let Ok(info) = listed(row, BlobHash(hash))
                {
                    each(&info);
                }
                ControlFlow::Continue(())
            },
        )
    }

    /// The owners that ever stored content, the kernel aside. As long as none is written down, all that
    /// have tables: the cartridge may be older than writing them down is.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn blob_owners(&self) -> Result<Vec<String>, SqlError> {
        let mut owners = Vec::new();
        self.session().own_query(
            "SELECT substr(key, length(?1) + 1) FROM meta \
             WHERE key >= ?1 AND key < ?2 ORDER BY key",
            &[Value::Text(OWNER_KEY), Value::Text(OWNER_KEY_END)],
            &mut |row| {
                owners.extend(row.text(0).map(str::to_owned));
                ControlFlow::Continue(())
            },
        )?;
        if owners.is_empty() {
            self.session().own_query(
                "SELECT DISTINCT owner FROM migration WHERE owner <> ?1 ORDER BY owner",
                &[Value::Text(KERNEL)],
                &mut |row| {
                    owners.extend(row.text(0).map(str::to_owned));
                    ControlFlow::Continue(())
                },
            )?;
        }
        Ok(owners)
    }

    /// Hands the blobs after `after` (in the order of their hashes) that were last put before
    /// `before_ms` to `each`. For garbage collection.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn blobs_put_before(
        &self,
        before_ms: i64,
        after: Option<BlobHash>,
        limit: u32,
        each: &mut dyn FnMut(&BlobInfo) -> ControlFlow<()>,
    ) -> Result<(), SqlError> {
        let after = after.map_or_else(Vec::new, |hash| hash.0.to_vec());
        self.session().own_query(
            "SELECT id, size, put_at, typeof(data) = 'null', hash FROM blob \
             WHERE hash > ?1 AND put_at < ?2 ORDER BY hash LIMIT ?3",
            &[Value::Blob(&after), Value::Integer(before_ms), Value::Integer(i64::from(limit))],
            &mut |row| {
                let Ok(hash) = row.blob(4).map(<[u8; 32]>::try_from) else {
                    return ControlFlow::Continue(());
                };
                match (hash, listed(row, BlobHash(hash.unwrap_or_default()))) {
                    (Ok(_), Ok(info)) => each(&info),
                    _ => ControlFlow::Continue(()),
                }
            },
        )
    }
}

impl Cartridge {
    /// The uploads that were dropped before their end since this was last asked.
    #[must_use]
    pub fn dropped_uploads(&self) -> Vec<i64> {
        std::mem::take(&mut *self.shared().dropped_uploads.lock())
    }
}

/// Uploads that were dropped before their end, until somebody deletes what arrived of them.
#[derive(Debug, Default)]
pub(super) struct DroppedUploads(Mutex<Vec<i64>>);

impl DroppedUploads {
    /// Remembers one. Past the bound it is left to the hour after which any upload is given up.
    pub(super) fn add(&self, id: i64) {
        let mut ids = self.lock();
        if ids.len() < DROPPED_UPLOADS_MAX {
            ids.push(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which content responses hold, so that it is not deleted under them.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    pinned: HashMap<BlobHash, usize>,
    /// Content that a response read a part of, and until when the next part may be asked for.
    read: HashMap<BlobHash, Duration>,
}

impl Pins {
    fn holds(&self, hash: BlobHash, now: Duration) -> bool {
        let mut held = self.lock();
        held.read.retain(|_, until| *until > now);
        held.pinned.contains_key(&hash) || held.read.contains_key(&hash)
    }

    /// Notes that a part of content was read, by a clock that never goes back.
    pub(super) fn note_read(&self, hash: BlobHash, now: Duration) {
        let mut held = self.lock();
        if held.read.len() >= READ_MAX {
            held.read.retain(|_, until| *until > now);
        }
        if held.read.len() < READ_MAX {
            held.read.insert(hash, now + READ_AGAIN_WITHIN);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps content from being deleted while it is held.
#[derive(Debug)]
pub struct BlobPin {
    pins: Arc<Pins>,
    hash: BlobHash,
}

impl BlobPin {
    pub(super) fn new(pins: &Arc<Pins>, hash: BlobHash) -> Self {
        *pins.lock().pinned.entry(hash).or_default() += 1;
        Self { pins: Arc::clone(pins), hash }
    }
}

impl Drop for BlobPin {
    fn drop(&mut self) {
        let mut held = self.pins.lock();
        if let Some(count) = held.pinned.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                held.pinned.remove(&self.hash);
            }
        }
    }
}

/// What stands before the name of an owner that stores content, as a key of the table meta.
const OWNER_KEY: &str = "blob_owner:";

/// The first key after all of those: `;` comes after `:`.
const OWNER_KEY_END: &str = "blob_owner;";

/// How long content is spared after it was put, in milliseconds.
const SPARED_MS: i64 = 60 * 60 * 1_000;

/// Chunks that one write deletes at most; 16 MiB.
const CHUNKS_PER_SWEEP: i64 = 64;

/// How long after a part of content the next one may be asked for: the edge gives up a response that is
/// not read for 30 s.
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(120);

/// Contents that are being read at a time.
const READ_MAX: usize = 65_536;

/// Dropped uploads that are remembered at a time.
const DROPPED_UPLOADS_MAX: usize = 4_096;
