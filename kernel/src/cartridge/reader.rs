//! Reading: short, synchronous, on a connection that cannot write.
//!
//! A read sees one snapshot of the cartridge and ends within its limit, by the clock, so that it
//! neither holds up a runtime thread nor keeps the log from shrinking.

use std::{
    cell::Cell,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    access::{Access, Tables},
    error::{CartridgeError, SqlError, SqlErrorKind, TxError},
    open::{self, Purpose},
    owner::Owner,
    statement::{Session, whole_ms},
    value::{Row, Value},
};
use crate::clock::Clock;

/// One snapshot of the cartridge, lent to a closure.
pub struct Reader<'s> {
    session: &'s Session,
    owner: &'s Owner,
}

impl<'s> Reader<'s> {
    pub(super) fn new(session: &'s Session, owner: &'s Owner) -> Self {
        Self { session, owner }
    }

    /// Runs a SELECT on the owner's tables and hands each row to `each` until it breaks.
    ///
    /// # Errors
    /// [`SqlErrorKind::Denied`] for a table of somebody else, [`SqlErrorKind::Interrupted`] when the
    /// time is over; return either.
    pub fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>,
    ) -> Result<(), SqlError> {
        self.session.query(self.owner, sql, params, each)
    }

    /// Runs any one statement without parameters: tells the names of its columns, then hands each row
    /// to `each` until it breaks.
    ///
    /// # Errors
    /// As [`Reader::query`]; [`SqlErrorKind::Usage`] for more than one statement.
    pub fn query_named(
        &self,
        sql: &str,
        names: &mut dyn FnMut(&[&str]),
        each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>,
    ) -> Result<(), SqlError> {
        self.session.run_any(self.owner, sql, names, each).map(drop)
    }

    /// In whose name this reads.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        self.owner
    }

    pub(super) fn session(&self) -> &'s Session {
        self.session
    }
}

/// Connections for short reads; at most [`READ_CONNECTIONS_MAX`], opened when first needed.
///
/// A thread comes back to the connection that it used before, whose caches know its queries, and
/// takes another one when that is busy.
pub(super) struct ReadConnections {
    path: PathBuf,
    tables: Arc<Tables>,
    clock: Arc<dyn Clock>,
    limit: Duration,
    slots: Vec<Mutex<Option<Session>>>,
    closed: AtomicBool,
}

impl ReadConnections {
    pub(super) fn new(
        path: PathBuf,
        tables: Arc<Tables>,
        clock: Arc<dyn Clock>,
        limit: Duration,
    ) -> Self {
        let slots = (0..READ_CONNECTIONS_MAX).map(|_| Mutex::new(None)).collect();
        Self { path, tables, clock, limit, slots, closed: AtomicBool::new(false) }
    }

    /// Runs `closure` on one snapshot, on this thread, within the limit.
    pub(super) fn read(
        &self,
        owner: &Owner,
        closure: &mut dyn FnMut(&Reader<'_>) -> Result<(), TxError>,
    ) -> Result<(), CartridgeError> {
        self.read_within(self.limit, owner, closure)
    }

    /// As [`ReadConnections::read`], for a few rows whose number and size are known before. The clock
    /// does not stop it: where the processor or the disk is busy, reading 256 KiB may take longer than
    /// any limit that fits a query, and giving up would cut a response that has begun.
    pub(super) fn read_part(
        &self,
        owner: &Owner,
        closure: &mut dyn FnMut(&Reader<'_>) -> Result<(), TxError>,
    ) -> Result<(), CartridgeError> {
        self.read_within(Duration::MAX, owner, closure)
    }

    fn read_within(
        &self,
        limit: Duration,
        owner: &Owner,
        closure: &mut dyn FnMut(&Reader<'_>) -> Result<(), TxError>,
    ) -> Result<(), CartridgeError> {
        Inside::check()?;
        let mut slot = self.slot();
        if self.closed.load(Ordering::SeqCst) {
            return Err(CartridgeError::Closed);
        }
        let session = match &mut *slot {
            Some(session) => session,
            empty => {
                empty.insert(open::open(&self.path, Purpose::Read, &self.tables, &self.clock)?)
            }
        };
        snapshot(session, owner, limit, closure)
    }

    /// Waits for running reads and closes every connection.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            drop(lock(slot).take());
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Session>> {
        let preferred = PREFERRED_SLOT.get();
        for i in 0..self.slots.len() {
            match self.slots[(preferred + i) % self.slots.len()].try_lock() {
                Ok(slot) => return slot,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        lock(&self.slots[preferred % self.slots.len()])
    }
}

/// Runs `closure` inside one read transaction of `session`, stopped at `limit`.
pub(super) fn snapshot(
    session: &Session,
    owner: &Owner,
    limit: Duration,
    closure: &mut dyn FnMut(&Reader<'_>) -> Result<(), TxError>,
) -> Result<(), CartridgeError> {
    let _inside = Inside::enter()?;
    let _running = session.deadline.start(limit);
    let transaction = Snapshot::begin(session)?;
    let result = {
        let _entered = session.enter(Access::Rows(owner.clone()));
        closure(&Reader::new(session, owner))
    };
    drop(transaction);
    match result {
        Ok(()) => Ok(()),
        Err(TxError::Sql(error)) if error.kind == SqlErrorKind::Interrupted => {
            Err(CartridgeError::TooLong { limit_ms: whole_ms(limit) })
        }
        Err(error) => Err(error.into()),
    }
}

/// A read transaction that ends when dropped.
struct Snapshot<'s>(&'s Session);

impl<'s> Snapshot<'s> {
    fn begin(session: &'s Session) -> Result<Self, SqlError> {
        session.own_execute("BEGIN", &[])?;
        Ok(Self(session))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        self.0.deadline.stop();
        if !self.0.raw.is_autocommit() {
            // Nothing was written, so nothing can be lost.
            drop(self.0.own_execute("ROLLBACK", &[]));
        }
    }
}

/// When the work on a connection has to be over.
#[derive(Debug)]
pub(super) struct Deadline {
    clock: Arc<dyn Clock>,
    /// On the monotonic clock, in nanoseconds; 0 means none.
    at_ns: AtomicU64,
}

impl Deadline {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, at_ns: AtomicU64::new(0) }
    }

    pub(super) fn start(&self, limit: Duration) -> Running<'_> {
        let at = self.clock.monotonic().saturating_add(limit);
        self.at_ns.store(nanoseconds(at).max(1), Ordering::Relaxed);
        Running(self)
    }

    pub(super) fn passed(&self) -> bool {
        let at = self.at_ns.load(Ordering::Relaxed);
        at != 0 && nanoseconds(self.clock.monotonic()) > at
    }

    pub(super) fn check(&self) -> Result<(), SqlError> {
        if self.passed() {
            return Err(SqlError::own(SqlErrorKind::Interrupted, "the time for reading is over"));
        }
        Ok(())
    }

    fn stop(&self) {
        self.at_ns.store(0, Ordering::Relaxed);
    }
}

pub(super) struct Running<'d>(&'d Deadline);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Marks this thread as being inside a closure of the cartridge.
pub(super) struct Inside(());

impl Inside {
    pub(super) fn enter() -> Result<Self, CartridgeError> {
        if INSIDE.replace(true) { Err(CartridgeError::Nested) } else { Ok(Self(())) }
    }

    pub(super) fn check() -> Result<(), CartridgeError> {
        if INSIDE.get() { Err(CartridgeError::Nested) } else { Ok(()) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

fn lock(slot: &Mutex<Option<Session>>) -> MutexGuard<'_, Option<Session>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PREFERRED_SLOT: Cell<usize> = Cell::new(NEXT_SLOT.fetch_add(1, Ordering::Relaxed));
}

/// Connections for short reads of one cartridge.
pub(super) const READ_CONNECTIONS_MAX: usize = 16;
