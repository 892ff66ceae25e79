//! The SQL of the directory.

use std::ops::ControlFlow;
use std::sync::Arc;

use fazt_sdk::AppId;

use super::{Alias, App, Snapshot, Target};
use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};

fn app_of(row: &Row<'_>) -> Result<App, TxError> {
    let id = row.text(0)?;
    Ok(App {
        id: app_id(id)?,
        name: row.text(1)?.to_owned(),
        created_at_ms: unsigned(row.integer(2)?),
    })
}

fn alias_of(row: &Row<'_>) -> Result<Alias, TxError> {
    Ok(Alias {
        name: row.text(0)?.to_owned(),
        target: target_of(row, 1)?,
        created_at_ms: unsigned(row.integer(4)?),
    })
}

/// Columns kind, app and target, from `first` on.
fn target_of(row: &Row<'_>, first: usize) -> Result<Target, TxError> {
    match row.text(first)? {
        "app" => Ok(Target::App(app_id(row.text(first + 1)?)?)),
        "redirect" => Ok(Target::Redirect(Arc::from(row.text(first + 2)?))),
        "reserved" => Ok(Target::Reserved),
        other => Err(TxError::Aborted(format!(
            "the table alias holds the kind `{other}`, which this version does not know"
        ))),
    }
}

fn app_id(text: &str) -> Result<AppId, TxError> {
    text.parse().map_err(|_| {
        TxError::Aborted(format!("the directory holds `{text}` where an app id should be"))
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Collects mapped rows; the first bad row ends it.
fn collect<T>(
    run: impl FnOnce(&mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), SqlError>,
    map: impl Fn(&Row<'_>) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let mut rows = Ok(Vec::new());
    run(&mut |row| match (&mut rows, map(row)) {
        (Ok(rows), Ok(value)) => {
            rows.push(value);
            ControlFlow::Continue(())
        }
        (_, Err(error)) => {
            rows = Err(error);
            ControlFlow::Break(())
        }
        (Err(_), _) => ControlFlow::Break(()),
    })?;
    rows
}

/// The whole directory.
pub(super) fn snapshot(reader: &Reader<'_>) -> Result<Snapshot, TxError> {
    let apps =
        collect(|each| reader.query("SELECT id, name, created_at FROM app", &[], each), app_of)?;
    let aliases = collect(
        |each| reader.query("SELECT name, kind, app, target, created_at FROM alias", &[], each),
        alias_of,
    )?;
    Ok(Snapshot {
        apps: apps.into_iter().map(|app| (app.id, app)).collect(),
        aliases: aliases.into_iter().map(|alias| (alias.name.clone(), alias)).collect(),
    })
}

/// What alias `name` leads to.
pub(super) fn alias_target(tx: &WriteTx<'_>, name: &str) -> Result<Option<Target>, TxError> {
    let found = collect(
        |each| {
            tx.query(
                "SELECT kind, app, target FROM alias WHERE name = ?1",
                &[Value::Text(name)],
                each,
            )
        },
        |row| target_of(row, 0),
    )?;
    Ok(found.into_iter().next())
}

/// One app.
pub(super) fn app(tx: &WriteTx<'_>, id: AppId) -> Result<Option<App>, TxError> {
    let id = id.to_string();
    let found = collect(
        |each| {
            tx.query(
                "SELECT id, name, created_at FROM app WHERE id = ?1",
                &[Value::Text(&id)],
                each,
            )
        },
        app_of,
    )?;
    Ok(found.into_iter().next())
}

pub(super) fn insert_app(tx: &WriteTx<'_>, app: &App) -> Result<(), TxError> {
    let created = i64::try_from(app.created_at_ms).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO app (id, name, created_at) VALUES (?1, ?2, ?3)",
        &[Value::Text(&app.id.to_string()), Value::Text(&app.name), Value::Integer(created)],
    )?;
    Ok(())
}

pub(super) fn insert_alias(tx: &WriteTx<'_>, alias: &Alias) -> Result<(), TxError> {
    let id;
    let (kind, app, target) = match &alias.target {
        Target::App(app) => {
            id = app.to_string();
            ("app", Value::Text(&id), Value::Null)
        }
        Target::Redirect(url) => ("redirect", Value::Null, Value::Text(url)),
        Target::Reserved => ("reserved", Value::Null, Value::Null),
    };
    let created = i64::try_from(alias.created_at_ms).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO alias (name, kind, app, target, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[Value::Text(&alias.name), Value::Text(kind), app, target, Value::Integer(created)],
    )?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete_alias(tx: &WriteTx<'_>, name: &str) -> Result<bool, TxError> {
    Ok(tx.execute("DELETE FROM alias WHERE name = ?1", &[Value::Text(name)])? > 0)
}

/// Whether there was one; its aliases go with it.
pub(super) fn delete_app(tx: &WriteTx<'_>, id: AppId) -> Result<bool, TxError> {
    Ok(tx.execute("DELETE FROM app WHERE id = ?1", &[Value::Text(&id.to_string())])? > 0)
}
