//! The SQL of garbage collection: how far it came, who stores content, what the kernel refers to.

use std::collections::HashSet;
use std::ops::ControlFlow;

use fazt_sdk::Result;
use serde::{Deserialize, Serialize};

use crate::cartridge::{Cartridge, Owner, TxError, Value};

/// How far a round came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// When it began, in milliseconds since 1970; 0 before the first.
    pub(crate) began_at_ms: u64,
    /// When it had seen all content; 0 while it has not.
    pub(crate) finished_at_ms: u64,
    /// The number of the blob that it saw last.
    pub(crate) after_id: i64,
    /// How many blobs it saw.
    pub(crate) seen: u64,
    /// How many it deleted.
    pub(crate) deleted: u64,
    /// Bytes of those.
    pub(crate) deleted_bytes: u64,
}

impl Progress {
    pub(super) fn beginning(now_ms: u64) -> Self {
        Self { began_at_ms: now_ms, ..Self::default() }
    }

    /// Whether the round is over; true before the first.
    pub(super) fn is_finished(&self) -> bool {
        self.finished_at_ms != 0 || self.began_at_ms == 0
    }
}

/// How far the round came that runs, or the last one. What cannot be read is a round before the first.
pub(super) async fn progress(cartridge: &Cartridge) -> Result<Progress> {
    let read = cartridge.scan_value(&Owner::kernel(), |reader| {
        let mut progress = None;
        reader.query("SELECT value FROM meta WHERE key = 'garbage'", &[], &mut |row| {
            progress = row.text(0).ok().and_then(|text| serde_json::from_str(text).ok());
            ControlFlow::Break(())
        })?;
        Ok(progress.unwrap_or_default())
    });
    Ok(read.await?)
}

/// Writes down how far the round came.
pub(super) async fn keep(cartridge: &Cartridge, progress: Progress) -> Result<()> {
    let written = cartridge.write_value(&Owner::kernel(), None, move |tx| {
        let text = serde_json::to_string(&progress)
            .map_err(|error| TxError::Aborted(format!("progress has no JSON form: {error}")))?;
        tx.execute(
            "INSERT INTO meta (key, value) VALUES ('garbage', ?1) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            &[Value::Text(&text)],
        )?;
        Ok(())
    });
    Ok(written.await?)
}

/// The owners that ever stored content.
pub(super) async fn storing_owners(cartridge: &Cartridge) -> Result<Vec<String>> {
    let read = cartridge.scan_value(&Owner::kernel(), |reader| Ok(reader.blob_owners()?));
    Ok(read.await?)
}

/// The contents that hold libraries.
pub(super) async fn libraries(cartridge: &Cartridge) -> Result<HashSet<[u8; 32]>> {
    let read = cartridge.scan_value(&Owner::kernel(), |reader| {
        let (mut hashes, mut damaged) = (HashSet::new(), false);
        reader.query("SELECT library FROM plugin WHERE library IS NOT NULL", &[], &mut |row| {
            match row.blob(0).ok().and_then(|hash| hash.try_into().ok()) {
                Some(hash) => drop(hashes.insert(hash)),
                None => damaged = true,
            }
            ControlFlow::Continue(())
        })?;
        if damaged {
            return Err(TxError::Aborted("the table plugin holds a damaged hash".to_owned()));
        }
        Ok(hashes)
    });
    Ok(read.await?)
}
