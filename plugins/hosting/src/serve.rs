//! Answers requests for the files of an app.

use std::borrow::Cow;
use std::sync::Arc;

use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::prelude::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{Apps as _, AppsApi};
use fazt_sdk::{AppId, Result};

use crate::cache_policy::SECURITY_HEADERS;
use crate::conditional::{Answer, ByteRange, Conditions, ContentRange};
use crate::index::{Index, Indexes};
use crate::model::Entry;
use crate::pages;
use crate::ready::{Ready, ReadyFiles, Role};
use crate::resolve::{Resolution, Viewer, redirect_location, resolve};

/// Serves every app's files on its own hosts, and one app's files on the node's name.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) files: Arc<ReadyFiles>,
    pub(crate) apps: Service<AppsApi>,
    /// The app, by id or alias, that the node's own name shows; empty for the landing page.
    pub(crate) root_app: String,
}

impl Handler for Serve {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let is_head = match request.method() {
            "GET" => false,
            "HEAD" => true,
            _ => return Ok(pages::method_not_allowed()),
        };
        let app = match call.app() {
            Some(app) => app,
            None => match self.root(call).await? {
                Some(app) => app,
                None if request.path() == "/" => return Ok(pages::landing()),
                None => return Ok(pages::not_found()),
            },
        };
        let site = match self.indexes.get(app) {
            Some(site) => site,
            None => self.indexes.load(app).await?,
        };
        match site {
            Some(index) => self.answer(&index, &request, is_head),
            None => Ok(pages::not_deployed()),
        }
    }
}

impl Serve {
    /// The app that the node's own name shows.
    async fn root(&self, call: &Call) -> Result<Option<AppId>> {
        if self.root_app.is_empty() {
            return Ok(None);
        }
        Ok(self.apps.find(call, &self.root_app).await?.map(|app| app.id))
    }

    fn answer(&self, index: &Index, request: &Request, is_head: bool) -> Result<Response> {
        // Nobody is known before sign-in to apps exists.
        let viewer = Viewer::Anonymous;
        let lookup = |path: &str| index.get(path).map(|entry| (entry.visibility, entry));
        match resolve(request.path(), index.routing, viewer, lookup) {
            Resolution::File(entry) => self.file(entry, request, is_head),
            Resolution::NotFoundPage(entry) => {
                let ready = self.files.get(entry, Role::NotFoundPage)?;
                Ok(whole(404, entry, &ready))
            }
            Resolution::NotFound => Ok(pages::not_found()),
            Resolution::Unauthorized => Ok(pages::unauthorized()),
            Resolution::WithoutSlash => Ok(without_slash(request)),
        }
    }

    fn file(&self, entry: &Entry, request: &Request, is_head: bool) -> Result<Response> {
        let ready = self.files.get(entry, Role::File)?;
        let headers = ConditionHeaders::of(request, is_head);
        Ok(match headers.conditions().answer(&ready.etag, entry.size) {
            Answer::Full => whole(200, entry, &ready),
            Answer::NotModified => Response::prepared(304, &ready.not_modified),
            Answer::Partial(range) => partial(entry, &ready, range),
            Answer::Unsatisfiable => {
                let content_range = ContentRange { range: None, length: entry.size }.to_string();
                Response::new(416)
                    .header("content-range", content_range)
                    .header("accept-ranges", "bytes")
                    .header("cache-control", "no-store")
            }
        })
    }
}

fn whole(status: u16, entry: &Entry, ready: &Ready) -> Response {
    let response = Response::prepared(status, &ready.head);
    match &ready.body {
        Some(body) => response.body(body.clone()),
        None => response.blob(entry.hash, 0, entry.size),
    }
}

fn partial(entry: &Entry, ready: &Ready, range: ByteRange) -> Response {
    let content_range = ContentRange { range: Some(range), length: entry.size }.to_string();
    let mut response = Response::new(206)
        .header("content-type", entry.content_type)
        .header("etag", &ready.etag)
        .header("cache-control", entry.cache_control)
        .header("accept-ranges", "bytes")
        .header("content-range", content_range);
    for (name, value) in SECURITY_HEADERS {
        response = response.header(name, value);
    }
    match (&ready.body, usize::try_from(range.first()), usize::try_from(range.last())) {
        (Some(body), Ok(first), Ok(last)) if last < body.len() => {
            response.body(body.slice(first..=last))
        }
        _ => response.blob(entry.hash, range.first(), range.length()),
    }
}

fn without_slash(request: &Request) -> Response {
    let query = Some(request.query()).filter(|query| !query.is_empty());
    // A later deployment may have a file there: the redirect is not for ever.
    Response::new(301)
        .header("location", redirect_location(request.path(), query))
        .header("cache-control", "no-cache")
}

/// The headers of [`Conditions`], found in one walk.
struct ConditionHeaders<'a> {
    if_none_match: Option<Cow<'a, [u8]>>,
    if_range: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
}

impl<'a> ConditionHeaders<'a> {
    fn of(request: &'a Request, is_head: bool) -> Self {
        let mut found = Self { if_none_match: None, if_range: None, range: None };
        for (name, value) in request.headers() {
            match name {
                "if-none-match" => match &mut found.if_none_match {
                    None => found.if_none_match = Some(Cow::Borrowed(value)),
                    Some(list) => {
                        let list = list.to_mut();
                        list.push(b',');
                        list.extend_from_slice(value);
                    }
                },
                "if-range" => found.if_range = Some(value),
                "range" if !is_head => found.range = Some(value),
                _ => {}
            }
        }
        found
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            if_none_match: self.if_none_match.as_deref(),
            if_range: self.if_range,
            range: self.range,
        }
    }
}
