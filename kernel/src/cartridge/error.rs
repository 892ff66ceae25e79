//! What can go wrong with a cartridge, grouped by what the caller can do next.
//!
//! Three types: [`SqlError`] is one statement that failed, [`TxError`] is why a closure gave up,
//! [`CartridgeError`] is what the caller of the cartridge is told. Messages are fragments that read
//! after "failed to …".

use std::{fmt, io, path::Path, path::PathBuf, sync::Arc};

/// Why the cartridge did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CartridgeError {
    /// Nothing is there. Create a cartridge, or name another path.
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something is there already and will not be replaced. Name another path.
    Exists {
        /// What stands in the way.
        path: PathBuf,
    },
    /// The file is not a cartridge; it was not changed.
    NotACartridge {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        why: String,
    },
    /// A newer fazt wrote the file; it was not changed. Use that version, or a newer one.
    TooNew {
        /// The file.
        path: PathBuf,
        /// The schema that the file has.
        found: u32,
        /// The newest schema that this build knows.
        known: u32,
    },
    /// The schema is older than this build, and command mode does not migrate. Start the server once.
    Pending {
        /// Whose schema.
        owner: String,
        /// The first migration that has not run.
        migration: String,
    },
    /// Somebody else has the cartridge open. Talk to that process, or stop it.
    Locked {
        /// The cartridge.
        path: PathBuf,
        /// Who holds it, as far as it is known: "process 4711 (server)".
        holder: String,
    },
    /// The file has more than one name, and SQLite would keep a log for each. Remove the others.
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The machine refused; the text names the path and the cause.
    Io(String),
    /// A bounded queue is full. Nothing was done; try again later (429 or 503).
    Busy {
        /// The name and unit of the bound that was reached.
        bound: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A reader keeps the log from shrinking, and it reached its budget. Nothing was done; try again
    /// later (503).
    WalPressure {
        /// Size of the log, in bytes.
        wal_bytes: u64,
        /// Its budget, in bytes.
        budget_bytes: u64,
    },
    /// The disk is full. Nothing was done; free space, then try again (507).
    Full,
    /// The read was stopped at its limit. Ask for less, or use a scan.
    TooLong {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// The disk did not keep a promise, so nothing is acknowledged any more. Restart the process.
    Failed(Arc<str>),
    /// The cartridge is closed or closing; nothing was done.
    Closed,
    /// A closure called back into the cartridge. It would wait for itself.
    Nested,
    /// The closure panicked; nothing was done.
    Panicked,
    /// The write *is durable*, but one of its `on_commit` hooks panicked.
    HookPanicked,
    /// A schema could not be brought up to date; nothing of that migration was kept.
    Migration {
        /// Whose schema.
        owner: String,
        /// Which migration, such as `0002_add_index`.
        migration: String,
        /// What is wrong.
        why: String,
    },
    /// The content of the file contradicts itself.
    Corrupt(String),
    /// The closure returned an error; nothing of it was kept.
    Tx(TxError),
}

impl CartridgeError {
    /// Wraps an operating system error with what was being done to which path.
    pub(super) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io(format!("{doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for CartridgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => {
                write!(f, "there is no cartridge at {}", path.display())
            }
            Self::Exists { path } => {
                write!(f, "{} exists already and is left alone", path.display())
            }
            Self::NotACartridge { path, why } => {
                write!(f, "{} is not a cartridge: {why}", path.display())
            }
            Self::TooNew { path, found, known } => write!(
                f,
                "{} has schema {found} and this build knows {known}: use a newer fazt",
                path.display()
            ),
            Self::Pending { owner, migration } => write!(
                f,
                "the schema of `{owner}` lacks {migration}: start the server once to bring it up to date"
            ),
            Self::Locked { path, holder } => {
                write!(f, "{} is in use by {holder}", path.display())
            }
            Self::HardLinked { path, links } => write!(
                f,
                "{} has {links} hard links, and each name would get its own log: remove the others",
                path.display()
            ),
            Self::Io(text) => f.write_str(text),
            Self::Busy { bound, limit } => write!(f, "too much to do: {bound} reached {limit}"),
            Self::WalPressure { wal_bytes, budget_bytes } => write!(
                f,
                "the log holds {wal_bytes} bytes of at most {budget_bytes}: a reader keeps it from shrinking"
            ),
            Self::Full => f.write_str("the disk is full"),
            Self::TooLong { limit_ms } => write!(f, "reading took longer than {limit_ms} ms"),
            Self::Failed(why) => write!(f, "the cartridge stopped for good: {why}"),
            Self::Closed => f.write_str("the cartridge is closed"),
            Self::Nested => f.write_str("a closure on the cartridge called the cartridge"),
            Self::Panicked => f.write_str("the closure panicked"),
            Self::HookPanicked => f.write_str("the write was kept, but what follows it panicked"),
            Self::Migration { owner, migration, why } => {
                write!(f, "migrate `{owner}` to {migration}: {why}")
            }
            Self::Corrupt(what) => write!(f, "the cartridge contradicts itself: {what}"),
            Self::Tx(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CartridgeError {}

impl From<SqlError> for CartridgeError {
    fn from(error: SqlError) -> Self {
        match error.kind {
            SqlErrorKind::Full => Self::Full,
            SqlErrorKind::Busy => {
                Self::Busy { bound: "waiting for another process, in ms", limit: 5_000 }
            }
            _ => Self::Tx(TxError::Sql(error)),
        }
    }
}

impl From<TxError> for CartridgeError {
    fn from(error: TxError) -> Self {
        match error {
            TxError::Sql(error) => error.into(),
            TxError::Aborted(_) => Self::Tx(error),
        }
    }
}

/// Why a closure gave up. Returning one undoes what the closure did, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxError {
    /// A statement failed.
    Sql(SqlError),
    /// The closure itself decided so, for the reason given.
    Aborted(String),
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Aborted(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TxError {}

impl From<SqlError> for TxError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// One statement that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What the caller can do about it.
    pub kind: SqlErrorKind,
    /// SQLite's extended result code, 0 when SQLite was not asked.
    pub code: i32,
    /// One sentence for a person; never contains parameter values.
    pub message: String,
}

/// Groups of failures of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqlErrorKind {
    /// A UNIQUE or PRIMARY KEY constraint refused the row.
    Unique,
    /// Another constraint refused the row: CHECK, NOT NULL, foreign key, type of a STRICT table.
    Constraint,
    /// The owner may not do this; the message names the table and whose it is.
    Denied,
    /// The statement is wrong: syntax, unknown names, number of parameters, more than one statement.
    Usage,
    /// The disk, or the size set for the cartridge, is full.
    Full,
    /// The machine refused to read or write.
    Io,
    /// Another process holds SQLite's lock.
    Busy,
    /// The time for reading is over.
    Interrupted,
    /// The transaction is gone; return the error at once, the closure may run again.
    RolledBack,
    /// A value is larger than SQLite stores.
    TooBig,
    /// The file contradicts itself.
    Corrupt,
    /// Anything else.
    Other,
}

impl SqlError {
    /// An error that SQLite was not asked about.
    pub(super) fn own(kind: SqlErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: 0, message: message.into() }
    }

    /// Whether the disk failed to make data durable, after which nothing may be acknowledged.
    pub(super) fn is_failed_sync(&self) -> bool {
        use rusqlite::ffi;
        matches!(self.code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        let code = match &error {
            rusqlite::Error::SqlInputError { error, .. } => error.extended_code,
            other => other.sqlite_error().map_or(0, |e| e.extended_code),
        };
        let message = match error {
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
            rusqlite::Error::SqliteFailure(_, Some(text)) => text,
            rusqlite::Error::MultipleStatement => {
                return Self::own(SqlErrorKind::Usage, "one call takes one statement");
            }
            other => other.to_string(),
        };
        Self { kind: kind_of(code), code, message }
    }
}

fn kind_of(code: i32) -> SqlErrorKind {
    use rusqlite::ffi;
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => return SqlErrorKind::Unique,
        // Growing the shared index of the log on a full disk is reported this way.
        ffi::SQLITE_IOERR_SHMSIZE => return SqlErrorKind::Full,
        _ => {}
    }
    match code & 0xff {
        ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => SqlErrorKind::Constraint,
        ffi::SQLITE_AUTH | ffi::SQLITE_READONLY => SqlErrorKind::Denied,
        ffi::SQLITE_ERROR | ffi::SQLITE_RANGE | ffi::SQLITE_MISUSE => SqlErrorKind::Usage,
        ffi::SQLITE_FULL => SqlErrorKind::Full,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => SqlErrorKind::Io,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => SqlErrorKind::Busy,
        ffi::SQLITE_INTERRUPT => SqlErrorKind::Interrupted,
        ffi::SQLITE_TOOBIG => SqlErrorKind::TooBig,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => SqlErrorKind::Corrupt,
        _ => SqlErrorKind::Other,
    }
}
