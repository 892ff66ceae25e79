//! The transaction as a closure sees it.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use super::{
    collect::Pins,
    error::{SqlError, SqlErrorKind},
    owner::Owner,
    queue::AppKey,
    reader::Reader,
    statement::Session,
    value::{Row, Value},
};

/// Runs after the sync of the commit and before the caller is told.
pub type CommitHook = Box<dyn FnOnce() + Send>;

/// The writer's transaction, lent to one closure under a savepoint of its own.
///
/// Several closures share the transaction. An error undoes only what this one did.
pub struct WriteTx<'w> {
    pub(super) session: &'w Session,
    owner: &'w Owner,
    app: Option<AppKey>,
    now_ms: i64,
    monotonic: std::time::Duration,
    pins: &'w Pins,
    hooks: RefCell<Vec<CommitHook>>,
    /// The first error of this closure that took the whole transaction with it.
    fatal: RefCell<Option<SqlError>>,
    pub(super) last_event: Cell<i64>,
    /// Whether it is written down that the owner stores content.
    pub(super) blob_owner_noted: Cell<bool>,
}

impl<'w> WriteTx<'w> {
    pub(super) fn new(
        session: &'w Session,
        owner: &'w Owner,
        app: Option<AppKey>,
        (now_ms, monotonic): (i64, std::time::Duration),
        pins: &'w Pins,
    ) -> Self {
        Self {
            session,
            owner,
            app,
            now_ms,
            monotonic,
            pins,
            hooks: RefCell::default(),
            fatal: RefCell::default(),
            last_event: Cell::new(0),
            blob_owner_noted: Cell::new(false),
        }
    }

    /// Runs a statement that returns no rows; returns how many rows it changed.
    ///
    /// # Errors
    /// What the statement ran into. On [`SqlErrorKind::RolledBack`], [`SqlErrorKind::Full`] and
    /// [`SqlErrorKind::Io`] return at once: nothing more can be done in this run.
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        self.alive()?;
        self.note(self.session.execute(self.owner, sql, params))
    }

    /// Runs a statement and hands each row to `each` until it breaks. Also for `… RETURNING`, which
    /// changes everything before the first row arrives.
    ///
    /// # Errors
    /// As [`WriteTx::execute`].
    pub fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>,
    ) -> Result<(), SqlError> {
        self.alive()?;
        self.note(self.session.query(self.owner, sql, params, each))
    }

    /// Runs any one statement that changes rows, without parameters: tells the names of its columns,
    /// if it returns any, hands each row to `each` until it breaks, and returns how many it changed.
    ///
    /// # Errors
    /// As [`WriteTx::execute`]; [`SqlErrorKind::Usage`] for one that only reads, since nothing stops a
    /// long read here, and for more than one.
    pub fn execute_named(
        &self,
        sql: &str,
        names: &mut dyn FnMut(&[&str]),
        each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>,
    ) -> Result<u64, SqlError> {
        self.alive()?;
        if self.session.only_reads(self.owner, sql)? {
            return Err(SqlError::own(
                SqlErrorKind::Usage,
                "the statement changes nothing: run it as one that reads",
            ));
        }
        self.note(self.session.run_any(self.owner, sql, names, each)).map(Option::unwrap_or_default)
    }

    /// The row id that the latest INSERT on this connection made.
    #[must_use]
    pub fn last_insert_rowid(&self) -> i64 {
        self.session.raw.last_insert_rowid()
    }

    /// Runs `hook` once this write is on the disk, before the caller is told. In-memory state that
    /// mirrors the cartridge changes here and nowhere else. A hook must not block.
    ///
    /// Hooks of a run that is undone or repeated never run.
    pub fn on_commit(&self, hook: CommitHook) {
        self.hooks.borrow_mut().push(hook);
    }

    /// What reads what this transaction wrote so far, for functions that take a [`Reader`].
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(self.session, self.owner)
    }

    /// In whose name this writes.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        self.owner
    }

    /// The app for which this writes, if for one.
    #[must_use]
    pub fn app(&self) -> Option<AppKey> {
        self.app
    }

    /// The time of this run, in milliseconds since 1970. The same for the whole closure.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn own_execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        self.alive()?;
        self.note(self.session.own_execute(sql, params))
    }

    pub(super) fn own_integer(
        &self,
        sql: &str,
        params: &[Value<'_>],
    ) -> Result<Option<i64>, SqlError> {
        self.alive()?;
        self.note(self.session.own_integer(sql, params))
    }

    /// Time since some moment, by a clock that never goes back.
    pub(super) fn monotonic(&self) -> std::time::Duration {
        self.monotonic
    }

    pub(super) fn pins(&self) -> &Pins {
        self.pins
    }

    pub(super) fn finish(self) -> (Vec<CommitHook>, Option<SqlError>) {
        (self.hooks.into_inner(), self.fatal.into_inner())
    }

    /// Without its transaction a statement would commit on its own: half a write, acknowledged never.
    fn alive(&self) -> Result<(), SqlError> {
        if self.session.raw.is_autocommit() {
            return Err(SqlError::own(
                SqlErrorKind::RolledBack,
                "the transaction was rolled back by an earlier error",
            ));
        }
        Ok(())
    }

    fn note<T>(&self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        if let Err(error) = &result
            && (error.is_failed_sync() || self.session.raw.is_autocommit())
        {
            self.fatal.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }
}
