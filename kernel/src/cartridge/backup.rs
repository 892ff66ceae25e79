//! Copies that can be trusted: backup of a cartridge that runs, restore of one that was checked.
//!
//! Both build the copy under another name and give it its own at the end, so a copy that was
//! interrupted is never taken for a whole one. Nothing that exists is written over.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    Cartridge, Mode, Shared, background,
    checkpoint::checkpoint,
    error::{CartridgeError, SqlError},
    file,
    lock::Lock,
    open::{self, Purpose},
    pending::Pending,
    statement::Session,
};
use crate::clock::Clock;

/// What restoring does with a cartridge that is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing may be there.
    Refuse,
    /// It is renamed to `NAME.before-restore`, with its log; it must not be in use.
    SetAside,
}

impl Cartridge {
    /// Writes one consistent copy of the running cartridge to `to`, 0600 and synced; the answer is
    /// its length in bytes.
    ///
    /// Uses a bounded amount of memory. Writers go on; the log cannot start again meanwhile.
    ///
    /// The answer is [`CartridgeError::Exists`] when anything, also a symbolic link, is at `to`, and
    /// [`CartridgeError::Busy`] while two other long tasks run.
    pub fn backup(&self, to: &Path) -> Pending<u64> {
        let to = to.to_path_buf();
        background::run(self.shared(), "backup", move |shared, session| {
            file::refuse_existing(&to)?;
            let building = Building::new(&to)?;
            copy(shared, session, &building.path)?;
            building.publish(&to)?;
            Ok(file::length(&to))
        })
    }

    /// Puts the backup, or the stopped or crashed cartridge, `from` at `to`, after checking it. Blocks
    /// on the disk for as long as reading all of it takes.
    ///
    /// # Errors
    /// [`CartridgeError::Missing`], [`CartridgeError::NotACartridge`], [`CartridgeError::TooNew`],
    /// [`CartridgeError::Corrupt`]: `from` cannot be used. [`CartridgeError::Exists`]: `to` is taken.
    /// [`CartridgeError::Locked`]: one of them is in use; take a backup instead of copying.
    pub fn restore(
        from: &Path,
        to: &Path,
        existing: Existing,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), CartridgeError> {
        let from = file::resolve(from)?;
        if let Some(holder) = Lock::holder(&from) {
            return Err(CartridgeError::Locked { path: from, holder });
        }
        file::read_header(&from)?;
        if existing == Existing::Refuse {
            file::refuse_existing(to)?;
        }
        file::create_parent(to)?;
        let building = Building::new(to)?;
        copy_file(&from, &building.path)?;
        let log = file::beside(&from, "-wal");
        if file::length(&log) > 0 {
            let copy = file::beside(&building.path, "-wal");
            drop(file::create_new(&copy)?);
            copy_file(&log, &copy)?;
        }
        file::check_identity(&building.path)?;
        let session = open::open(&building.path, Purpose::Write, &Arc::default(), clock)?;
        quick_check(&session)?;
        checkpoint(&session, "TRUNCATE")?;
        drop(session);
        let _lock = match existing {
            Existing::SetAside if to.exists() => Some(set_aside(to, clock)?),
            Existing::SetAside | Existing::Refuse => None,
        };
        building.publish(to)
    }
}

/// A copy that is being made. Removed when dropped before it was published.
struct Building {
    path: PathBuf,
}

impl Building {
    fn new(to: &Path) -> Result<Self, CartridgeError> {
        let path = file::beside(to, &format!(".partial-{}", std::process::id()));
        drop(file::create_new(&path)?);
        Ok(Self { path })
    }

    fn publish(self, to: &Path) -> Result<(), CartridgeError> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(|e| CartridgeError::io("sync", &self.path, &e))?;
        file::rename_new(&self.path, to)?;
        file::sync_parent(to)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            drop(std::fs::remove_file(file::beside(&self.path, suffix)));
        }
    }
}

/// Copies one snapshot of the cartridge page by page.
fn copy(shared: &Shared, source: &Session, to: &Path) -> Result<(), CartridgeError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let pages = || -> Result<(), SqlError> {
        let mut target = Connection::open_with_flags(to, flags)?;
        // The copy is synced as a whole at the end, and is nobody's before.
        target.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
        target.pragma_update(None, "synchronous", 0)?;
        target.pragma_update(None, "cache_size", -TARGET_CACHE_KIB)?;
        // A transaction of our own keeps the snapshot, so that writers do not make it start over.
        source.own_execute("BEGIN", &[])?;
        source.own_integer("SELECT count(*) FROM sqlite_schema", &[])?;
        let backup = Backup::new(&source.raw, &mut target)?;
        loop {
            if shared.background.is_closed() {
                return Err(SqlError::own(
                    super::error::SqlErrorKind::Interrupted,
                    "the cartridge was closed",
                ));
            }
            match backup.step(PAGES_PER_STEP)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        drop(backup);
        target.close().map_err(|(_, e)| e)?;
        source.own_execute("ROLLBACK", &[])?;
        Ok(())
    };
    pages().map_err(|e| match e.into() {
        CartridgeError::Full => CartridgeError::Full,
        other => CartridgeError::Io(format!("copy to {}: {other}", to.display())),
    })
}

/// Copies bytes; the target exists, is empty and belongs to this process.
fn copy_file(from: &Path, to: &Path) -> Result<(), CartridgeError> {
    let copy = || -> std::io::Result<u64> {
        let mut source = File::open(from)?;
        let mut target = OpenOptions::new().write(true).open(to)?;
        std::io::copy(&mut source, &mut target)
    };
    copy().map(drop).map_err(|e| CartridgeError::io("copy", from, &e))
}

fn quick_check(session: &Session) -> Result<(), CartridgeError> {
    let _entered = session.enter(super::access::Access::Cartridge);
    let answer: String = session
        .raw
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| CartridgeError::Corrupt(session.error(e).message))?;
    if answer == "ok" { Ok(()) } else { Err(CartridgeError::Corrupt(answer)) }
}

/// Renames a cartridge that nobody uses, its log first: a log must never meet another cartridge.
fn set_aside(to: &Path, clock: &Arc<dyn Clock>) -> Result<Lock, CartridgeError> {
    let to = file::resolve(to)?;
    let lock = Lock::take(&to, Mode::Serve, clock.as_ref())?;
    let aside = file::beside(&to, ".before-restore");
    for suffix in ["-wal", ""] {
        file::refuse_existing(&file::beside(&aside, suffix))?;
    }
    for suffix in ["-wal", ""] {
        let (old, new) = (file::beside(&to, suffix), file::beside(&aside, suffix));
        if old.exists() {
            file::rename_new(&old, &new)?;
        }
    }
    drop(std::fs::remove_file(file::beside(&to, "-shm")));
    Ok(lock)
}

/// Pages copied between two looks at whether to stop: 1 MiB.
const PAGES_PER_STEP: i32 = 256;

/// Page cache of the copy, in KiB.
const TARGET_CACHE_KIB: i64 = 2_048;
