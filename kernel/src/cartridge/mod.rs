//! The cartridge: the one SQLite file in which everything lives.
//!
//! Start reading at [`Cartridge`]. This module is the only one that opens the database; everybody
//! else holds a [`Cartridge`] and works in the name of an [`Owner`].
//!
//! # Files
//!
//! `X` is the cartridge, `X-wal` the log of what is not yet in it, `X-shm` an index of the log,
//! `X.lock` a note that says which process has it open. After a clean stop only `X` is there.
//! - *Stopped*: copy `X`.
//! - *Running*: take a backup ([`Cartridge::backup`]); copying `X` alone loses what the log holds.
//! - *After a crash*: copy `X` and `X-wal` together; opening the copy puts the log in its place.
//!
//! # Invariants
//!
//! - One connection writes, on one thread. Nothing is acknowledged before the sync of its commit.
//! - A closure's error undoes that closure and nothing else.
//! - An owner reaches its own tables only.
//! - A closure calls neither the cartridge nor a service, and does not wait for anything.
//! - In-memory state that mirrors the cartridge changes in [`WriteTx::on_commit`] only.
//! - No read outlives its limit, so the log can always shrink again.
//! - After a sync that failed, nothing is acknowledged until the process starts anew.
//! - A file that is refused was not changed by a single byte.
//!
//! # What a full disk does
//!
//! Writes answer [`CartridgeError::Full`], reads go on, and the first write after space came back
//! succeeds, without a restart. No space is set aside for that moment: deleting inside the cartridge
//! frees pages for itself, not for the disk, and the log of a deletion needs room of its own, so a
//! reserve would be gone when the disk fills for a second time.

mod access;
mod background;
mod backup;
mod blobs;
mod checkpoint;
mod collect;
mod error;
mod events;
mod file;
mod inspect;
mod life;
mod lock;
mod migrate;
mod open;
mod options;
mod owner;
mod pending;
mod queue;
mod reader;
mod scan;
mod schema;
mod statement;
mod tx;
mod upload;
mod vacuum;
mod value;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{oneshot, watch};

pub use self::{
    backup::Existing,
    blobs::{BlobHash, BlobInfo, HashedContent},
    collect::{BlobPin, Swept},
    error::{CartridgeError, SqlError, SqlErrorKind, TxError},
    events::{Event, SubscribeFrom},
    inspect::{CartridgeInfo, TableInfo, Verification},
    migrate::{Migration, migration},
    options::{Mode, Options},
    owner::Owner,
    pending::Pending,
    queue::{AppKey, WriteClosure},
    reader::Reader,
    scan::ScanClosure,
    statement::EachRow,
    tx::{CommitHook, WriteTx},
    upload::{BlobReader, BlobUpload},
    value::{Row, Value},
};
use self::{
    life::{Handle, Shared},
    migrate::Missing,
    queue::Job,
    reader::Inside,
    writer::Writer,
};
use crate::clock::Clock;

/// An open cartridge. Cheap to clone.
///
/// The last clone that is dropped closes it, and blocks until that is done, up to the limit of a scan;
/// [`Cartridge::close`] does the same without blocking and reports errors.
#[derive(Clone)]
pub struct Cartridge {
    handle: Arc<Handle>,
}

impl Cartridge {
    /// Makes a new cartridge at `path`, with missing directories. Blocks on the disk.
    ///
    /// It appears whole or not at all: it is built under another name first.
    ///
    /// # Errors
    /// [`CartridgeError::Exists`] when anything is at `path`; [`CartridgeError::Io`] when the machine
    /// refuses.
    pub fn create(path: &Path, clock: &Arc<dyn Clock>) -> Result<(), CartridgeError> {
        file::refuse_existing(path)?;
        file::create_parent(path)?;
        let building = file::beside(path, &format!(".new-{}", std::process::id()));
        drop(file::create_new(&building)?);
        let result = life::build(&building, clock).and_then(|()| {
            file::rename_new(&building, path)?;
            file::sync_parent(path)
        });
        if result.is_err() {
            for suffix in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(file::beside(&building, suffix)));
            }
        }
        result
    }

    /// Opens the cartridge at `path`, which may be a link to it. Blocks on the disk.
    ///
    /// # Errors
    /// [`CartridgeError::Missing`], [`CartridgeError::NotACartridge`], [`CartridgeError::TooNew`],
    /// [`CartridgeError::Locked`], [`CartridgeError::HardLinked`]: the file was not changed.
    /// [`CartridgeError::Pending`] in [`Mode::Command`] when a migration has not run.
    /// [`CartridgeError::Migration`] when one cannot run.
    pub fn open(path: &Path, mode: Mode, options: Options) -> Result<Self, CartridgeError> {
        Ok(Self { handle: Arc::new(life::begin(path, mode, options)?) })
    }

    /// The file, behind links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared().path
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared().options.clock
    }

    /// Writes what `closure` does, in the name of `owner` and for `app`.
    ///
    /// Returns at once; the answer comes after the sync of the commit. The closure runs on the
    /// writer's thread, possibly more than once, and must not wait for anything. `app` decides whose
    /// turn it is when many wait.
    ///
    /// The answer is an error when nothing was kept: [`CartridgeError::Busy`],
    /// [`CartridgeError::WalPressure`] and [`CartridgeError::Full`] (try later),
    /// [`CartridgeError::Tx`] (the closure's own error), [`CartridgeError::Panicked`],
    /// [`CartridgeError::Closed`], [`CartridgeError::Nested`]. [`CartridgeError::Failed`] leaves open
    /// whether it was kept, and [`CartridgeError::HookPanicked`] means that it was.
    pub fn write(&self, owner: &Owner, app: Option<AppKey>, closure: WriteClosure) -> Pending {
        let shared = self.shared();
        let push = || {
            Inside::check()?;
            let (answer, receiver) = oneshot::channel();
            shared.queue.push(Job { owner: owner.clone(), app, closure, answer })?;
            Ok(receiver)
        };
        Pending::new(push(), Some(shared.queue.abandoned()))
    }

    /// As [`Cartridge::write`], and returns what the closure returned in the run that counted.
    ///
    /// # Errors
    /// As [`Cartridge::write`].
    pub fn write_value<T, C>(
        &self,
        owner: &Owner,
        app: Option<AppKey>,
        closure: C,
    ) -> impl Future<Output = Result<T, CartridgeError>> + Send + use<T, C>
    where
        T: Send + 'static,
        C: Fn(&WriteTx<'_>) -> Result<T, TxError> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&result);
        let closure = move |tx: &WriteTx<'_>| {
            let value = closure(tx)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        };
        let pending = self.write(owner, app, Box::new(closure));
        async move {
            pending.await?;
            let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
            value.ok_or(CartridgeError::Closed)
        }
    }

    /// Reads one snapshot, on this thread, for at most [`Options::read_limit`].
    ///
    /// # Errors
    /// [`CartridgeError::TooLong`] at the limit: use [`Cartridge::scan`]. [`CartridgeError::Tx`] with
    /// what the closure returned. [`CartridgeError::Nested`] inside another closure.
    pub fn read(
        &self,
        owner: &Owner,
        closure: &mut dyn FnMut(&Reader<'_>) -> Result<(), TxError>,
    ) -> Result<(), CartridgeError> {
        self.shared().reads.read(owner, closure)
    }

    /// As [`Cartridge::read`], and returns what the closure returned.
    ///
    /// # Errors
    /// As [`Cartridge::read`].
    pub fn read_value<T>(
        &self,
        owner: &Owner,
        closure: impl FnOnce(&Reader<'_>) -> Result<T, TxError>,
    ) -> Result<T, CartridgeError> {
        let (mut closure, mut value) = (Some(closure), None);
        self.read(owner, &mut |reader| {
            if let Some(closure) = closure.take() {
                value = Some(closure(reader)?);
            }
            Ok(())
        })?;
        value.ok_or(CartridgeError::Closed)
    }

    /// Reads one snapshot on a thread for longer reads, for at most [`Options::scan_limit`].
    ///
    /// Returns at once. The answer is [`CartridgeError::Busy`] when too many wait, otherwise as with
    /// [`Cartridge::read`].
    pub fn scan(&self, owner: &Owner, closure: ScanClosure) -> Pending {
        let push = || {
            Inside::check()?;
            self.shared().scans.push(owner.clone(), closure)
        };
        Pending::new(push(), None)
    }

    /// As [`Cartridge::scan`], and returns what the closure returned.
    ///
    /// # Errors
    /// As [`Cartridge::scan`].
    pub fn scan_value<T, C>(
        &self,
        owner: &Owner,
        closure: C,
    ) -> impl Future<Output = Result<T, CartridgeError>> + Send + use<T, C>
    where
        T: Send + 'static,
        C: FnOnce(&Reader<'_>) -> Result<T, TxError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let closure = move |reader: &Reader<'_>| {
            drop(answer.send(closure(reader)?));
            Ok(())
        };
        let pending = self.scan(owner, Box::new(closure));
        async move {
            pending.await?;
            receiver.await.map_err(|_| CartridgeError::Closed)
        }
    }

    /// Brings the owner's tables up to date; the answer is how many migrations ran.
    ///
    /// In [`Mode::Command`] nothing runs, and a missing migration is [`CartridgeError::Pending`].
    /// [`CartridgeError::Migration`] says which one cannot run and why; it concerns this owner only.
    pub fn migrate(&self, owner: &Owner, migrations: &[Migration<'_>]) -> Pending<usize> {
        let texts: Vec<(String, String)> =
            migrations.iter().map(|m| (m.name.to_owned(), m.sql.to_owned())).collect();
        let owner = owner.clone();
        let errand = move |writer: &mut Writer| {
            let shared = &writer.shared;
            let list: Vec<Migration<'_>> =
                texts.iter().map(|(name, sql)| Migration { name, sql }).collect();
            let missing = match shared.mode {
                Mode::Serve => Missing::Run,
                Mode::Command => Missing::Report,
            };
            let now_ms = shared.options.clock.unix_ms();
            let result = migrate::migrate(&writer.session, &owner, &list, missing, now_ms);
            let (names, plugins) = migrate::learn_names(&writer.session)?;
            shared.tables.replace(names, plugins);
            result
        };
        Pending::new(writer::send(self.shared(), errand), None)
    }

    /// The position of the newest event, and a way to wait for the next one.
    #[must_use]
    pub fn newest_event(&self) -> watch::Receiver<i64> {
        self.shared().newest_event.subscribe()
    }

    /// Waits until the disk failed to keep a promise; returns what happened. The process should then
    /// exit with an error, so that its supervisor starts it anew.
    pub async fn failed(&self) -> Arc<str> {
        let mut failed = self.shared().failed.subscribe();
        loop {
            if let Some(why) = failed.borrow_and_update().clone() {
                return why;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Finishes what waits, moves the log into the file, removes it and gives up the lock.
    ///
    /// Later calls on other clones answer [`CartridgeError::Closed`].
    ///
    /// # Errors
    /// [`CartridgeError::Failed`] when the cartridge had stopped for good; the log then stays.
    pub async fn close(&self) -> Result<(), CartridgeError> {
        let shared = self.shared();
        if let Some(failure) = shared.close_wreck() {
            return Err(failure);
        }
        shared.queue.end(CartridgeError::Closed);
        let mut closed = shared.closed.subscribe();
        loop {
            if let Some(result) = closed.borrow_and_update().clone() {
                return result;
            }
            if closed.changed().await.is_err() {
                return Err(CartridgeError::Closed);
            }
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl fmt::Debug for Cartridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cartridge").field("path", &self.shared().path).finish_non_exhaustive()
    }
}
