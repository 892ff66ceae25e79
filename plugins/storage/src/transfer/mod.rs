//! Collections, and values under keys, as files: JSON lines and CSV, out and in.
//!
//! `GET /api/storage/{app}/export/{collection}` answers all documents, the oldest first; `POST
//! /api/storage/{app}/import/{collection}` takes them in, each in the place of the one that has its id.
//! `GET /api/storage/{app}/kv/export` and `POST /api/storage/{app}/kv/import` do so with keys, each a row of
//! `key`, `value` and `expires_at_ms`.

mod csv;

use std::collections::VecDeque;

use fazt_sdk::call::Call;
use fazt_sdk::http::{BodySource, Handler, Request, Response};
use fazt_sdk::prelude::Bytes;
use fazt_sdk::service::Service;
use fazt_sdk::services::Space;
use fazt_sdk::services::apps::AppsApi;
use fazt_sdk::services::documents::{Document, Documents as _, Find, Order};
use fazt_sdk::services::kv::{ENTRIES_MAX, Entry, Kv as _};
use fazt_sdk::{Error, Result, json};

use crate::documents::{self, Collections};
use crate::json::{Json, push_text};
use crate::kv::{self, Values};
use crate::operations::{find_app, query_of, space};
use crate::place::Place;

/// Documents or keys that one write takes in.
const BATCH_ROWS: usize = 500;

/// The longest line of an import, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How documents are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    JsonLines,
    Csv,
}

impl Format {
    fn of(request: &Request) -> Result<Self> {
        match query_of(request, "format").as_deref() {
            None | Some("jsonl") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(Error::invalid("`format` is jsonl or csv")),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// What travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The documents of a collection.
    Documents,
    /// Values under keys.
    Keys,
}

/// Hands out and takes in what an app keeps. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) kind: Kind,
    pub(crate) collections: Collections,
    pub(crate) values: Values,
    pub(crate) apps: Service<AppsApi>,
}

impl Handler for Transfer {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let call = find_app(&self.apps, call, request.capture(0)).await?;
        let space = space(query_of(&request, "user"));
        let what = match self.kind {
            Kind::Documents => {
                let collection = documents::checked_collection(request.capture(1))?.to_owned();
                let query = query_of(&request, "query").unwrap_or_else(|| "{}".to_owned());
                What::Documents { collection, query }
            }
            Kind::Keys => What::Keys { prefix: query_of(&request, "prefix").unwrap_or_default() },
        };
        let format = Format::of(&request)?;
        if request.method() == "GET" {
            let source = Export {
                transfer: self.clone(),
                call,
                space,
                what,
                columns: (format == Format::Csv).then(Vec::new),
                state: State::Start,
            };
            return Ok(Response::new(200)
                .header("content-type", format.content_type())
                .header("content-disposition", "attachment")
                .header("x-content-type-options", "nosniff")
                .header("cache-control", "no-store")
                .stream(source));
        }
        let waiting = match what {
            What::Documents { collection, .. } => Waiting::Documents(collection, Vec::new()),
            What::Keys { .. } => Waiting::Keys(Vec::new()),
        };
        let place = Place::of(&call, &space)?;
        let import = Import { transfer: self, place, waiting, done: 0, lines: 0 };
        import.run(request, format).await
    }
}

/// Which documents, or which keys.
#[derive(Debug)]
enum What {
    Documents { collection: String, query: String },
    Keys { prefix: String },
}

#[derive(Debug)]
enum State {
    Start,
    Behind(String),
    End,
}

/// An export on its way out, a page at a time.
struct Export {
    transfer: Transfer,
    call: Call,
    space: Space,
    what: What,
    /// The columns of CSV; empty until the first page shows which there are.
    columns: Option<Vec<String>>,
    state: State,
}

impl Export {
    async fn page(&mut self) -> Result<Option<Bytes>> {
        let cursor = match &self.state {
            State::Start => None,
            State::Behind(cursor) => Some(cursor.clone()),
            State::End => return Ok(None),
        };
        let is_first = cursor.is_none();
        let (rows, next) = self.rows(cursor).await?;
        let text = self.text(&rows, is_first)?;
        self.state = next.map_or(State::End, State::Behind);
        Ok(Some(text.into()))
    }

    /// A page of rows, each a JSON object, and where the next one starts.
    async fn rows(&self, cursor: Option<String>) -> Result<(Vec<String>, Option<String>)> {
        let (call, space) = (&self.call, &self.space);
        match &self.what {
            What::Documents { collection, query } => {
                let (query, order) = (query.clone(), Some(Order::Ascending));
                let find = Find { query, order, cursor, ..Find::default() };
                let page = self.transfer.collections.find(call, space, collection, &find).await?;
                Ok((page.documents.iter().map(Document::to_json).collect(), page.next))
            }
            What::Keys { prefix } => {
                let values = &self.transfer.values;
                let page = values.list(call, space, prefix, ENTRIES_MAX, cursor).await?;
                Ok((
                    page.entries.iter().map(|(key, entry)| row_of(key, entry)).collect(),
                    page.next,
                ))
            }
        }
    }

    fn text(&mut self, rows: &[String], is_first: bool) -> Result<String> {
        let mut text = String::new();
        let Some(columns) = &mut self.columns else {
            for row in rows {
                text.push_str(row);
                text.push('\n');
            }
            return Ok(text);
        };
        let rows = rows.iter().map(|row| Json::parse(row)).collect::<Result<Vec<_>>>()?;
        if is_first {
            *columns = match &self.what {
                What::Documents { .. } => csv::columns(&rows),
                What::Keys { .. } => KEY_COLUMNS.map(str::to_owned).into(),
            };
            csv::push_row(columns.iter().map(|name| csv::plain(name)), &mut text);
        }
        for row in &rows {
            csv::push_row(columns.iter().map(|name| csv::cell(row.field(name))), &mut text);
        }
        Ok(text)
    }
}

/// The fields of a key's row.
const KEY_COLUMNS: [&str; 3] = ["key", "value", "expires_at_ms"];

fn row_of(key: &str, entry: &Entry) -> String {
    let mut row = String::from("{\"key\":");
    push_text(key, &mut row);
    row.push_str(",\"value\":");
    row.push_str(&entry.value);
    if let Some(ms) = entry.expires_at_ms {
        row.push_str(",\"expires_at_ms\":");
        row.push_str(&ms.to_string());
    }
    row.push('}');
    row
}

impl BodySource for Export {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            match self.page().await {
                // An empty chunk would end the body.
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Some(Ok(bytes)),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What was read and is not in yet.
enum Waiting {
    Documents(String, Vec<documents::New>),
    Keys(Vec<(String, String, Option<u64>)>),
}

impl Waiting {
    fn len(&self) -> usize {
        match self {
            Self::Documents(_, documents) => documents.len(),
            Self::Keys(keys) => keys.len(),
        }
    }
}

/// An import on its way in.
struct Import<'i> {
    transfer: &'i Transfer,
    place: Place,
    waiting: Waiting,
    done: u64,
    lines: u64,
}

impl Import<'_> {
    async fn run(mut self, request: Request, format: Format) -> Result<Response> {
        let (mut body, mut rest) = (request.into_body(), Vec::new());
        let mut csv = (format == Format::Csv).then(csv::Reader::default);
        loop {
            let chunk = body.next().await.transpose()?;
            let is_end = chunk.is_none();
            rest.extend_from_slice(&chunk.unwrap_or_default());
            let mut found = VecDeque::new();
            match &mut csv {
                Some(csv) => csv.read(&mut rest, is_end, &mut found)?,
                None => lines(&mut rest, is_end, &mut found)?,
            }
            while let Some(document) = found.pop_front() {
                self.lines += 1;
                self.take(&document)?;
                if self.waiting.len() >= BATCH_ROWS {
                    self.flush().await?;
                }
            }
            if rest.len() > LINE_BYTES_MAX {
                return Err(Error::too_large(format!("a line has at most {LINE_BYTES_MAX} bytes")));
            }
            if is_end {
                break;
            }
        }
        self.flush().await?;
        Response::json(&json!({ "data": { "imported": self.done } }))
    }

    fn take(&mut self, row: &str) -> Result<()> {
        let number = self.lines;
        self.taken(row).map_err(|error| {
            error.context(format!("row {number}; those before the last {BATCH_ROWS} are in"))
        })
    }

    fn taken(&mut self, row: &str) -> Result<()> {
        let parsed = Json::parse(row)?;
        let ms = |name: &str| {
            parsed.field(name).and_then(Json::as_integer).and_then(|ms| u64::try_from(ms).ok())
        };
        let Collections { limits, host, clock, .. } = &self.transfer.collections;
        match &mut self.waiting {
            Waiting::Documents(_, documents) => {
                let mut new = documents::prepared(row, limits, host)?;
                let created_ms = ms("_createdAt").unwrap_or_else(|| clock.unix_ms());
                new.times_ms = Some((created_ms, ms("_updatedAt").unwrap_or(created_ms)));
                documents.push(new);
            }
            Waiting::Keys(keys) => {
                let (Some(Json::Text(key)), Some(value)) =
                    (parsed.field("key"), parsed.field("value"))
                else {
                    return Err(Error::invalid("a row has a text `key` and a `value`")
                        .with_code("INVALID_ROW"));
                };
                let key = kv::checked_key(key)?.to_owned();
                let value = kv::checked_value(&value.to_string(), limits)?;
                keys.push((key, value, ms("expires_at_ms")));
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let count = self.waiting.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let place = self.place.clone();
        let Collections { cartridge, limits, .. } = &self.transfer.collections;
        let limits = *limits;
        let written = match &mut self.waiting {
            Waiting::Documents(name, documents) => {
                let (name, new) = (name.clone(), std::mem::take(documents));
                cartridge
                    .write(Some(place.id), move |transaction| {
                        new.iter().try_for_each(|new| {
                            documents::restore_document(
                                transaction,
                                &place,
                                &name,
                                new.clone(),
                                &limits,
                            )
                        })
                    })
                    .await
            }
            Waiting::Keys(keys) => {
                let keys = std::mem::take(keys);
                cartridge
                    .write(Some(place.id), move |transaction| {
                        keys.iter().try_for_each(|(key, value, expires_at_ms)| {
                            kv::store::put(transaction, &place, key, value, *expires_at_ms, &limits)
                                .map(drop)
                        })
                    })
                    .await
            }
        };
        written?;
        self.done += count;
        Ok(())
    }
}

/// Takes whole lines out of `rest`.
fn lines(rest: &mut Vec<u8>, is_end: bool, found: &mut VecDeque<String>) -> Result<()> {
    let end = match rest.iter().rposition(|byte| *byte == b'\n') {
        _ if is_end => rest.len(),
        Some(last) => last + 1,
        None => return Ok(()),
    };
    let whole: Vec<u8> = rest.drain(..end).collect();
    let whole = String::from_utf8(whole)
        .map_err(|_| Error::invalid("the import is not UTF-8").with_code("NOT_JSON"))?;
    let lines = whole.lines().map(str::trim).filter(|line| !line.is_empty());
    found.extend(lines.map(str::to_owned));
    Ok(())
}
