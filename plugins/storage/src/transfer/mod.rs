//! Collections as files: JSON lines and CSV, out and in.
//!
//! `GET /api/storage/{app}/export/{collection}` answers all documents, the oldest first; `POST
//! /api/storage/{app}/import/{collection}` takes them in, each in the place of the one that has its id.

mod csv;

use std::collections::VecDeque;

use fazt_sdk::call::Call;
use fazt_sdk::http::{BodySource, Handler, Request, Response};
use fazt_sdk::prelude::Bytes;
use fazt_sdk::service::Service;
use fazt_sdk::services::Space;
use fazt_sdk::services::apps::AppsApi;
use fazt_sdk::services::documents::{Document, Documents as _, Find, Order};
use fazt_sdk::{Error, Result, json};

use crate::documents::{self, Collections};
use crate::json::Json;
use crate::operations::{find_app, query_of, space};
use crate::place::Place;

/// Documents that one write takes in.
const BATCH_DOCUMENTS: usize = 500;

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

/// Hands out and takes in collections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) collections: Collections,
    pub(crate) apps: Service<AppsApi>,
}

impl Handler for Transfer {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let call = find_app(&self.apps, call, request.capture(0)).await?;
        let space = space(query_of(&request, "user"));
        let collection = documents::checked_collection(request.capture(1))?.to_owned();
        let format = Format::of(&request)?;
        if request.method() == "GET" {
            let source = Export {
                collections: self.collections.clone(),
                call,
                space,
                collection,
                columns: (format == Format::Csv).then(Vec::new),
                state: State::Start,
                query: query_of(&request, "query").unwrap_or_else(|| "{}".to_owned()),
            };
            return Ok(Response::new(200)
                .header("content-type", format.content_type())
                .header("content-disposition", "attachment")
                .header("x-content-type-options", "nosniff")
                .header("cache-control", "no-store")
                .stream(source));
        }
        let import = Import {
            collections: &self.collections,
            place: Place::of(&call, &space)?,
            collection,
            waiting: Vec::new(),
            done: 0,
            lines: 0,
        };
        import.run(request, format).await
    }
}

#[derive(Debug)]
enum State {
    Start,
    Behind(String),
    End,
}

/// An export on its way out, a page at a time.
struct Export {
    collections: Collections,
    call: Call,
    space: Space,
    collection: String,
    query: String,
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
        let find = Find {
            query: self.query.clone(),
            order: Some(Order::Ascending),
            cursor,
            ..Find::default()
        };
        let page = self.collections.find(&self.call, &self.space, &self.collection, &find).await?;
        let text = self.text(&page.documents, is_first)?;
        self.state = page.next.map_or(State::End, State::Behind);
        Ok(Some(text.into()))
    }

    fn text(&mut self, documents: &[Document], is_first: bool) -> Result<String> {
        let mut text = String::new();
        let Some(columns) = &mut self.columns else {
            for document in documents {
                text.push_str(&document.to_json());
                text.push('\n');
            }
            return Ok(text);
        };
        let bodies = documents.iter().map(|document| Json::parse(&document.to_json()));
        let bodies = bodies.collect::<Result<Vec<_>>>()?;
        if is_first {
            *columns = csv::columns(&bodies);
            csv::push_row(columns.iter().map(|name| csv::plain(name)), &mut text);
        }
        for body in &bodies {
            csv::push_row(columns.iter().map(|name| csv::cell(body.field(name))), &mut text);
        }
        Ok(text)
    }
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

/// An import on its way in.
struct Import<'i> {
    collections: &'i Collections,
    place: Place,
    collection: String,
    waiting: Vec<documents::New>,
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
                if self.waiting.len() >= BATCH_DOCUMENTS {
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

    fn take(&mut self, document: &str) -> Result<()> {
        let number = self.lines;
        let stopped = |error: Error| {
            error.context(format!(
                "document {number}; those before the last {BATCH_DOCUMENTS} are in"
            ))
        };
        let parsed = Json::parse(document).map_err(stopped)?;
        let ms = |name: &str| {
            parsed.field(name).and_then(Json::as_integer).and_then(|ms| u64::try_from(ms).ok())
        };
        let limits = &self.collections.limits;
        let mut new =
            documents::prepared(document, limits, &self.collections.host).map_err(stopped)?;
        let now_ms = self.collections.clock.unix_ms();
        let created_ms = ms("_createdAt").unwrap_or(now_ms);
        new.times_ms = Some((created_ms, ms("_updatedAt").unwrap_or(created_ms)));
        self.waiting.push(new);
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let new = std::mem::take(&mut self.waiting);
        let count = new.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let (place, name) = (self.place.clone(), self.collection.clone());
        let limits = self.collections.limits;
        self.collections
            .cartridge
            .write(Some(place.id), move |transaction| {
                new.iter().try_for_each(|new| {
                    documents::restore_document(transaction, &place, &name, new.clone(), &limits)
                })
            })
            .await?;
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
