//! A connection of the cartridge, and how statements run on it.
//!
//! Prepared statements are cached by (owner, SQL): the text that SQLite sees begins with a comment
//! that names the owner, so a statement that was compiled under one owner's rights is never found by
//! another, even when both send the same text.

use std::{cell::RefCell, ops::ControlFlow, sync::Arc, time::Duration};

use rusqlite::CachedStatement;

use super::{
    access::{Access, Gate},
    error::{SqlError, SqlErrorKind},
    owner::Owner,
    reader::Deadline,
    value::{Row, Value},
};

/// A connection on which every pragma is set and checked. Used by one thread at a time.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) raw: rusqlite::Connection,
    pub(super) gate: Gate,
    pub(super) deadline: Arc<Deadline>,
    /// The text under which a statement is cached; kept to save an allocation per call.
    key: RefCell<String>,
}

/// What receives the rows of a query.
pub type EachRow<'c> = &'c mut dyn FnMut(&Row<'_>) -> ControlFlow<()>;

impl Session {
    pub(super) fn new(raw: rusqlite::Connection, gate: Gate, deadline: Arc<Deadline>) -> Self {
        Self { raw, gate, deadline, key: RefCell::default() }
    }

    /// Works in the name of `access` until the returned guard is dropped.
    pub(super) fn enter(&self, access: Access) -> Entered<'_> {
        Entered { gate: &self.gate, before: Some(self.gate.enter(access)) }
    }

    /// Runs a query in the name of `owner` and hands each row to `each`.
    pub(super) fn query(
        &self,
        owner: &Owner,
        sql: &str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), SqlError> {
        self.deadline.check()?;
        let mut statement = self.prepare(Some(owner), sql)?;
        self.step(&mut statement, params, each)
    }

    /// Runs a statement without rows in the name of `owner`; returns how many rows it changed.
    pub(super) fn execute(
        &self,
        owner: &Owner,
        sql: &str,
        params: &[Value<'_>],
    ) -> Result<u64, SqlError> {
        self.deadline.check()?;
        let mut statement = self.prepare(Some(owner), sql)?;
        self.run(&mut statement, params)
    }

    /// Whether a statement only reads.
    pub(super) fn only_reads(&self, owner: &Owner, sql: &str) -> Result<bool, SqlError> {
        Ok(self.prepare(Some(owner), sql)?.readonly())
    }

    /// Runs any one statement in the name of `owner`: tells the names of its columns, if it has any,
    /// hands each row to `each`, and returns how many rows it changed; nothing when it only reads.
    pub(super) fn run_any(
        &self,
        owner: &Owner,
        sql: &str,
        names: &mut dyn FnMut(&[&str]),
        each: EachRow<'_>,
    ) -> Result<Option<u64>, SqlError> {
        self.deadline.check()?;
        let mut statement = self.prepare(Some(owner), sql)?;
        let reads = statement.readonly();
        if statement.column_count() == 0 {
            names(&[]);
            let changed = self.run(&mut statement, &[])?;
            return Ok((!reads).then_some(changed));
        }
        names(&statement.column_names().collect::<Vec<_>>());
        self.step(&mut statement, &[], each)?;
        Ok((!reads).then(|| self.raw.changes()))
    }

    /// Runs one of the cartridge's own queries.
    pub(super) fn own_query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), SqlError> {
        self.deadline.check()?;
        let _entered = self.enter(Access::Cartridge);
        let mut statement = self.prepare(None, sql)?;
        self.step(&mut statement, params, each)
    }

    /// Runs one of the cartridge's own statements.
    pub(super) fn own_execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        let _entered = self.enter(Access::Cartridge);
        let mut statement = self.prepare(None, sql)?;
        self.run(&mut statement, params)
    }

    /// The one integer that one of the cartridge's own queries returns, if there is a row.
    pub(super) fn own_integer(
        &self,
        sql: &str,
        params: &[Value<'_>],
    ) -> Result<Option<i64>, SqlError> {
        let mut found = None;
        self.own_query(sql, params, &mut |row| {
            if let Some(Value::Integer(number)) = row.value(0) {
                found = Some(number);
            }
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Turns SQLite's error into ours, with the gate's sentence when the gate refused.
    pub(super) fn error(&self, error: rusqlite::Error) -> SqlError {
        let mut error = SqlError::from(error);
        // A refused function is reported as an ordinary error, so the kind does not tell.
        if let Some(sentence) = self.gate.take_denial() {
            error.kind = SqlErrorKind::Denied;
            error.message = sentence;
        }
        error
    }

    fn prepare(&self, owner: Option<&Owner>, sql: &str) -> Result<CachedStatement<'_>, SqlError> {
        let Some(owner) = owner else {
            return self.raw.prepare_cached(sql).map_err(|e| self.error(e));
        };
        let mut key = self.key.borrow_mut();
        key.clear();
        key.push_str("/*");
        key.push_str(owner.name());
        key.push_str("*/");
        key.push_str(sql);
        self.raw.prepare_cached(&key).map_err(|e| self.error(e))
    }

    fn step(
        &self,
        statement: &mut CachedStatement<'_>,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), SqlError> {
        self.bind(statement, params)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut seen = 0_u32;
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            if each(&Row::new(row, columns)).is_break() {
                break;
            }
            seen = seen.wrapping_add(1);
            if seen.is_multiple_of(ROWS_PER_DEADLINE_CHECK) {
                self.deadline.check()?;
            }
        }
        Ok(())
    }

    fn run(
        &self,
        statement: &mut CachedStatement<'_>,
        params: &[Value<'_>],
    ) -> Result<u64, SqlError> {
        self.bind(statement, params)?;
        let changed = statement.raw_execute().map_err(|e| match e {
            rusqlite::Error::ExecuteReturnedResults => {
                SqlError::own(SqlErrorKind::Usage, "the statement returns rows: use `query`")
            }
            other => self.error(other),
        })?;
        Ok(changed as u64)
    }

    fn bind(
        &self,
        statement: &mut CachedStatement<'_>,
        params: &[Value<'_>],
    ) -> Result<(), SqlError> {
        let wanted = statement.parameter_count();
        if wanted != params.len() {
            return Err(SqlError::own(
                SqlErrorKind::Usage,
                format!("the statement takes {wanted} parameters and got {}", params.len()),
            ));
        }
        for (i, value) in params.iter().enumerate() {
            statement.raw_bind_parameter(i + 1, value).map_err(|e| self.error(e))?;
        }
        Ok(())
    }
}

/// Puts the previous name back when dropped, also when a closure panics.
pub(super) struct Entered<'s> {
    gate: &'s Gate,
    before: Option<Access>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            drop(self.gate.enter(before));
        }
    }
}

/// Milliseconds of a limit, for messages.
pub(super) fn whole_ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// How many rows go by between two looks at the clock.
const ROWS_PER_DEADLINE_CHECK: u32 = 64;
