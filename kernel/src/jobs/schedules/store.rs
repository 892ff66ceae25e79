//! The SQL of schedules.

use fazt_sdk::services::jobs::{Missed, NewSchedule};

use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};
use crate::jobs::store::{collecting, optional_integer, signed, time_ms, time_of, unsigned};

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) app: String,
    pub(super) source: String,
    pub(super) schedule: NewSchedule,
    pub(super) paused: bool,
    pub(super) next_at_ms: Option<u64>,
    pub(super) last_at_ms: Option<u64>,
    pub(super) last_job: Option<u64>,
}

pub(crate) fn missed_name(missed: Missed) -> &'static str {
    match missed {
        Missed::Skip => "skip",
        Missed::RunOnce => "run-once",
        Missed::All => "all",
    }
}

pub(crate) fn missed_of(name: &str) -> Option<Missed> {
    [Missed::Skip, Missed::RunOnce, Missed::All].into_iter().find(|one| missed_name(*one) == name)
}

fn stored_of(row: &Row<'_>) -> Result<Stored, TxError> {
    let missed = row.text(4)?;
    let missed = missed_of(missed).ok_or_else(|| {
        TxError::Aborted(format!("the table job_schedule holds `{missed}`, which is not known"))
    })?;
    Ok(Stored {
        app: row.text(0)?.to_owned(),
        source: row.text(2)?.to_owned(),
        schedule: NewSchedule {
            name: row.text(1)?.to_owned(),
            cron: row.text(3)?.to_owned(),
            missed,
            kind: row.text(6)?.to_owned(),
            payload: row.blob(7)?.to_vec(),
            attempts_max: u32::try_from(row.integer(8)?).unwrap_or(1),
            timeout: time_of(row.integer(9)?),
        },
        paused: row.integer(5)? != 0,
        next_at_ms: optional_integer(row, 10).map(unsigned),
        last_at_ms: optional_integer(row, 11).map(unsigned),
        last_job: optional_integer(row, 12).map(unsigned),
    })
}

/// Schedules, by app and name; of one app only, if there is one.
pub(super) fn all(reader: &Reader<'_>, app: Option<&str>) -> Result<Vec<Stored>, TxError> {
    collecting(stored_of, |each| {
        reader.query(
            "SELECT app, name, source, cron, missed, paused, kind, payload, attempts_max, timeout_ms, next_at, last_at, last_job FROM job_schedule WHERE ?1 IS NULL OR app = ?1 ORDER BY app, name",
            &[Value::from(app)],
            each,
        )
    })
}

/// One schedule.
pub(super) fn one(reader: &Reader<'_>, app: &str, name: &str) -> Result<Option<Stored>, TxError> {
    let found = collecting(stored_of, |each| {
        reader.query(
            "SELECT app, name, source, cron, missed, paused, kind, payload, attempts_max, timeout_ms, next_at, last_at, last_job FROM job_schedule WHERE app = ?1 AND name = ?2",
            &[Value::Text(app), Value::Text(name)],
            each,
        )
    })?;
    Ok(found.into_iter().next())
}

/// Schedules whose moment has come, the longest due first.
pub(super) fn due(reader: &Reader<'_>, now_ms: u64, limit: u32) -> Result<Vec<Stored>, TxError> {
    collecting(stored_of, |each| {
        reader.query(
            "SELECT app, name, source, cron, missed, paused, kind, payload, attempts_max, timeout_ms, next_at, last_at, last_job FROM job_schedule WHERE next_at IS NOT NULL AND next_at <= ?1 ORDER BY next_at LIMIT ?2",
            &[Value::Integer(signed(now_ms)), Value::Integer(i64::from(limit))],
            each,
        )
    })
}

/// When the next moment of any schedule is.
pub(super) fn next(reader: &Reader<'_>) -> Result<Option<u64>, TxError> {
    let found = collecting(
        |row| Ok(optional_integer(row, 0).map(unsigned)),
        |each| {
            reader.query(
                "SELECT min(next_at) FROM job_schedule WHERE next_at IS NOT NULL",
                &[],
                each,
            )
        },
    )?;
    Ok(found.first().copied().flatten())
}

/// Adds a schedule, or changes the one of that name; its past stays.
pub(super) fn put(tx: &WriteTx<'_>, stored: &Stored) -> Result<(), SqlError> {
    let schedule = &stored.schedule;
    tx.execute(
        "INSERT INTO job_schedule (app, name, source, cron, missed, paused, kind, payload, attempts_max, timeout_ms, next_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (app, name) DO UPDATE SET source = excluded.source, cron = excluded.cron, missed = excluded.missed, paused = excluded.paused, kind = excluded.kind, payload = excluded.payload, attempts_max = excluded.attempts_max, timeout_ms = excluded.timeout_ms, next_at = excluded.next_at",
        &[
            Value::Text(&stored.app),
            Value::Text(&schedule.name),
            Value::Text(&stored.source),
            Value::Text(&schedule.cron),
            Value::Text(missed_name(schedule.missed)),
            Value::from(stored.paused),
            Value::Text(&schedule.kind),
            Value::Blob(&schedule.payload),
            Value::Integer(i64::from(schedule.attempts_max)),
            Value::Integer(time_ms(schedule.timeout)),
            Value::from(stored.next_at_ms.map(signed)),
            Value::Integer(tx.now_ms()),
        ],
    )?;
    Ok(())
}

/// Whether there was one.
pub(super) fn delete(tx: &WriteTx<'_>, app: &str, name: &str) -> Result<bool, SqlError> {
    let deleted = tx.execute(
        "DELETE FROM job_schedule WHERE app = ?1 AND name = ?2",
        &[Value::Text(app), Value::Text(name)],
    )?;
    Ok(deleted > 0)
}

/// Notes the next moment, and the latest one that led to a job.
pub(super) fn advance(
    tx: &WriteTx<'_>,
    stored: &Stored,
    next_at_ms: Option<u64>,
    made: Option<(u64, u64)>,
) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE job_schedule SET next_at = ?3, last_at = coalesce(?4, last_at), last_job = coalesce(?5, last_job) WHERE app = ?1 AND name = ?2",
        &[
            Value::Text(&stored.app),
            Value::Text(&stored.schedule.name),
            Value::from(next_at_ms.map(signed)),
            Value::from(made.map(|(at_ms, _)| signed(at_ms))),
            Value::from(made.map(|(_, job)| signed(job))),
        ],
    )?;
    Ok(())
}
