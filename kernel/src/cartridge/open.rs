//! The one way to open a connection: every pragma is set and then asserted.
//!
//! Checkpoints are not left to SQLite, because it ignores their result: a sync of the database file
//! that failed there would go unnoticed, and the log that still holds the data would be reused. The
//! writer checkpoints by itself and looks at the answer.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

use super::{
    access::{Gate, Tables},
    error::{CartridgeError, SqlError},
    reader::Deadline,
    statement::Session,
};
use crate::clock::Clock;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The only connection that writes.
    Write,
    /// Reads within a limit.
    Read,
}

/// Opens a connection for `purpose` and checks that every pragma took effect. Blocks on the disk.
pub(super) fn open(
    path: &Path,
    purpose: Purpose,
    tables: &Arc<Tables>,
    clock: &Arc<dyn Clock>,
) -> Result<Session, CartridgeError> {
    let session = || -> Result<Session, SqlError> {
        let access = match purpose {
            Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Purpose::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let mut raw = Connection::open_with_flags(path, flags)?;
        configure(&raw, purpose)?;
        let deadline = Arc::new(Deadline::new(Arc::clone(clock)));
        if purpose == Purpose::Read {
            let watched = Arc::clone(&deadline);
            raw.progress_handler(STEPS_PER_DEADLINE_CHECK, Some(move || watched.passed()))?;
        }
        let gate = Gate::new(Arc::clone(tables));
        let guard = gate.clone();
        raw.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
            guard.authorize(context)
        }))?;
        Ok(Session::new(raw, gate, deadline))
    };
    session().map_err(|e| CartridgeError::Io(format!("open {}: {e}", path.display())))
}

fn configure(raw: &Connection, purpose: Purpose) -> Result<(), SqlError> {
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        // Else a statement is compiled again whenever a parameter that the planner looked at is bound.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        if raw.set_db_config(option, on)? != on {
            return Err(not_as_set("a connection option"));
        }
    }
    // Before anything that reads the file.
    raw.busy_timeout(BUSY_TIMEOUT)?;
    if purpose == Purpose::Write {
        // Sets it where a copying tool turned the log off; a no-op otherwise.
        raw.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    for (pragma, value) in PRAGMAS {
        set(raw, pragma, value)?;
    }
    let query_only = i64::from(purpose == Purpose::Read);
    set(raw, "query_only", query_only)?;
    set(raw, "cache_size", -CACHE_KIB)?;
    raw.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    raw.set_prepared_statement_cache_capacity(STATEMENT_CACHE_STATEMENTS);
    assert_pragmas(raw, purpose)
}

/// Fails unless every pragma has its value on this connection.
pub(super) fn assert_pragmas(raw: &Connection, purpose: Purpose) -> Result<(), SqlError> {
    let mode: String = raw.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(not_as_set("journal_mode"));
    }
    let busy_timeout_ms = i64::try_from(BUSY_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    let query_only = i64::from(purpose == Purpose::Read);
    let connection = [("busy_timeout", busy_timeout_ms), ("query_only", query_only)];
    for (pragma, wanted) in PRAGMAS.into_iter().chain(connection) {
        // A pragma of a build that lacks the feature answers with no row at all.
        let found = raw.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        match found {
            Ok(value) if value == wanted => {}
            Err(rusqlite::Error::QueryReturnedNoRows) if pragma == "mmap_size" => {}
            Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => return Err(not_as_set(pragma)),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

fn set(raw: &Connection, pragma: &str, value: i64) -> Result<(), SqlError> {
    // Some pragmas answer with a row and some do not.
    match raw.pragma_update_and_check(None, pragma, value, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

fn not_as_set(what: &str) -> SqlError {
    SqlError::own(
        super::error::SqlErrorKind::Other,
        format!("{what} did not take the value that was set"),
    )
}

/// Identifies a cartridge in bytes 68–71 of the file: "fazt" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x6661_7A74;

/// How long a connection waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_millis(5_000);

/// How many instructions of SQLite's machine go by between two looks at the clock.
const STEPS_PER_DEADLINE_CHECK: i32 = 1_000;

/// Page cache of one connection, in KiB.
const CACHE_KIB: i64 = 4_096;

/// Prepared statements that one connection keeps.
const STATEMENT_CACHE_STATEMENTS: usize = 256;

/// What the log is cut down to when it starts again, in bytes.
const JOURNAL_SIZE_LIMIT_BYTES: i64 = 64 * 1024 * 1024;

const PRAGMAS: [(&str, i64); 7] = [
    ("foreign_keys", 1),
    ("trusted_schema", 0),
    // FULL: the log is synced before a commit returns.
    ("synchronous", 2),
    ("journal_size_limit", JOURNAL_SIZE_LIMIT_BYTES),
    ("wal_autocheckpoint", 0),
    ("mmap_size", 0),
    ("cell_size_check", 1),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cartridge::Cartridge, clock::SystemClock};

    fn session(purpose: Purpose) -> (tempfile::TempDir, Session) {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.db");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Cartridge::create(&path, &clock).expect("create");
        let session = open(&path, purpose, &Arc::default(), &clock).expect("open");
        (directory, session)
    }

    #[test]
    fn every_connection_has_every_pragma() {
        for purpose in [Purpose::Write, Purpose::Read] {
            let (_directory, session) = session(purpose);
            let number = |pragma: &str| {
                let sql = format!("PRAGMA {pragma}");
                session.own_integer(&sql, &[]).expect("pragma").expect("a row")
            };
            assert_eq!(number("busy_timeout"), 5_000);
            assert_eq!(number("foreign_keys"), 1);
            assert_eq!(number("trusted_schema"), 0);
            assert_eq!(number("synchronous"), 2);
            assert_eq!(number("journal_size_limit"), 64 * 1024 * 1024);
            assert_eq!(number("wal_autocheckpoint"), 0);
            assert_eq!(number("query_only"), i64::from(purpose == Purpose::Read));
            assert_eq!(number("application_id"), i64::from(APPLICATION_ID));
            let defensive = session.raw.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE);
            assert!(defensive.expect("option"));
        }
    }

    #[test]
    fn a_pragma_that_does_not_hold_is_noticed() {
        for change in [
            "busy_timeout = 1",
            "foreign_keys = OFF",
            "trusted_schema = ON",
            "synchronous = NORMAL",
            "journal_size_limit = 5",
            "wal_autocheckpoint = 1000",
            "query_only = ON",
            "cell_size_check = OFF",
        ] {
            let (_directory, session) = session(Purpose::Write);
            assert_pragmas(&session.raw, Purpose::Write).expect("as it was opened");
            session.raw.execute_batch(&format!("PRAGMA {change}")).expect(change);
            let error = assert_pragmas(&session.raw, Purpose::Write).expect_err(change);
            let name = change.split(' ').next().expect("a name");
            assert!(error.message.contains(name), "{change}: {error}");
        }
    }

    #[test]
    fn the_catalog_cannot_be_written_even_by_the_cartridge() {
        let (_directory, session) = session(Purpose::Write);
        let hack = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema;";
        assert!(session.raw.execute_batch(hack).is_err());
    }
}
