//! Bringing an owner's tables up to date.
//!
//! A migration is one file of SQL and one transaction. A ledger in the cartridge remembers which ran
//! and what their text was: a text that changed after it ran is refused, and so is a ledger that knows
//! more than the list, because then a newer build wrote the tables.
//!
//! What is refused concerns its owner only. The kernel's own list is also the cartridge's schema
//! number, which is looked at before SQLite opens the file.

use std::{collections::HashSet, ops::ControlFlow};

use sha2::{Digest as _, Sha256};

use super::{
    access::Access,
    error::{CartridgeError, SqlError, SqlErrorKind},
    open::APPLICATION_ID,
    owner::{Owner, Role},
    statement::Session,
    value::Value,
};

/// One step of a schema. Its place in the owner's list is its number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration<'a> {
    /// `NNNN_what`, where NNNN is the number.
    pub name: &'a str,
    /// The statements, usually embedded with `include_str!`.
    pub sql: &'a str,
}

/// Embeds a migration: `migration!("0001_create_file", "path/to/0001_create_file.sql")`.
#[macro_export]
macro_rules! cartridge_migration {
    ($name:literal, $path:literal) => {
        $crate::cartridge::Migration { name: $name, sql: include_str!($path) }
    };
}
pub use crate::cartridge_migration as migration;

/// Whether migrations that have not run are run or reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Run,
    Report,
}

/// Brings the owner's tables up to date; returns how many migrations ran.
pub(super) fn migrate(
    session: &Session,
    owner: &Owner,
    wanted: &[Migration<'_>],
    missing: Missing,
    now_ms: i64,
) -> Result<usize, CartridgeError> {
    let applied = ledger(session, owner)?;
    check_names(owner, wanted)?;
    for (number, found) in applied.iter().enumerate() {
        let Some(Migration { name, sql }) = wanted.get(number) else {
            return Err(refusal(
                owner,
                &found.name,
                "it ran under a newer version of this owner, which this build does not know",
            ));
        };
        if found.name != *name || found.sha256 != sha256(sql) {
            return Err(refusal(
                owner,
                name,
                "its text was edited after it ran; add a new migration instead",
            ));
        }
    }
    if applied.is_empty() && owner.role() == Role::Plugin {
        refuse_taken_prefix(session, owner)?;
    }
    let pending = wanted.get(applied.len()..).unwrap_or_default();
    if let (Missing::Report, Some(first)) = (missing, pending.first()) {
        return Err(CartridgeError::Pending {
            owner: owner.name().to_owned(),
            migration: first.name.to_owned(),
        });
    }
    for (place, Migration { name, sql }) in pending.iter().enumerate() {
        let number = applied.len() + place + 1;
        apply(session, owner, number, name, sql, now_ms)
            .map_err(|e| refusal(owner, name, &e.to_string()))?;
    }
    Ok(pending.len())
}

/// One entry of the ledger.
struct Applied {
    name: String,
    sha256: Vec<u8>,
}

fn ledger(session: &Session, owner: &Owner) -> Result<Vec<Applied>, SqlError> {
    let exists = session.own_integer(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'",
        &[],
    )?;
    let mut applied = Vec::new();
    if exists.is_some() {
        session.own_query(
            "SELECT name, sha256 FROM migration WHERE owner = ?1 ORDER BY number",
            &[Value::Text(owner.name())],
            &mut |row| {
                if let (Ok(name), Ok(sha256)) = (row.text(0), row.blob(1)) {
                    applied.push(Applied { name: name.to_owned(), sha256: sha256.to_vec() });
                }
                ControlFlow::Continue(())
            },
        )?;
    }
    Ok(applied)
}

/// Runs one migration and writes it down, in one transaction.
fn apply(
    session: &Session,
    owner: &Owner,
    number: usize,
    name: &str,
    sql: &str,
    now_ms: i64,
) -> Result<(), SqlError> {
    session.own_execute("BEGIN IMMEDIATE", &[])?;
    let steps = || -> Result<(), SqlError> {
        {
            let _entered = session.enter(Access::Schema(owner.clone()));
            session.raw.execute_batch(sql).map_err(|e| session.error(e))?;
        }
        refuse_foreign_references(session, owner)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        session.own_execute(
            "INSERT INTO migration (owner, number, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                Value::Text(owner.name()),
                Value::Integer(number),
                Value::Text(name),
                Value::Blob(&sha256(sql)),
                Value::Integer(now_ms),
            ],
        )?;
        if owner.role() == Role::Kernel {
            let _entered = session.enter(Access::Cartridge);
            session.raw.pragma_update(None, "application_id", APPLICATION_ID)?;
            session.raw.pragma_update(None, "user_version", number)?;
        }
        session.own_execute("COMMIT", &[])?;
        Ok(())
    };
    let result = steps();
    if result.is_err() && !session.raw.is_autocommit() {
        session.own_execute("ROLLBACK", &[])?;
    }
    result
}

/// A foreign key to somebody else's table would let one owner stop another from deleting.
fn refuse_foreign_references(session: &Session, owner: &Owner) -> Result<(), SqlError> {
    if owner.role() != Role::Plugin {
        return Ok(());
    }
    let mut refusal = None;
    session.own_query(
        "SELECT t.name, k.\"table\" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k \
         WHERE t.type = 'table'",
        &[],
        &mut |row| {
            if let (Ok(table), Ok(target)) = (row.text(0), row.text(1))
                && owner.prefixes(table)
                && !owner.prefixes(target)
            {
                refusal = Some(format!(
                    "`{table}` refers to `{target}`, which does not belong to `{owner}`"
                ));
            }
            ControlFlow::Continue(())
        },
    )?;
    refusal.map_or(Ok(()), |sentence| Err(SqlError::own(SqlErrorKind::Denied, sentence)))
}

/// A plugin called like the first word of an existing table would own that table.
fn refuse_taken_prefix(session: &Session, owner: &Owner) -> Result<(), CartridgeError> {
    let mut taken = None;
    session.own_query("SELECT name FROM sqlite_schema", &[], &mut |row| {
        if let Ok(name) = row.text(0)
            && owner.prefixes(name)
        {
            taken = Some(name.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    match taken {
        None => Ok(()),
        Some(table) => Err(CartridgeError::Migration {
            owner: owner.name().to_owned(),
            migration: "its first migration".to_owned(),
            why: format!("the name is taken: `{table}` exists and is not its own"),
        }),
    }
}

fn check_names(owner: &Owner, wanted: &[Migration<'_>]) -> Result<(), CartridgeError> {
    for (place, Migration { name, .. }) in wanted.iter().enumerate() {
        if !name.starts_with(&format!("{:04}_", place + 1)) {
            return Err(refusal(
                owner,
                name,
                &format!("migration number {} has to be called {:04}_what", place + 1, place + 1),
            ));
        }
    }
    Ok(())
}

/// Tells the gates which tables and which owners there are.
pub(super) fn learn_names(
    session: &Session,
) -> Result<(HashSet<String>, HashSet<String>), SqlError> {
    let mut tables = HashSet::new();
    session.own_query(
        "SELECT lower(name) FROM sqlite_schema WHERE type IN ('table', 'view')",
        &[],
        &mut |row| {
            tables.extend(row.text(0).map(ToOwned::to_owned));
            ControlFlow::Continue(())
        },
    )?;
    let mut plugins = HashSet::new();
    if tables.contains("migration") {
        session.own_query(
            "SELECT DISTINCT owner FROM migration WHERE owner <> 'kernel'",
            &[],
            &mut |row| {
                plugins.extend(row.text(0).map(ToOwned::to_owned));
                ControlFlow::Continue(())
            },
        )?;
    }
    Ok((tables, plugins))
}

fn refusal(owner: &Owner, migration: &str, why: &str) -> CartridgeError {
    CartridgeError::Migration {
        owner: owner.name().to_owned(),
        migration: migration.to_owned(),
        why: why.to_owned(),
    }
}

fn sha256(sql: &str) -> [u8; 32] {
    Sha256::digest(sql.as_bytes()).into()
}
