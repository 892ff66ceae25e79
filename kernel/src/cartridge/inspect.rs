//! Looking at a cartridge as a whole: is it sound, and what takes up the space.

use std::{collections::BTreeMap, ops::ControlFlow};

use sha2::{Digest as _, Sha256};

use super::{
    Cartridge, Shared, background,
    blobs::{BlobHash, BlobInfo, CHUNK_BYTES, read_at},
    error::{SqlError, SqlErrorKind},
    file,
    owner::{KERNEL, Owner},
    pending::Pending,
    reader::Reader,
    schema,
    statement::Session,
};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// One sentence each; empty when the cartridge is sound. At most 100.
    pub problems: Vec<String>,
    /// How many blobs were hashed.
    pub blobs: u64,
    /// How many bytes were hashed.
    pub blob_bytes: u64,
}

/// What takes up the space of a cartridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CartridgeInfo {
    /// Length of the file, in bytes.
    pub file_bytes: u64,
    /// Length of the log, in bytes.
    pub wal_bytes: u64,
    /// Bytes in the file that are free for new content.
    pub free_bytes: u64,
    /// The kernel's schema number.
    pub schema: u32,
    /// Every owner's tables.
    pub owners: BTreeMap<String, Vec<TableInfo>>,
    /// How many blobs there are.
    pub blobs: u64,
    /// Length of all blobs, in bytes.
    pub blob_bytes: u64,
    /// How many events are kept.
    pub events: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// What it takes up with its indexes, in bytes.
    pub bytes: u64,
}

impl Cartridge {
    /// Checks the structure, every foreign key and the hash of every blob. Takes as long as reading
    /// everything does; the answer is what was found, and writers go on.
    pub fn verify(&self) -> Pending<Verification> {
        background::run(self.shared(), "verify", |shared, session| {
            let mut found = Verification::default();
            match check_structure(session, &mut found) {
                Ok(()) => {}
                Err(error) if error.kind == SqlErrorKind::Corrupt => found.note(error.message),
                Err(error) => return Err(error.into()),
            }
            match check_blobs(shared, session, &mut found) {
                Ok(()) => {}
                Err(error) if error.kind == SqlErrorKind::Corrupt => found.note(error.message),
                Err(error) => return Err(error.into()),
            }
            Ok(found)
        })
    }

    /// Sums up what the cartridge holds. Reads all of it.
    pub fn info(&self) -> Pending<CartridgeInfo> {
        background::run(self.shared(), "info", |shared, session| Ok(sum_up(shared, session)?))
    }
}

impl Verification {
    fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

fn check_structure(session: &Session, found: &mut Verification) -> Result<(), SqlError> {
    let pragma = format!("PRAGMA integrity_check({PROBLEMS_MAX})");
    session.own_query(&pragma, &[], &mut |row| {
        match row.text(0) {
            Ok("ok") => {}
            Ok(problem) => found.note(problem.to_owned()),
            Err(error) => found.note(error.message),
        }
        ControlFlow::Continue(())
    })?;
    session.own_query("PRAGMA foreign_key_check", &[], &mut |row| {
        let table = row.text(0).unwrap_or("?");
        let parent = row.text(2).unwrap_or("?");
        let rowid = row.integer(1).unwrap_or_default();
        found.note(format!(
            "row {rowid} of `{table}` refers to a row of `{parent}` that is not there"
        ));
        ControlFlow::Continue(())
    })
}

/// Hashes every blob, each in short reads, so that the log is not kept from shrinking.
fn check_blobs(
    shared: &Shared,
    session: &Session,
    found: &mut Verification,
) -> Result<(), SqlError> {
    let kernel = Owner::kernel();
    let reader = Reader::new(session, &kernel);
    let mut after = None;
    loop {
        let mut page: Vec<BlobInfo> = Vec::new();
        reader.blobs_put_before(i64::MAX, after, BLOBS_PER_PAGE, &mut |info| {
            page.push(*info);
            ControlFlow::Continue(())
        })?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.hash);
        for info in page {
            if shared.background.is_closed() {
                return Ok(());
            }
            check_blob(session, &info, found)?;
        }
    }
}

fn check_blob(
    session: &Session,
    info: &BlobInfo,
    found: &mut Verification,
) -> Result<(), SqlError> {
    let mut hasher = Sha256::new();
    let mut part = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < info.size {
        match read_at(session, info, offset, &mut part) {
            // Deleted since the page was read, or a chunk is lost: the next line tells.
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&part[..n]);
                offset += n as u64;
            }
            Err(error) if error.kind == SqlErrorKind::Corrupt => {
                found.note(error.message);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    let still_there = Reader::new(session, &Owner::kernel()).blob(info.hash)?.is_some();
    if !still_there {
        return Ok(());
    }
    found.blobs += 1;
    found.blob_bytes += offset;
    let hash = BlobHash(hasher.finalize().into());
    if offset != info.size {
        found.note(format!("blob {} lacks a part of its content", info.hash));
    } else if hash != info.hash {
        found.note(format!("the content of blob {} is that of {hash}", info.hash));
    }
    Ok(())
}

fn sum_up(shared: &Shared, session: &Session) -> Result<CartridgeInfo, SqlError> {
    let number = |sql: &str| -> Result<u64, SqlError> {
        let found = session.own_integer(sql, &[])?.unwrap_or(0);
        Ok(u64::try_from(found).unwrap_or(0))
    };
    let page_bytes = number("PRAGMA page_size")?;
    let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
    session.own_query(
        "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_schema AS s ON s.name = d.name \
         WHERE d.aggregate = TRUE GROUP BY s.tbl_name",
        &[],
        &mut |row| {
            if let (Ok(table), Ok(sum)) = (row.text(0), row.integer(1)) {
                bytes.insert(table.to_owned(), u64::try_from(sum).unwrap_or(0));
            }
            ControlFlow::Continue(())
        },
    )?;
    let mut tables = Vec::new();
    session.own_query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        &[],
        &mut |row| {
            tables.extend(row.text(0).map(ToOwned::to_owned));
            ControlFlow::Continue(())
        },
    )?;
    let mut owners: BTreeMap<String, Vec<TableInfo>> = BTreeMap::new();
    owners.insert(KERNEL.to_owned(), Vec::new());
    for name in tables {
        let quoted = name.replace('"', "\"\"");
        let rows = number(&format!("SELECT count(*) FROM \"{quoted}\""))?;
        let bytes = bytes.get(&name).copied().unwrap_or(0);
        owners.entry(shared.tables.owner_of(&name)).or_default().push(TableInfo {
            name,
            rows,
            bytes,
        });
    }
    Ok(CartridgeInfo {
        file_bytes: file::length(&shared.path),
        wal_bytes: file::length(&file::beside(&shared.path, "-wal")),
        free_bytes: number("PRAGMA freelist_count")? * page_bytes,
        schema: schema::newest(),
        owners,
        blobs: number("SELECT count(*) FROM blob WHERE hash IS NOT NULL")?,
        blob_bytes: number("SELECT coalesce(sum(size), 0) FROM blob WHERE hash IS NOT NULL")?,
        events: number("SELECT count(*) FROM event")?,
    })
}

/// Problems that one verification lists.
const PROBLEMS_MAX: usize = 100;

/// Blobs listed between two looks at whether to stop.
const BLOBS_PER_PAGE: u32 = 256;
