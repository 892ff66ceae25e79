//! The log (`-wal`): when it moves into the file, and how large it may get.
//!
//! The writer checkpoints after a commit once the log is worth it, and empties the log when idle.
//! With `external_checkpoint` both are left to a replicating tool. A reader that stays keeps the log
//! from starting again; at its budget new writes are refused rather than the disk filled.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Shared,
    error::{CartridgeError, SqlError},
    file,
    statement::Session,
};

/// What the writer remembers about the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Commits since the log was last found empty or emptied.
    dirty: bool,
    /// Length of the log at the latest checkpoint, in frames. It goes on growing from there while a
    /// reader keeps it from starting again.
    checked_at_frames: u64,
    /// When the log may next be tried while it is over its budget, on the monotonic clock.
    retry_at: Duration,
}

impl Log {
    /// How long without work counts as idle.
    pub(super) fn idle_after(&self) -> Duration {
        if self.dirty { IDLE } else { ASLEEP }
    }

    /// Checkpoints once the log is worth it.
    pub(super) fn after_commit(
        &mut self,
        session: &Session,
        shared: &Shared,
    ) -> Result<(), SqlError> {
        self.dirty = true;
        if shared.options.external_checkpoint {
            return Ok(());
        }
        let frames = shared.frames.load(Ordering::Relaxed);
        if frames < self.checked_at_frames {
            self.checked_at_frames = 0;
        }
        if frames - self.checked_at_frames >= CHECKPOINT_FRAMES {
            self.checked_at_frames = frames;
            unless_fatal(checkpoint(session, "PASSIVE"))?;
        }
        Ok(())
    }

    /// Empties the log.
    pub(super) fn when_idle(&mut self, session: &Session, shared: &Shared) -> Result<(), SqlError> {
        if !self.dirty || shared.options.external_checkpoint {
            return Ok(());
        }
        if unless_fatal(checkpoint(session, "TRUNCATE"))? == 0 {
            self.dirty = false;
            self.checked_at_frames = 0;
            shared.frames.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The refusal that new writes get, if the log is over its budget and stays so.
    pub(super) fn pressure(
        &mut self,
        session: &Session,
        shared: &Shared,
    ) -> Option<CartridgeError> {
        let budget_bytes = shared.options.wal_budget_bytes;
        // Asking for the size costs a system call; the number of frames is free and never too small
        // by more than a restart of the log.
        if shared.frames.load(Ordering::Relaxed) * FRAME_BYTES < budget_bytes {
            return None;
        }
        let size = || file::length(&file::beside(&shared.path, "-wal"));
        let refusal = |wal_bytes| Some(CartridgeError::WalPressure { wal_bytes, budget_bytes });
        let now = shared.options.clock.monotonic();
        if now < self.retry_at || shared.options.external_checkpoint {
            return refusal(size());
        }
        self.retry_at = now + PRESSURE_RETRY;
        match checkpoint(session, "TRUNCATE") {
            Ok(0) => {
                shared.frames.store(0, Ordering::Relaxed);
                self.retry_at = Duration::ZERO;
                None
            }
            Ok(_) => refusal(size()),
            Err(error) if error.is_failed_sync() => Some(shared.fail(&error.to_string())),
            Err(_) => refusal(size()),
        }
    }
}

/// Moves the log into the file as far as readers allow, without waiting for them;
/// returns how many frames had to stay.
pub(super) fn checkpoint(session: &Session, mode: &str) -> Result<i64, SqlError> {
    let _entered = session.enter(super::access::Access::Cartridge);
    let wait = |ms: u64| session.raw.busy_timeout(Duration::from_millis(ms));
    wait(0)?;
    let result = session.raw.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    wait(5_000)?;
    let (busy, in_log, moved) = result.map_err(|e| session.error(e))?;
    let left = (in_log - moved).max(0);
    Ok(if busy != 0 { left.max(1) } else { left })
}

/// A sync that failed is fatal. Anything else (a full disk) leaves the data in the log, where it is
/// safe, until the next try.
fn unless_fatal(result: Result<i64, SqlError>) -> Result<i64, SqlError> {
    match result {
        Err(error) if !error.is_failed_sync() => Ok(1),
        other => other,
    }
}

/// Frames in the log that make a checkpoint worth its syncs: 4 MiB.
const CHECKPOINT_FRAMES: u64 = 1_000;

/// A page and its header, in bytes.
const FRAME_BYTES: u64 = 4_096 + 24;

/// Without work for this long, the log is emptied.
const IDLE: Duration = Duration::from_secs(1);

/// How long the writer sleeps when there is nothing to look after.
const ASLEEP: Duration = Duration::from_secs(3_600);

/// How long the log is left alone after it could not be emptied at its budget.
const PRESSURE_RETRY: Duration = Duration::from_millis(100);
