//! The auditor: knows the tables and the acknowledgements, and nothing of how they were written.

use std::{collections::HashMap, path::Path};

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

/// Everything that was ever acknowledged: the digest of each entry's payload by its id.
#[derive(Default)]
pub(super) struct Ledger {
    acked: HashMap<String, Vec<u8>>,
}

impl Ledger {
    /// Takes down lines of the form "ack KIND ID DIGEST".
    pub(super) fn record(&mut self, lines: &[String]) {
        for line in lines {
            let mut words = line.split(' ');
            let (Some("ack"), Some(_), Some(id), Some(digest)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                panic!("not an acknowledgement: {line}");
            };
            self.acked.insert(id.to_owned(), unhex(digest));
        }
    }

    /// What is wrong with the file, in sentences.
    pub(super) fn audit(&self, file: &Path) -> Vec<String> {
        let database = Connection::open(file).unwrap();
        let mut problems = Vec::new();
        let sound: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        if sound != "ok" {
            problems.push(format!("broken: {sound}"));
        }
        let mut found = HashMap::new();
        let mut entries = database.prepare("SELECT id, payload FROM ledger_entry").unwrap();
        let mut rows = entries.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let payload: Vec<u8> = row.get(1).unwrap();
            found.insert(row.get::<_, String>(0).unwrap(), Sha256::digest(&payload).to_vec());
        }
        for (id, digest) in &self.acked {
            match found.get(id) {
                None => problems.push(format!("lost: entry {id} was acknowledged")),
                Some(other) if other != digest => problems.push(format!("changed: entry {id}")),
                Some(_) => {}
            }
        }
        for (what, sql) in WHOLE {
            let torn: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
            if torn != 0 {
                problems.push(format!("torn: {torn} times, {what}"));
            }
        }
        problems.extend(contents(&database));
        problems
    }
}

fn contents(database: &Connection) -> Vec<String> {
    let mut problems = Vec::new();
    let mut blobs =
        database.prepare("SELECT id, hash, size, data FROM blob WHERE hash IS NOT NULL").unwrap();
    let mut chunks = database
        .prepare("SELECT data FROM blob_chunk WHERE id >= ?1 * 1048576 AND id < (?1 + 1) * 1048576 ORDER BY id")
        .unwrap();
    let mut rows = blobs.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (id, hash): (i64, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
        let content = match row.get::<_, Option<Vec<u8>>>(3).unwrap() {
            Some(data) => data,
            None => chunks
                .query_map([id], |row| row.get::<_, Vec<u8>>(0))
                .unwrap()
                .flat_map(Result::unwrap)
                .collect(),
        };
        if Sha256::digest(&content).as_slice() != hash
            || content.len() as i64 != row.get::<_, i64>(2).unwrap()
        {
            problems.push(format!("torn: content {}", hex(&hash)));
        }
    }
    problems
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Statements that count what a write left half done.
const WHOLE: [(&str, &str); 8] = [
    (
        "a transfer without exactly two legs",
        "SELECT count(*) FROM ledger_entry AS e WHERE kind = 'transfer' \
         AND (SELECT count(*) FROM ledger_leg AS l WHERE l.entry = e.id) <> 2",
    ),
    (
        "a leg without its transfer",
        "SELECT count(*) FROM ledger_leg WHERE entry NOT IN (SELECT id FROM ledger_entry)",
    ),
    (
        "legs that do not cancel out",
        "SELECT count(*) FROM (SELECT entry FROM ledger_leg GROUP BY entry HAVING sum(amount) <> 0)",
    ),
    (
        "a balance that is not the sum of its legs",
        "SELECT count(*) FROM ledger_account AS a WHERE balance <> \
         (SELECT sum(amount) FROM ledger_leg AS l WHERE l.account = a.id)",
    ),
    (
        "an entry without its event",
        "SELECT count(*) FROM ledger_entry WHERE kind = 'event' \
         AND id NOT IN (SELECT CAST(payload AS TEXT) FROM event)",
    ),
    (
        "an event without its entry",
        "SELECT count(*) FROM event WHERE CAST(payload AS TEXT) NOT IN \
         (SELECT id FROM ledger_entry WHERE kind = 'event')",
    ),
    (
        "an entry without its content",
        "SELECT count(*) FROM ledger_entry WHERE kind = 'content' \
         AND blob NOT IN (SELECT hash FROM blob WHERE hash IS NOT NULL)",
    ),
    (
        "a counter that does not agree with its entries",
        "SELECT coalesce((SELECT n FROM ledger_counter), 0) <> \
         (SELECT count(*) FROM ledger_entry WHERE kind = 'counter')",
    ),
];
