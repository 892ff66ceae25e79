//! What lies in a cartridge, read by somebody who knows its tables and nothing else of the program.

use std::path::Path;

use rusqlite::Connection;

/// A copy of the files of a cartridge, as a crash left them, opened. The copy goes with the directory.
///
/// # Panics
/// When there is no such file.
#[must_use]
pub fn copy_of(db: &Path) -> (Connection, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.db");
    std::fs::copy(db, &copy).unwrap();
    let mut log = db.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        std::fs::copy(log, directory.path().join("copy.db-wal")).unwrap();
    }
    (Connection::open(copy).unwrap(), directory)
}

/// What is broken in the database itself, in sentences.
///
/// # Panics
/// When it cannot be asked.
#[must_use]
pub fn soundness(database: &Connection) -> Vec<String> {
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    let mut problems = Vec::new();
    if sound != "ok" {
        problems.push(format!("broken: {sound}"));
    }
    let orphans: i64 = database
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    if orphans != 0 {
        problems.push(format!("broken: {orphans} rows refer to nothing"));
    }
    problems
}

/// The content with that hash.
///
/// # Panics
/// When the tables are not as they should be.
#[must_use]
pub fn content_of(database: &Connection, hash: &[u8]) -> Option<Vec<u8>> {
    let (id, data): (i64, Option<Vec<u8>>) = database
        .query_row("SELECT id, data FROM blob WHERE hash = ?1", [hash], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .ok()?;
    if data.is_some() {
        return data;
    }
    let mut chunks = database
        .prepare_cached(
            "SELECT data FROM blob_chunk WHERE id >= ?1 * 1048576 AND id < (?1 + 1) * 1048576 \
             ORDER BY id",
        )
        .unwrap();
    let chunks = chunks.query_map([id], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    Some(chunks.flat_map(Result::unwrap).collect())
}
