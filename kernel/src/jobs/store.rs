//! The SQL of jobs.

use std::ops::ControlFlow;

use fazt_sdk::AppId;
use fazt_sdk::services::jobs::{Job, JobFilter, JobLine, JobState, LeasedJob, NewJob};
use std::time::Duration;

use crate::cartridge::{Reader, Row, SqlError, TxError, Value, WriteTx};

/// How an app is kept; what is the node's own has a name that no app id is.
pub(super) fn key(app: Option<AppId>) -> String {
    app.map_or_else(|| NODE.to_owned(), |app| app.to_string())
}

/// The app of a key.
pub(super) fn app_of(key: &str) -> Option<AppId> {
    key.parse().ok()
}

const NODE: &str = "-";

pub(crate) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "waiting",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Dead => "dead",
        JobState::Cancelled => "cancelled",
    }
}

pub(crate) fn state_of(name: &str) -> Option<JobState> {
    use JobState::{Cancelled, Dead, Done, Running, Waiting};
    [Waiting, Running, Done, Dead, Cancelled].into_iter().find(|state| state_name(*state) == name)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn optional_integer(row: &Row<'_>, index: usize) -> Option<i64> {
    match row.value(index) {
        Some(Value::Integer(number)) => Some(number),
        _ => None,
    }
}

fn optional_text(row: &Row<'_>, index: usize) -> Option<String> {
    match row.value(index) {
        Some(Value::Text(text)) => Some(text.to_owned()),
        _ => None,
    }
}

fn optional_bytes(row: &Row<'_>, index: usize) -> Option<Vec<u8>> {
    match row.value(index) {
        Some(Value::Blob(bytes)) => Some(bytes.to_vec()),
        _ => None,
    }
}

/// Milliseconds; 0 for no bound.
pub(super) fn time_ms(time: Option<Duration>) -> i64 {
    time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1))
}

pub(super) fn time_of(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// What decides about a job that a worker speaks of.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) app: String,
    pub(super) state: JobState,
    pub(super) lease: u64,
    pub(super) attempt: u32,
    pub(super) attempts_max: u32,
    pub(super) backoff: Duration,
    pub(super) daemon: bool,
    pub(super) cancelling: bool,
    pub(super) started_at_ms: u64,
}

fn standing_of(row: &Row<'_>) -> Result<Standing, TxError> {
    Ok(Standing {
        app: row.text(0)?.to_owned(),
        state: known_state(row.text(1)?)?,
        lease: unsigned(row.integer(2)?),
        attempt: small(row.integer(3)?),
        attempts_max: small(row.integer(4)?),
        backoff: Duration::from_millis(unsigned(row.integer(5)?)),
        daemon: row.integer(6)? != 0,
        cancelling: row.integer(7)? != 0,
        started_at_ms: optional_integer(row, 8).map_or(0, unsigned),
    })
}

fn known_state(name: &str) -> Result<JobState, TxError> {
    state_of(name).ok_or_else(|| {
        TxError::Aborted(format!("the table job holds the state `{name}`, which is not known"))
    })
}

fn job_of(row: &Row<'_>) -> Result<Job, TxError> {
    Ok(Job {
        id: unsigned(row.integer(0)?),
        app: app_of(row.text(1)?),
        kind: row.text(2)?.to_owned(),
        state: known_state(row.text(3)?)?,
        payload: row.blob(4)?.to_vec(),
        unique_key: optional_text(row, 5),
        schedule: optional_text(row, 6),
        attempt: small(row.integer(7)?),
        attempts_max: small(row.integer(8)?),
        daemon: row.integer(9)? != 0,
        progress: small(row.integer(10)?),
        result: optional_bytes(row, 11),
        problem: optional_text(row, 12),
        cancelling: row.integer(13)? != 0,
        run_at_ms: unsigned(row.integer(14)?),
        created_at_ms: unsigned(row.integer(15)?),
        started_at_ms: optional_integer(row, 16).map(unsigned),
        finished_at_ms: optional_integer(row, 17).map(unsigned),
    })
}

fn leased_of(row: &Row<'_>) -> Result<LeasedJob, TxError> {
    Ok(LeasedJob {
        id: unsigned(row.integer(0)?),
        lease: unsigned(row.integer(1)?),
        app: app_of(row.text(2)?),
        payload: row.blob(3)?.to_vec(),
        attempt: small(row.integer(4)?),
        checkpoint: optional_bytes(row, 5),
        run_at_ms: unsigned(row.integer(6)?),
        schedule: optional_text(row, 7),
        timeout: time_of(row.integer(8)?),
        daemon: row.integer(9)? != 0,
    })
}

/// Collects mapped rows; the first bad row ends it.
pub(super) fn collecting<T>(
    map: impl Fn(&Row<'_>) -> Result<T, TxError>,
    query: impl FnOnce(&mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), SqlError>,
) -> Result<Vec<T>, TxError> {
    let mut rows = Ok(Vec::new());
    query(&mut |row| match (&mut rows, map(row)) {
        (Ok(rows), Ok(value)) => {
            rows.push(value);
            ControlFlow::Continue(())
        }
        (rows, Err(error)) => {
            *rows = Err(error);
            ControlFlow::Break(())
        }
        (Err(_), Ok(_)) => ControlFlow::Break(()),
    })?;
    rows
}

/// One number of one row; 0 without it.
fn one_number(tx: &WriteTx<'_>, sql: &str, params: &[Value<'_>]) -> Result<u64, TxError> {
    let found = collecting(
        |row| Ok(optional_integer(row, 0).map_or(0, unsigned)),
        |each| tx.query(sql, params, each),
    )?;
    Ok(found.first().copied().unwrap_or(0))
}

/// Whether there is an app of that key; the node is always there.
pub(super) fn has_app(tx: &WriteTx<'_>, app: &str) -> Result<bool, TxError> {
    if app == NODE {
        return Ok(true);
    }
    Ok(one_number(tx, "SELECT count(*) FROM app WHERE id = ?1", &[Value::Text(app)])? > 0)
}

/// The job of that key that waits or runs.
pub(super) fn same(
    tx: &WriteTx<'_>,
    app: &str,
    kind: &str,
    key: &str,
) -> Result<Option<u64>, TxError> {
    let id = one_number(
        tx,
        "SELECT id FROM job WHERE app = ?1 AND kind = ?2 AND unique_key = ?3 AND state IN ('waiting', 'running')",
        &[Value::Text(app), Value::Text(kind), Value::Text(key)],
    )?;
    Ok(Some(id).filter(|id| *id != 0))
}

/// How many jobs of an app wait or run, and how many of them are daemons.
pub(super) fn open(tx: &WriteTx<'_>, app: &str) -> Result<(u64, u64), TxError> {
    let found = collecting(
        |row| Ok((unsigned(row.integer(0)?), optional_integer(row, 1).map_or(0, unsigned))),
        |each| {
            tx.query(
                "SELECT count(*), sum(daemon) FROM job WHERE app = ?1 AND state IN ('waiting', 'running')",
                &[Value::Text(app)],
                each,
            )
        },
    )?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Adds a job; returns its id.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    app: &str,
    job: &NewJob,
    schedule: Option<&str>,
) -> Result<u64, TxError> {
    let now_ms = tx.now_ms();
    tx.execute(
        "INSERT INTO job (app, kind, state, priority, unique_key, payload, run_at, attempt, attempts_max, backoff_ms, timeout_ms, daemon, schedule, lease, cancel, progress, created_at) VALUES (?1, ?2, 'waiting', ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, 0, 0, 0, ?12)",
        &[
            Value::Text(app),
            Value::Text(&job.kind),
            Value::Integer(i64::from(job.priority)),
            Value::from(job.unique_key.as_deref()),
            Value::Blob(&job.payload),
            Value::Integer(job.run_at_ms.map_or(now_ms, signed)),
            Value::Integer(i64::from(job.attempts_max)),
            Value::Integer(time_ms(Some(job.backoff))),
            Value::Integer(time_ms(job.timeout)),
            Value::from(job.daemon),
            Value::from(schedule),
            Value::Integer(now_ms),
        ],
    )?;
    Ok(unsigned(tx.last_insert_rowid()))
}

/// When the next job of `kind` is due.
pub(super) fn next_due(reader: &Reader<'_>, kind: &str) -> Result<Option<u64>, TxError> {
    let found = collecting(
        |row| Ok(optional_integer(row, 0).map(unsigned)),
        |each| {
            reader.query(
                "SELECT min(run_at) FROM job WHERE kind = ?1 AND state = 'waiting'",
                &[Value::Text(kind)],
                each,
            )
        },
    )?;
    Ok(found.first().copied().flatten())
}

/// Apps with jobs of `kind` that wait, at most `limit`, from the one after `turn` on and round to it.
pub(super) fn apps_in_turn(
    tx: &WriteTx<'_>,
    kind: &str,
    turn: &str,
    limit: usize,
) -> Result<Vec<String>, TxError> {
    let mut apps: Vec<String> = Vec::new();
    let (mut after, mut is_round) = (turn.to_owned(), false);
    while apps.len() < limit {
        let next = collecting(
            |row| Ok(optional_text(row, 0)),
            |each| {
                tx.query(
                    "SELECT min(app) FROM job WHERE kind = ?1 AND state = 'waiting' AND app > ?2",
                    &[Value::Text(kind), Value::Text(&after)],
                    each,
                )
            },
        )?;
        match next.into_iter().next().flatten() {
            Some(app) if is_round && app.as_str() > turn => break,
            Some(app) => {
                after.clone_from(&app);
                apps.push(app);
            }
            None if is_round => break,
            None => (after, is_round) = (String::new(), true),
        }
    }
    Ok(apps)
}

/// How many jobs of `kind` run, of one app or of all.
pub(super) fn running(tx: &WriteTx<'_>, kind: &str, app: Option<&str>) -> Result<u64, TxError> {
    match app {
        Some(app) => one_number(
            tx,
            "SELECT count(*) FROM job WHERE kind = ?1 AND app = ?2 AND state = 'running'",
            &[Value::Text(kind), Value::Text(app)],
        ),
        None => one_number(
            tx,
            "SELECT count(*) FROM job WHERE kind = ?1 AND state = 'running'",
            &[Value::Text(kind)],
        ),
    }
}

/// The job of an app whose turn it is.
pub(super) fn first_due(tx: &WriteTx<'_>, kind: &str, app: &str) -> Result<Option<u64>, TxError> {
    let id = one_number(
        tx,
        "SELECT id FROM job WHERE kind = ?1 AND app = ?2 AND state = 'waiting' AND run_at <= ?3 ORDER BY priority DESC, run_at, id LIMIT 1",
        &[Value::Text(kind), Value::Text(app), Value::Integer(tx.now_ms())],
    )?;
    Ok(Some(id).filter(|id| *id != 0))
}

/// Begins an attempt.
pub(super) fn begin(tx: &WriteTx<'_>, id: u64) -> Result<Option<LeasedJob>, TxError> {
    let begun = collecting(leased_of, |each| {
        tx.query(
            "UPDATE job SET state = 'running', attempt = attempt + 1, lease = lease + 1, started_at = ?2 WHERE id = ?1 AND state = 'waiting' RETURNING id, lease, app, payload, attempt, checkpoint, run_at, schedule, timeout_ms, daemon",
            &[Value::Integer(signed(id)), Value::Integer(tx.now_ms())],
            each,
        )
    })?;
    Ok(begun.into_iter().next())
}

/// What decides about a job.
pub(super) fn standing(tx: &WriteTx<'_>, id: u64) -> Result<Option<Standing>, TxError> {
    let found = collecting(standing_of, |each| {
        tx.query(
            "SELECT app, state, lease, attempt, attempts_max, backoff_ms, daemon, cancel, started_at FROM job WHERE id = ?1",
            &[Value::Integer(signed(id))],
            each,
        )
    })?;
    Ok(found.into_iter().next())
}

/// Puts a job back: it waits until `run_at_ms`, having had `attempt` attempts.
pub(super) fn put_back(
    tx: &WriteTx<'_>,
    id: u64,
    run_at_ms: u64,
    attempt: u32,
    problem: Option<&str>,
) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE job SET state = 'waiting', run_at = ?2, attempt = ?3, problem = ?4, finished_at = NULL, cancel = 0 WHERE id = ?1",
        &[
            Value::Integer(signed(id)),
            Value::Integer(signed(run_at_ms)),
            Value::Integer(i64::from(attempt)),
            Value::from(problem),
        ],
    )?;
    Ok(())
}

/// Ends a job.
pub(super) fn finish(
    tx: &WriteTx<'_>,
    id: u64,
    state: JobState,
    result: Option<&[u8]>,
    problem: Option<&str>,
) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE job SET state = ?2, result = ?3, problem = coalesce(?4, problem), finished_at = ?5, progress = CASE ?2 WHEN 'done' THEN 100 ELSE progress END, checkpoint = CASE ?2 WHEN 'dead' THEN checkpoint END WHERE id = ?1",
        &[
            Value::Integer(signed(id)),
            Value::Text(state_name(state)),
            result.map_or(Value::Null, Value::Blob),
            Value::from(problem),
            Value::Integer(tx.now_ms()),
        ],
    )?;
    Ok(())
}

/// Removes the oldest finished jobs of an app past `keep`.
pub(super) fn trim(tx: &WriteTx<'_>, app: &str, keep: u64) -> Result<(), SqlError> {
    tx.execute(
        "DELETE FROM job WHERE app = ?1 AND finished_at IS NOT NULL AND id <= (SELECT id FROM job WHERE app = ?1 AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        &[Value::Text(app), Value::Integer(signed(keep))],
    )?;
    Ok(())
}

/// Removes at most `limit` jobs that finished before these moments; returns how many.
pub(super) fn prune(
    tx: &WriteTx<'_>,
    finished_before_ms: u64,
    dead_before_ms: u64,
    limit: u32,
) -> Result<u64, SqlError> {
    tx.execute(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished_at IS NOT NULL AND finished_at < CASE state WHEN 'dead' THEN ?2 ELSE ?1 END LIMIT ?3)",
        &[
            Value::Integer(signed(finished_before_ms)),
            Value::Integer(signed(dead_before_ms)),
            Value::Integer(i64::from(limit)),
        ],
    )
}

/// Asks a job that runs to stop.
pub(super) fn ask_to_stop(tx: &WriteTx<'_>, id: u64) -> Result<(), SqlError> {
    tx.execute("UPDATE job SET cancel = 1 WHERE id = ?1", &[Value::Integer(signed(id))])?;
    Ok(())
}

pub(super) fn set_progress(tx: &WriteTx<'_>, id: u64, percent: u32) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE job SET progress = ?2 WHERE id = ?1",
        &[Value::Integer(signed(id)), Value::Integer(i64::from(percent.min(100)))],
    )?;
    Ok(())
}

pub(super) fn set_checkpoint(tx: &WriteTx<'_>, id: u64, state: &[u8]) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE job SET checkpoint = ?2 WHERE id = ?1",
        &[Value::Integer(signed(id)), Value::Blob(state)],
    )?;
    Ok(())
}

/// Adds lines to a job's log and removes the oldest past `keep`.
pub(super) fn add_lines(
    tx: &WriteTx<'_>,
    id: u64,
    lines: &[String],
    keep: u64,
) -> Result<(), SqlError> {
    for line in lines {
        tx.execute(
            "INSERT INTO job_log (job, number, at, line) VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM job_log WHERE job = ?1), ?2, ?3)",
            &[Value::Integer(signed(id)), Value::Integer(tx.now_ms()), Value::Text(line)],
        )?;
    }
    tx.execute(
        "DELETE FROM job_log WHERE job = ?1 AND number <= (SELECT max(number) FROM job_log WHERE job = ?1) - ?2",
        &[Value::Integer(signed(id)), Value::Integer(signed(keep))],
    )?;
    Ok(())
}

/// Ids of jobs that run.
pub(super) fn all_running(tx: &WriteTx<'_>, limit: u32) -> Result<Vec<u64>, TxError> {
    collecting(
        |row| Ok(unsigned(row.integer(0)?)),
        |each| {
            tx.query(
                "SELECT id FROM job WHERE state = 'running' ORDER BY id LIMIT ?1",
                &[Value::Integer(i64::from(limit))],
                each,
            )
        },
    )
}

/// One job; of `app` only, if there is one.
pub(super) fn get(reader: &Reader<'_>, app: Option<&str>, id: u64) -> Result<Option<Job>, TxError> {
    let found = collecting(job_of, |each| {
        reader.query(
            "SELECT id, app, kind, state, payload, unique_key, schedule, attempt, attempts_max, daemon, progress, result, problem, cancel, run_at, created_at, started_at, finished_at FROM job WHERE id = ?1 AND (?2 IS NULL OR app = ?2)",
            &[Value::Integer(signed(id)), Value::from(app)],
            each,
        )
    })?;
    Ok(found.into_iter().next())
}

/// Jobs, the newest first.
pub(super) fn list(
    reader: &Reader<'_>,
    app: Option<&str>,
    filter: &JobFilter,
    limit: u32,
) -> Result<Vec<Job>, TxError> {
    collecting(job_of, |each| {
        reader.query(
            "SELECT id, app, kind, state, payload, unique_key, schedule, attempt, attempts_max, daemon, progress, result, problem, cancel, run_at, created_at, started_at, finished_at FROM job WHERE (?1 IS NULL OR app = ?1) AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR state = ?3) AND id < ?4 ORDER BY id DESC LIMIT ?5",
            &[
                Value::from(app),
                Value::from(filter.kind.as_deref()),
                Value::from(filter.state.map(state_name)),
                Value::Integer(filter.before.map_or(i64::MAX, signed)),
                Value::Integer(i64::from(limit)),
            ],
            each,
        )
    })
}

/// What a job said.
pub(super) fn lines(reader: &Reader<'_>, id: u64) -> Result<Vec<JobLine>, TxError> {
    collecting(
        |row| Ok(JobLine { at_ms: unsigned(row.integer(0)?), text: row.text(1)?.to_owned() }),
        |each| {
            reader.query(
                "SELECT at, line FROM job_log WHERE job = ?1 ORDER BY number",
                &[Value::Integer(signed(id))],
                each,
            )
        },
    )
}

/// How many jobs an app has, and the bytes that they keep.
pub(super) fn usage(reader: &Reader<'_>, app: &str) -> Result<(u64, u64), TxError> {
    let found = collecting(
        |row| Ok((unsigned(row.integer(0)?), optional_integer(row, 1).map_or(0, unsigned))),
        |each| {
            reader.query(
                "SELECT count(*), sum(length(payload) + coalesce(length(result), 0) + coalesce(length(checkpoint), 0)) FROM job WHERE app = ?1",
                &[Value::Text(app)],
                each,
            )
        },
    )?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Removes everything of an app.
pub(crate) fn delete_app(tx: &WriteTx<'_>, app: AppId) -> Result<(), SqlError> {
    let app = app.to_string();
    tx.execute("DELETE FROM job WHERE app = ?1", &[Value::Text(&app)])?;
    tx.execute("DELETE FROM job_schedule WHERE app = ?1", &[Value::Text(&app)])?;
    Ok(())
}
