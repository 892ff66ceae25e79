//! `POST /api/sql`, `fazt sql`: one statement of the owner's on the cartridge.
//!
//! What may be done is for the connection to say, not for a look at the text: reading goes over one
//! that cannot write, in a name that may only read; changing goes through the writer, in a name that
//! may change rows of plugins and nothing else. Credentials read as NULL in both.

use std::ops::ControlFlow;
use std::sync::Arc;

use fazt_sdk::prelude::*;
use serde_json::{Number, Value as Json, json};

use super::{Node, Parts};
use crate::Core;
use crate::cartridge::{CartridgeError, Owner, Row, SqlErrorKind, TxError, Value};
use crate::telemetry::Level;

/// Rows of one answer, when nobody says how many.
const ROWS: u32 = 1_000;

/// The most rows of one answer.
const ROWS_MAX: u32 = 10_000;

/// The largest answer, in bytes of values.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much of a blob is shown, in bytes.
const BLOB_BYTES_SHOWN: usize = 256;

/// The longest statement, in bytes.
const QUERY_BYTES_MAX: usize = 64 * 1024;

/// How much of a statement goes to the log, in characters.
const QUERY_CHARS_LOGGED: usize = 2_000;

/// Whole numbers up to here are the same in every JSON parser (RFC 8259 §6).
const NUMBER_MAX: i64 = 1 << 53;

struct RunSql(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// One statement.
    query: String,
    /// Change rows of plugins' tables; otherwise the statement can only read.
    #[serde(default)]
    write: bool,
    /// The most rows that are answered: 1,000 unless said otherwise, at most 10,000.
    limit: Option<u32>,
}

/// What a statement answered.
#[derive(Debug, Default, Clone, Serialize, JsonSchema)]
struct Output {
    columns: Vec<String>,
    /// The rows, each a list of values in the order of the columns. Whole numbers beyond 2^53 are
    /// texts; blobs are `{"bytes": size, "hex": its beginning}`.
    rows: Vec<Vec<Json>>,
    /// How many rows are in this answer.
    count: usize,
    /// Whether there is more than the limit let through.
    truncated: bool,
    /// How many rows were changed; nothing when the statement was to read.
    changed: Option<u64>,
    /// How long it took, in milliseconds.
    time_ms: u64,
}

impl Operate for RunSql {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let core = self.0.core()?;
        if input.query.len() > QUERY_BYTES_MAX {
            return Err(Error::too_large(format!(
                "the statement is longer than {QUERY_BYTES_MAX} bytes"
            )));
        }
        let limit = input.limit.unwrap_or(ROWS);
        if limit == 0 || limit > ROWS_MAX {
            return Err(Error::invalid(format!("the limit is {limit}; it can be 1 to {ROWS_MAX}")));
        }
        let started_ns = core.monotonic_ns();
        let answer = if input.write {
            change(&core, call, &input.query, limit).await
        } else {
            read(&core, &input.query, limit).await
        };
        let mut output = answer?;
        output.count = output.rows.len();
        output.time_ms = core.monotonic_ns().saturating_sub(started_ns) / 1_000_000;
        Ok(output)
    }
}

async fn read(core: &Core, query: &str, limit: u32) -> Result<Output> {
    let query = query.to_owned();
    let found = core.cartridge.scan_value(&Owner::inspector(), move |reader| {
        let mut table = Table::new(limit);
        let mut named = Vec::new();
        reader.query_named(
            &query,
            &mut |names| named = names.iter().map(|name| (*name).to_owned()).collect(),
            &mut |row| table.take(row),
        )?;
        table.output.columns = named;
        table.finish()
    });
    found.await.map_err(explained)
}

async fn change(core: &Arc<Core>, call: &Call, query: &str, limit: u32) -> Result<Output> {
    let statement = query.to_owned();
    let changed = core.cartridge.write_value(&Owner::operator(), None, move |tx| {
        let mut table = Table::new(limit);
        let mut named = Vec::new();
        let changed = tx.execute_named(
            &statement,
            &mut |names| named = names.iter().map(|name| (*name).to_owned()).collect(),
            &mut |row| table.take(row),
        )?;
        table.output.columns = named;
        table.output.changed = Some(changed);
        table.finish()
    });
    let outcome = changed.await.map_err(explained);
    let fields = json!({
        "request_id": call.request_id().to_string(),
        "by": format!("{:?}", call.principal()),
        "statement": query.chars().take(QUERY_CHARS_LOGGED).collect::<String>(),
        "changed": outcome.as_ref().ok().and_then(|output| output.changed),
        "error": outcome.as_ref().err().map(Error::message),
    });
    core.telemetry.log(Level::Info, "sql", "a statement was to change rows", &fields.to_string());
    outcome
}

/// Rows as they arrive, within bounds.
struct Table {
    output: Output,
    limit: usize,
    bytes_left: usize,
}

impl Table {
    fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { output: Output::default(), limit, bytes_left: BYTES_MAX }
    }

    fn take(&mut self, row: &Row<'_>) -> ControlFlow<()> {
        let values = || (0..row.len()).map(|at| row.value(at).unwrap_or(Value::Null));
        let bytes: usize = values().map(size).sum();
        if self.output.rows.len() >= self.limit || bytes > self.bytes_left {
            self.output.truncated = true;
            return ControlFlow::Break(());
        }
        self.bytes_left -= bytes;
        self.output.rows.push(values().map(json_of).collect());
        ControlFlow::Continue(())
    }

    fn finish(self) -> std::result::Result<Output, TxError> {
        if self.output.truncated && self.output.rows.is_empty() {
            return Err(TxError::Aborted(format!(
                "the first row alone is larger than {BYTES_MAX} bytes; ask for fewer columns, or for parts with substr()"
            )));
        }
        Ok(self.output)
    }
}

/// What a value takes in an answer, about.
fn size(value: Value<'_>) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len() + 8,
        Value::Blob(blob) => 2 * blob.len().min(BLOB_BYTES_SHOWN) + 32,
    }
}

fn json_of(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) if number.unsigned_abs() > NUMBER_MAX.unsigned_abs() => {
            Json::from(number.to_string())
        }
        Value::Integer(number) => Json::from(number),
        Value::Real(number) => {
            Number::from_f64(number).map_or_else(|| Json::from(number.to_string()), Json::Number)
        }
        Value::Text(text) => Json::from(text),
        Value::Blob(blob) => {
            let shown = &blob[..blob.len().min(BLOB_BYTES_SHOWN)];
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "bytes": blob.len(), "hex": hex })
        }
    }
}

/// A statement's failure, for whoever wrote it.
fn explained(error: CartridgeError) -> Error {
    match error {
        CartridgeError::Tx(TxError::Sql(error)) => match error.kind {
            SqlErrorKind::Denied => Error::invalid(format!(
                "refused: {}. `fazt sql` reads, and with --write changes rows of plugins' tables; what the node itself keeps changes by its commands",
                error.message
            ))
            .with_code("SQL_REFUSED"),
            SqlErrorKind::Usage => Error::invalid(error.message).with_code("SQL_WRONG"),
            SqlErrorKind::Interrupted => too_long(),
            _ => error.into(),
        },
        CartridgeError::Tx(TxError::Aborted(why)) => Error::too_large(why),
        CartridgeError::TooLong { .. } => too_long(),
        other => other.into(),
    }
}

fn too_long() -> Error {
    Error::timeout(
        "the statement took longer than 5 seconds; ask for less, or for an indexed column",
    )
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RunSql(parts.node());
    parts
        .operation(
            Operation::post::<RunSql>("/api/sql")
                .summary("Runs one statement of SQL on the cartridge: to read, or to change rows of plugins")
                .error("SQL_REFUSED")
                .error("SQL_WRONG")
                .example(json!({"query": "select name from app", "limit": 10})),
            run,
        )
        .command(
            Command::new("sql")
                .about("Run one statement of SQL on the cartridge")
                .example("sql \"select name, created_at from app\"")
                .argument(Argument::required("query", "The statement; it can only read, without --write"))
                .argument(Argument::switch("write", "Change rows of plugins' tables, and log it"))
                .argument(Argument::option("limit", "The most rows: 1000 unless said otherwise"))
                .calls("POST /api/sql")
                .table_from("columns", "rows")
                .says("{changed} rows changed"),
        )
}
