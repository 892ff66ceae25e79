//! The SQL of the rules about where apps may connect to.

use std::ops::ControlFlow;

use fazt_sdk::AppId;

use super::rules::{Pattern, Rule};
use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};

fn rule_of(row: &Row<'_>) -> Result<Rule, TxError> {
    let app = row.text(0)?;
    let app = match app {
        "" => None,
        id => Some(id.parse().map_err(|_| {
            TxError::Aborted(format!(
                "the table egress_rule holds `{id}` where an app id should be"
            ))
        })?),
    };
    Ok(Rule {
        app,
        pattern: Pattern::stored(row.text(1)?, u16::try_from(row.integer(2)?).unwrap_or(0)),
        plain: row.integer(3)? != 0,
        created_at_ms: u64::try_from(row.integer(4)?).unwrap_or(0),
    })
}

fn key(app: Option<AppId>) -> String {
    app.map(|app| app.to_string()).unwrap_or_default()
}

/// All rules, by app and host.
pub(super) fn all(reader: &Reader<'_>) -> Result<Vec<Rule>, TxError> {
    let mut rules = Ok(Vec::new());
    reader.query(
        "SELECT app, host, port, plain, created_at FROM egress_rule ORDER BY app, host, port",
        &[],
        &mut |row| match (&mut rules, rule_of(row)) {
            (Ok(rules), Ok(rule)) => {
                rules.push(rule);
                ControlFlow::Continue(())
            }
            (rules, Err(error)) => {
                *rules = Err(error);
                ControlFlow::Break(())
            }
            (Err(_), Ok(_)) => ControlFlow::Break(()),
        },
    )?;
    rules
}

/// Adds a rule, or changes the one that is there.
pub(super) fn put(tx: &WriteTx<'_>, rule: &Rule) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO egress_rule (app, host, port, plain, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (app, host, port) DO UPDATE SET plain = excluded.plain",
        &[
            Value::Text(&key(rule.app)),
            Value::Text(&rule.pattern.host()),
            Value::Integer(i64::from(rule.pattern.port())),
            Value::from(rule.plain),
            Value::Integer(i64::try_from(rule.created_at_ms).unwrap_or(i64::MAX)),
        ],
    )?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete(
    tx: &WriteTx<'_>,
    app: Option<AppId>,
    pattern: &Pattern,
) -> Result<bool, SqlError> {
    let deleted = tx.execute(
        "DELETE FROM egress_rule WHERE app = ?1 AND host = ?2 AND port = ?3",
        &[
            Value::Text(&key(app)),
            Value::Text(&pattern.host()),
            Value::Integer(i64::from(pattern.port())),
        ],
    )?;
    Ok(deleted > 0)
}

/// Removes the rules of an app, with the app.
pub(super) fn delete_app(tx: &WriteTx<'_>, app: AppId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM egress_rule WHERE app = ?1", &[Value::Text(&app.to_string())])?;
    Ok(())
}
