//! The SQL of the directory.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use fazt_sdk::AppId;

use super::{Alias, App, Domain, LeadsTo, Share, Snapshot, Target};
use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};

fn app_of(row: &Row<'_>) -> Result<App, TxError> {
    let id = row.text(0)?;
    Ok(App {
        id: app_id(id)?,
        name: row.text(1)?.to_owned(),
        created_at_ms: unsigned(row.integer(2)?),
        forked_from: optional_text(row, 3)?.map(app_id).transpose()?,
    })
}

fn alias_of(row: &Row<'_>) -> Result<Alias, TxError> {
    let target = match row.text(1)? {
        "app" => Target::App(app_id(row.text(2)?)?),
        "redirect" => Target::Redirect(Arc::from(row.text(3)?)),
        "reserved" => Target::Reserved,
        // Its shares lie in a table of their own.
        "split" => Target::Split(Arc::default()),
        other => return Err(unknown_kind(other)),
    };
    Ok(Alias { name: row.text(0)?.to_owned(), target, created_at_ms: unsigned(row.integer(4)?) })
}

fn share_of(row: &Row<'_>) -> Result<(String, Share), TxError> {
    let weight = u8::try_from(row.integer(2)?).unwrap_or(0);
    Ok((row.text(0)?.to_owned(), Share { app: app_id(row.text(1)?)?, weight }))
}

fn domain_of(row: &Row<'_>) -> Result<Domain, TxError> {
    let leads_to = match (optional_text(row, 1)?, optional_text(row, 2)?) {
        (Some(app), None) => LeadsTo::App(app_id(app)?),
        (None, Some(host)) => LeadsTo::Host(Arc::from(host)),
        _ => return Err(TxError::Aborted("a row of the table domain leads nowhere".to_owned())),
    };
    Ok(Domain {
        name: row.text(0)?.to_owned(),
        leads_to,
        created_at_ms: unsigned(row.integer(3)?),
        verified_at_ms: optional_integer(row, 4).map(unsigned),
        checked_at_ms: optional_integer(row, 5).map(unsigned),
        problem: optional_text(row, 6)?.map(str::to_owned),
    })
}

fn unknown_kind(kind: &str) -> TxError {
    TxError::Aborted(format!(
        "the table alias holds the kind `{kind}`, which this version does not know"
    ))
}

fn app_id(text: &str) -> Result<AppId, TxError> {
    text.parse().map_err(|_| {
        TxError::Aborted(format!("the directory holds `{text}` where an app id should be"))
    })
}

fn optional_text<'r>(row: &Row<'r>, index: usize) -> Result<Option<&'r str>, TxError> {
    match row.value(index) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => Ok(Some(row.text(index)?)),
    }
}

fn optional_integer(row: &Row<'_>, index: usize) -> Option<i64> {
    match row.value(index) {
        Some(Value::Integer(number)) => Some(number),
        _ => None,
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Collects mapped rows; the first bad row ends it.
fn collect<T>(
    reader: &Reader<'_>,
    sql: &str,
    params: &[Value<'_>],
    map: impl Fn(&Row<'_>) -> Result<T, TxError>,
) -> Result<Vec<T>, TxError> {
    let mut rows = Ok(Vec::new());
    reader.query(sql, params, &mut |row| match (&mut rows, map(row)) {
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
    let apps = collect(reader, "SELECT id, name, created_at, forked_from FROM app", &[], app_of)?;
    let mut aliases =
        collect(reader, "SELECT name, kind, app, target, created_at FROM alias", &[], alias_of)?;
    let shares = collect(
        reader,
        "SELECT alias, app, weight FROM alias_split ORDER BY alias, weight DESC, app",
        &[],
        share_of,
    )?;
    let mut shares_of: HashMap<String, Vec<Share>> = HashMap::new();
    for (alias, share) in shares {
        shares_of.entry(alias).or_default().push(share);
    }
    for alias in &mut aliases {
        if let Target::Split(shares) = &mut alias.target {
            *shares = shares_of.remove(&alias.name).unwrap_or_default().into();
        }
    }
    let domains = collect(
        reader,
        "SELECT name, app, redirect_to, created_at, verified_at, checked_at, problem FROM domain",
        &[],
        domain_of,
    )?;
    Ok(Snapshot {
        apps: Arc::new(apps.into_iter().map(|app| (app.id, Arc::new(app))).collect()),
        aliases: Arc::new(
            aliases.into_iter().map(|alias| (alias.name.clone(), Arc::new(alias))).collect(),
        ),
        domains: Arc::new(
            domains.into_iter().map(|domain| (domain.name.clone(), Arc::new(domain))).collect(),
        ),
    })
}

/// One alias.
pub(super) fn alias(tx: &WriteTx<'_>, name: &str) -> Result<Option<Alias>, TxError> {
    let found = collect(
        &tx.reader(),
        "SELECT name, kind, app, target, created_at FROM alias WHERE name = ?1",
        &[Value::Text(name)],
        alias_of,
    )?;
    let Some(mut alias) = found.into_iter().next() else { return Ok(None) };
    if let Target::Split(shares) = &mut alias.target {
        let found = collect(
            &tx.reader(),
            "SELECT alias, app, weight FROM alias_split WHERE alias = ?1 ORDER BY weight DESC, app",
            &[Value::Text(name)],
            share_of,
        )?;
        *shares = found.into_iter().map(|(_, share)| share).collect();
    }
    Ok(Some(alias))
}

/// One app.
pub(super) fn app(tx: &WriteTx<'_>, id: AppId) -> Result<Option<App>, TxError> {
    let found = collect(
        &tx.reader(),
        "SELECT id, name, created_at, forked_from FROM app WHERE id = ?1",
        &[Value::Text(&id.to_string())],
        app_of,
    )?;
    Ok(found.into_iter().next())
}

/// One domain.
pub(super) fn domain(tx: &WriteTx<'_>, name: &str) -> Result<Option<Domain>, TxError> {
    let found = collect(
        &tx.reader(),
        "SELECT name, app, redirect_to, created_at, verified_at, checked_at, problem FROM domain WHERE name = ?1",
        &[Value::Text(name)],
        domain_of,
    )?;
    Ok(found.into_iter().next())
}

/// The name of a domain that redirects to `host`.
pub(super) fn domain_redirecting_to(
    tx: &WriteTx<'_>,
    host: &str,
) -> Result<Option<String>, TxError> {
    first_text(tx, "SELECT name FROM domain WHERE redirect_to = ?1 LIMIT 1", host)
}

/// The name of a split that sends visitors to `app`.
pub(super) fn split_with(tx: &WriteTx<'_>, app: AppId) -> Result<Option<String>, TxError> {
    first_text(tx, "SELECT alias FROM alias_split WHERE app = ?1 LIMIT 1", &app.to_string())
}

fn first_text(tx: &WriteTx<'_>, sql: &str, param: &str) -> Result<Option<String>, TxError> {
    let found =
        collect(&tx.reader(), sql, &[Value::Text(param)], |row| Ok(row.text(0)?.to_owned()))?;
    Ok(found.into_iter().next())
}

/// How many apps there are.
pub(super) fn apps(tx: &WriteTx<'_>) -> Result<u64, TxError> {
    count(tx, "SELECT count(*) FROM app")
}

/// How many aliases there are.
pub(super) fn aliases(tx: &WriteTx<'_>) -> Result<u64, TxError> {
    count(tx, "SELECT count(*) FROM alias")
}

/// How many domains there are.
pub(super) fn domains(tx: &WriteTx<'_>) -> Result<u64, TxError> {
    count(tx, "SELECT count(*) FROM domain")
}

fn count(tx: &WriteTx<'_>, sql: &str) -> Result<u64, TxError> {
    let found = collect(&tx.reader(), sql, &[], |row| Ok(unsigned(row.integer(0)?)))?;
    Ok(found.into_iter().next().unwrap_or(0))
}

pub(super) fn insert_app(tx: &WriteTx<'_>, app: &App) -> Result<(), SqlError> {
    let forked_from = app.forked_from.map(|id| id.to_string());
    tx.execute(
        "INSERT INTO app (id, name, created_at, forked_from) VALUES (?1, ?2, ?3, ?4)",
        &[
            Value::Text(&app.id.to_string()),
            Value::Text(&app.name),
            Value::Integer(signed(app.created_at_ms)),
            Value::from(forked_from.as_deref()),
        ],
    )?;
    Ok(())
}

/// Inserts an alias, or makes the one of that name lead where this one does.
pub(super) fn put_alias(tx: &WriteTx<'_>, alias: &Alias) -> Result<(), SqlError> {
    let id;
    let (kind, app, target) = match &alias.target {
        Target::App(app) => {
            id = app.to_string();
            ("app", Value::Text(&id), Value::Null)
        }
        Target::Redirect(url) => ("redirect", Value::Null, Value::Text(url)),
        Target::Reserved => ("reserved", Value::Null, Value::Null),
        Target::Split(_) => ("split", Value::Null, Value::Null),
    };
    delete_alias(tx, &alias.name)?;
    let created = signed(alias.created_at_ms);
    tx.execute(
        "INSERT INTO alias (name, kind, app, target, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[Value::Text(&alias.name), Value::Text(kind), app, target, Value::Integer(created)],
    )?;
    if let Target::Split(shares) = &alias.target {
        for share in shares.iter() {
            tx.execute(
                "INSERT INTO alias_split (alias, app, weight) VALUES (?1, ?2, ?3)",
                &[
                    Value::Text(&alias.name),
                    Value::Text(&share.app.to_string()),
                    Value::Integer(i64::from(share.weight)),
                ],
            )?;
        }
    }
    Ok(())
}

/// Whether there was one; the shares of a split go with it.
pub(super) fn delete_alias(tx: &WriteTx<'_>, name: &str) -> Result<bool, SqlError> {
    Ok(tx.execute("DELETE FROM alias WHERE name = ?1", &[Value::Text(name)])? > 0)
}

/// Whether there was one; its aliases and domains go with it.
pub(super) fn delete_app(tx: &WriteTx<'_>, id: AppId) -> Result<bool, SqlError> {
    Ok(tx.execute("DELETE FROM app WHERE id = ?1", &[Value::Text(&id.to_string())])? > 0)
}

pub(super) fn insert_domain(tx: &WriteTx<'_>, domain: &Domain) -> Result<(), SqlError> {
    let id;
    let (app, host) = match &domain.leads_to {
        LeadsTo::App(app) => {
            id = app.to_string();
            (Value::Text(&id), Value::Null)
        }
        LeadsTo::Host(host) => (Value::Null, Value::Text(host)),
    };
    tx.execute(
        "INSERT INTO domain (name, app, redirect_to, created_at) VALUES (?1, ?2, ?3, ?4)",
        &[Value::Text(&domain.name), app, host, Value::Integer(signed(domain.created_at_ms))],
    )?;
    Ok(())
}

/// Notes what a check found.
pub(super) fn update_domain_check(tx: &WriteTx<'_>, domain: &Domain) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE domain SET verified_at = ?2, checked_at = ?3, problem = ?4 WHERE name = ?1",
        &[
            Value::Text(&domain.name),
            Value::from(domain.verified_at_ms.map(signed)),
            Value::from(domain.checked_at_ms.map(signed)),
            Value::from(domain.problem.as_deref()),
        ],
    )?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete_domain(tx: &WriteTx<'_>, name: &str) -> Result<bool, SqlError> {
    Ok(tx.execute("DELETE FROM domain WHERE name = ?1", &[Value::Text(name)])? > 0)
}
