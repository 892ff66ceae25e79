//! The life of an open cartridge: what its threads share, how it ends, how it begins.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::config::DbConfig;
use tokio::sync::watch;

use super::{
    access::Tables,
    background::Background,
    checkpoint,
    collect::{DroppedUploads, Pins},
    error::{CartridgeError, SqlError},
    events, file,
    lock::Lock,
    migrate::{self, Missing},
    open::{self, Purpose},
    options::{Mode, Options},
    owner::Owner,
    queue::{Limits, Queue},
    reader::ReadConnections,
    scan::Scans,
    schema,
    value::Value,
    writer::Writer,
};
use crate::clock::Clock;

/// Opens the cartridge at `path` and starts its threads.
pub(super) fn begin(path: &Path, mode: Mode, options: Options) -> Result<Handle, CartridgeError> {
    let path = file::resolve(path)?;
    let lock = Lock::take(&path, mode, options.clock.as_ref())?;
    file::check_identity(&path)?;
    file::protect(&path)?;
    let tables = Arc::<Tables>::default();
    let mut session = open::open(&path, Purpose::Write, &tables, &options.clock)?;
    if let Some(bytes) = options.size_max_bytes {
        limit_size(&session.raw, bytes).map_err(SqlError::from)?;
    }
    let missing = match mode {
        Mode::Serve => Missing::Run,
        Mode::Command => Missing::Report,
    };
    let now_ms = options.clock.unix_ms();
    migrate::migrate(&session, &Owner::kernel(), schema::MIGRATIONS, missing, now_ms)?;
    let (names, plugins) = migrate::learn_names(&session)?;
    tables.replace(names, plugins);
    let newest_event = session.own_integer(events::NEWEST_SEQ, &[])?.unwrap_or(0);
    let shared = Arc::new(Shared::new(path, mode, options, tables, newest_event)?);
    let frames = Arc::clone(&shared.frames);
    session
        .raw
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            frames.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(SqlError::from)?;
    let writer = Writer { session, shared: Arc::clone(&shared), log: Default::default() };
    let thread = std::thread::Builder::new()
        .name("fazt-writer".to_owned())
        .spawn(move || write_until_closed(writer, lock))
        .map_err(|e| CartridgeError::Io(format!("start the writer's thread: {e}")))?;
    Ok(Handle { shared, thread: Mutex::new(Some(thread)) })
}

/// What all clones of a [`Cartridge`] and its threads share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) mode: Mode,
    pub(super) options: Options,
    pub(super) tables: Arc<Tables>,
    pub(super) queue: Queue,
    pub(super) reads: ReadConnections,
    pub(super) scans: Scans,
    pub(super) background: Background,
    pub(super) pins: Arc<Pins>,
    pub(super) dropped_uploads: DroppedUploads,
    /// Frames in the log after the latest commit.
    pub(super) frames: Arc<AtomicU64>,
    pub(super) newest_event: watch::Sender<i64>,
    pub(super) failed: watch::Sender<Option<Arc<str>>>,
    pub(super) closed: watch::Sender<Option<Result<(), CartridgeError>>>,
    /// The connection and the lock after a failure: held, and not used any more.
    pub(super) wreck: Mutex<Option<(rusqlite::Connection, Lock)>>,
}

impl Shared {
    fn new(
        path: PathBuf,
        mode: Mode,
        options: Options,
        tables: Arc<Tables>,
        newest_event: i64,
    ) -> Result<Self, CartridgeError> {
        let limits = Limits {
            closures: options.write_queue_closures,
            closures_per_app: options.write_queue_closures_per_app,
        };
        let reads = ReadConnections::new(
            path.clone(),
            Arc::clone(&tables),
            Arc::clone(&options.clock),
            options.read_limit,
        );
        let scans = Scans::start(
            path.clone(),
            Arc::clone(&tables),
            Arc::clone(&options.clock),
            options.scan_limit,
            options.scan_queue_scans,
        )?;
        Ok(Self {
            path,
            mode,
            options,
            tables,
            queue: Queue::new(limits),
            reads,
            scans,
            background: Background::default(),
            pins: Arc::default(),
            dropped_uploads: DroppedUploads::default(),
            frames: Arc::default(),
            newest_event: watch::Sender::new(newest_event),
            failed: watch::Sender::new(None),
            closed: watch::Sender::new(None),
            wreck: Mutex::new(None),
        })
    }

    pub(super) fn publish_events(&self, newest: Option<i64>) {
        if let Some(seq) = newest.filter(|&seq| seq > 0) {
            self.newest_event.send_if_modified(|known| {
                let grows = seq > *known;
                *known = seq.max(*known);
                grows
            });
        }
    }

    /// Stops for good. The first reason stays.
    pub(super) fn fail(&self, why: &str) -> CartridgeError {
        self.failed.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert_with(|| why.into());
            first
        });
        let error = self.failure().unwrap_or(CartridgeError::Closed);
        self.queue.abort(&error);
        error
    }

    pub(super) fn failure(&self) -> Option<CartridgeError> {
        self.failed.borrow().clone().map(CartridgeError::Failed)
    }

    fn close_connections(&self) {
        self.background.close();
        self.scans.close();
        self.reads.close();
    }

    pub(super) fn close_wreck(&self) -> Option<CartridgeError> {
        let failure = self.failure()?;
        self.close_connections();
        drop(self.wreck.lock().unwrap_or_else(PoisonError::into_inner).take());
        Some(failure)
    }
}

/// Closes the cartridge when the last clone is dropped.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.end(CartridgeError::Closed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            drop(thread.join());
        }
        drop(self.shared.close_wreck());
    }
}

/// The life of the writer's thread.
fn write_until_closed(mut writer: Writer, lock: Lock) {
    let shared = Arc::clone(&writer.shared);
    let sound = catch_unwind(AssertUnwindSafe(|| writer.run())).unwrap_or_else(|_| {
        shared.fail("the writer panicked");
        false
    });
    if sound {
        let result = finish(writer, lock);
        shared.closed.send_replace(Some(result));
        return;
    }
    let connection = writer.session.raw;
    // What the log holds is read by the next process, not moved by this one.
    drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    *shared.wreck.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, lock));
}

/// Leaves the file alone on the disk, complete.
fn finish(writer: Writer, lock: Lock) -> Result<(), CartridgeError> {
    let Writer { session, shared, .. } = writer;
    shared.close_connections();
    let result = if shared.options.external_checkpoint {
        let left = session.raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        left.map(drop).map_err(SqlError::from)
    } else {
        checkpoint::checkpoint(&session, "TRUNCATE").map(drop)
    };
    drop(session);
    drop(lock);
    Ok(result?)
}

/// Fills a new, empty file with the kernel's schema.
pub(super) fn build(path: &Path, clock: &Arc<dyn Clock>) -> Result<(), CartridgeError> {
    let session = open::open(path, Purpose::Write, &Arc::default(), clock)?;
    let now_ms = clock.unix_ms();
    migrate::migrate(&session, &Owner::kernel(), schema::MIGRATIONS, Missing::Run, now_ms)?;
    session.own_execute(
        "INSERT INTO meta (key, value) VALUES ('created_at', ?1)",
        &[Value::Integer(now_ms)],
    )?;
    checkpoint::checkpoint(&session, "TRUNCATE")?;
    drop(session);
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| CartridgeError::io("sync", path, &e))
}

fn limit_size(connection: &rusqlite::Connection, bytes: u64) -> rusqlite::Result<()> {
    let page_bytes: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::try_from(bytes / u64::from(page_bytes.max(1))).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}
