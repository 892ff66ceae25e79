//! Answers requests for the files of an app.

use std::borrow::Cow;
use std::sync::Arc;

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::host::Host;
use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::prelude::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{Apps as _, AppsApi};
use fazt_sdk::{AppId, Result};

use crate::accept::{self, Accepted};
use crate::cache_policy::{PRIVATE, REVALIDATE};
use crate::conditional::{Answer, Conditions};
use crate::content_type::is_html;
use crate::head::{Context, Role};
use crate::index::{File, Index, Indexes};
use crate::ready::{Need, Ready, ReadyFiles};
use crate::representation::Representation;
use crate::resolve::{Resolution, Routing, redirect_location};
use crate::rules::{Ask, Outcome, Selection};
use crate::{pages, partial, workspace};

/// Serves every app's files on its own hosts, and one app's files on the node's name.
pub(crate) struct Serve {
    pub(crate) host: Host,
    pub(crate) cartridge: Cartridge,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) files: Arc<ReadyFiles>,
    pub(crate) apps: Service<AppsApi>,
    /// The app, by id or alias, that the node's own name shows; empty for the landing page.
    pub(crate) root_app: String,
}

impl Handler for Serve {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let is_head = match request.raw_method() {
            b"GET" => false,
            b"HEAD" => true,
            _ => return self.other_method(call, request).await,
        };
        let app = match call.app() {
            Some(app) => app,
            None => match self.root(call).await? {
                Some(app) => app,
                None if request.path() == "/" => return Ok(pages::landing()),
                None => return Ok(pages::not_found()),
            },
        };
        if !request.query().is_empty()
            && let Some(location) = self.new_workspace(&request)
        {
            return Ok(pages::see_other(&location));
        }
        if let Some(label) = request.preview() {
            return match self.indexes.preview(app, label).await? {
                Some(index) if is_for_server(&index, &request) => Ok(Response::pass(request)),
                Some(index) => self.answer(&Visit::new(&index, &request, is_head, true)),
                None => Ok(pages::not_found()),
            };
        }
        let site = match self.indexes.get(app) {
            Some(site) => site,
            None => self.indexes.load(app).await?,
        };
        match site {
            Some(index) if is_for_server(&index, &request) => Ok(Response::pass(request)),
            Some(index) => self.answer(&Visit::new(&index, &request, is_head, false)),
            None => Ok(pages::not_deployed()),
        }
    }
}

/// Whether the app's own code answers: there is some, and nothing else would.
fn is_for_server(index: &Index, request: &Request) -> bool {
    index.has_server
        && matches!(
            index.resolve(request.path(), index.routing),
            Resolution::NotFound | Resolution::NotFoundPage(_)
        )
}

impl Serve {
    /// Files are only read; what else there is to do, the app's own code does.
    async fn other_method(&self, call: &Call, request: Request) -> Result<Response> {
        let Some(app) = call.app() else { return Ok(pages::method_not_allowed()) };
        let site = match request.preview() {
            Some(label) => self.indexes.preview(app, label).await?,
            None => self.indexes.load(app).await?,
        };
        Ok(match site {
            Some(index) if index.has_server => Response::pass(request),
            Some(_) | None => pages::method_not_allowed(),
        })
    }

    /// The app that the node's own name shows.
    async fn root(&self, call: &Call) -> Result<Option<AppId>> {
        if self.root_app.is_empty() {
            return Ok(None);
        }
        Ok(self.apps.find(call, &self.root_app).await?.map(|app| app.id))
    }

    /// Where a request for a new workspace goes.
    fn new_workspace(&self, request: &Request) -> Option<String> {
        match workspace::asked(request.query()) {
            workspace::Asked::New => {
                let random = self.host.random(workspace::RANDOM_BYTES);
                let id = workspace::generate(random.as_slice().try_into().ok()?);
                Some(workspace::location(request.path(), request.query(), &id))
            }
            workspace::Asked::Id(_) | workspace::Asked::Nothing => None,
        }
    }

    fn answer(&self, visit: &Visit<'_>) -> Result<Response> {
        let index = visit.index;
        if !index.rules.redirects.is_empty()
            && let Some(outcome) = visit.redirect()
        {
            return match outcome {
                Outcome::Redirect { location, status } => Ok(visit.redirected(status, &location)),
                Outcome::Rewrite { path, status: 200 } => {
                    match index.resolve(&path, Routing::Files) {
                        Resolution::File(found) => self.file(visit, found),
                        other => self.otherwise(visit, other),
                    }
                }
                Outcome::Rewrite { path, status } => match index.resolve(&path, Routing::Files) {
                    Resolution::File(found) | Resolution::NotFoundPage(found) => {
                        self.error_page(visit, status, found)
                    }
                    other => self.otherwise(visit, other),
                },
            };
        }
        match index.resolve(visit.path, index.routing) {
            Resolution::File(found) => self.file(visit, found),
            other => self.otherwise(visit, other),
        }
    }

    /// What is not the file that the path names.
    fn otherwise(&self, visit: &Visit<'_>, resolution: Resolution<Named<'_>>) -> Result<Response> {
        match resolution {
            Resolution::File(found) => self.file(visit, found),
            Resolution::NotFoundPage(_) | Resolution::NotFound
                if let Some(page) = visit.index.listing(visit.path) =>
            {
                Ok(pages::listing(page))
            }
            Resolution::NotFoundPage(found) => self.error_page(visit, 404, found),
            Resolution::NotFound => Ok(pages::not_found()),
            Resolution::Unauthorized => Ok(pages::unauthorized()),
            Resolution::WithoutSlash => Ok(other_slash(visit.request, false)),
            Resolution::WithSlash => Ok(other_slash(visit.request, true)),
        }
    }

    /// A page as Markdown: the author's, or what the page says; nothing when it says nothing.
    fn markdown(&self, visit: &Visit<'_>, named: Named<'_>) -> Result<Option<Response>> {
        let sent = Representation::identity(named.1);
        let context = visit.context(Role::Markdown, named);
        let ready = self.files.get(&sent, &context, Need::Body)?;
        let Some(body) = &ready.body else { return Ok(None) };
        let conditions = Conditions { range: None, ..visit.asked.conditions() };
        Ok(Some(match conditions.answer(&ready.etag, body.len() as u64) {
            Answer::NotModified => Response::prepared(304, &ready.head),
            _ => Response::prepared(200, &ready.head).body(body.clone()),
        }))
    }

    fn file(&self, visit: &Visit<'_>, named: Named<'_>) -> Result<Response> {
        let asked = &visit.asked;
        let mut named = named;
        if asked.prefers_markdown && is_html(named.1.entry.content_type) {
            match visit.index.markdown(visit.path) {
                Some(written) => named = written,
                None => {
                    if let Some(response) = self.markdown(visit, named)? {
                        return Ok(response);
                    }
                }
            }
        }
        let sent = Representation::choose(named.1, asked.accepted);
        let context = visit.context(Role::File, named);
        if !asked.is_conditional() {
            let ready = self.files.get(&sent, &context, asked.need())?;
            return Ok(whole(200, &sent, &ready));
        }
        // The tag decides; what is not sent is not read.
        let ready = self.files.get(&sent, &context, Need::Head)?;
        let answer = asked.conditions().answer(&ready.etag, sent.size);
        let ready = match answer {
            Answer::NotModified => return Ok(Response::prepared(304, &ready.head)),
            Answer::Unsatisfiable => return Ok(partial::none(&sent)),
            Answer::Full | Answer::Partial(_) | Answer::Several(_) => {
                self.files.get(&sent, &context, asked.need())?
            }
        };
        Ok(match answer {
            Answer::Partial(range) => partial::one(&sent, &context, &ready, range),
            Answer::Several(ranges) => {
                partial::several(&self.cartridge, &sent, &context, &ready, &ranges)
            }
            Answer::Full | Answer::NotModified | Answer::Unsatisfiable => whole(200, &sent, &ready),
        })
    }

    fn error_page(&self, visit: &Visit<'_>, status: u16, named: Named<'_>) -> Result<Response> {
        let sent = Representation::choose(named.1, visit.asked.accepted);
        let context = visit.context(Role::ErrorPage, named);
        let ready = self.files.get(&sent, &context, visit.asked.need())?;
        Ok(whole(status, &sent, &ready))
    }
}

fn whole(status: u16, sent: &Representation<'_>, ready: &Ready) -> Response {
    let response = Response::prepared(status, &ready.head);
    match &ready.body {
        Some(body) => response.body(body.clone()),
        None => response.blob(sent.hash, 0, sent.size),
    }
}

fn other_slash(request: &Request, ends_in_slash: bool) -> Response {
    let query = Some(request.query()).filter(|query| !query.is_empty());
    // A later deployment may have a file there: the redirect is not for ever.
    Response::new(301)
        .header("location", redirect_location(request.path(), query, ends_in_slash))
        .header("cache-control", "no-cache")
}

/// A file of an index, and its path there.
type Named<'i> = (&'i str, &'i File);

/// One request for one site.
struct Visit<'a> {
    index: &'a Index,
    request: &'a Request,
    /// Of the request.
    path: &'a str,
    is_preview: bool,
    asked: Asked<'a>,
}

impl<'a> Visit<'a> {
    fn new(index: &'a Index, request: &'a Request, is_head: bool, is_preview: bool) -> Self {
        let (path, asked) = (request.path(), Asked::of(request, is_head));
        Self { index, request, path, is_preview, asked }
    }

    /// What the site's own rules say about the address.
    fn redirect(&self) -> Option<Outcome> {
        let Self { index, request, path, .. } = *self;
        let redirects = &index.rules.redirects;
        let mut ask = Ask { host: Some(request.host()), ..Ask::default() };
        if redirects.has_conditions() {
            ask.language = request.header("accept-language");
            ask.cookie = request.header("cookie");
        }
        redirects.find(path, request.query(), &ask, |path| index.has(path))
    }

    fn redirected(&self, status: u16, location: &str) -> Response {
        // A later deployment may lead elsewhere: no redirect is for ever.
        let response = Response::new(status)
            .header("location", location)
            .header("referrer-policy", "strict-origin-when-cross-origin");
        if self.index.rules.redirects.depends_on_visitor(self.request.path()) {
            response.header("cache-control", PRIVATE).header("vary", "accept-language, cookie")
        } else {
            response.header("cache-control", REVALIDATE)
        }
    }

    fn context(&self, role: Role, (path, _): Named<'_>) -> Context<'a> {
        let rules = &*self.index.rules;
        let (request, asked) = (self.request, self.path);
        let selection = if rules.headers.is_empty() {
            Selection::NONE
        } else {
            let host = rules.headers.has_hosts().then(|| request.host());
            rules.headers.select(asked, host, (role == Role::File).then_some(path))
        };
        Context { role, is_preview: self.is_preview, path: asked, request, rules, selection }
    }
}

/// What a request asks for besides its path, found in one walk over its headers.
struct Asked<'a> {
    is_head: bool,
    accepted: Accepted,
    prefers_markdown: bool,
    if_none_match: Option<Cow<'a, [u8]>>,
    if_range: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request, is_head: bool) -> Self {
        let mut asked = Self {
            is_head,
            accepted: Accepted::IDENTITY,
            prefers_markdown: false,
            if_none_match: None,
            if_range: None,
            range: None,
        };
        let mut has_accepted = false;
        for (name, value) in request.raw_headers() {
            match name {
                b"accept-encoding" if has_accepted => asked.accepted = asked.accepted.and(value),
                b"accept-encoding" => {
                    asked.accepted = Accepted::parse(value);
                    has_accepted = true;
                }
                b"accept" => asked.prefers_markdown |= accept::prefers_markdown(value),
                b"if-none-match" => match &mut asked.if_none_match {
                    None => asked.if_none_match = Some(Cow::Borrowed(value)),
                    Some(list) => {
                        let list = list.to_mut();
                        list.push(b',');
                        list.extend_from_slice(value);
                    }
                },
                b"if-range" => asked.if_range = Some(value),
                // It only means something for GET (RFC 9110 §14.2).
                b"range" if !is_head => asked.range = Some(value),
                _ => {}
            }
        }
        asked
    }

    fn need(&self) -> Need {
        if self.is_head { Need::Head } else { Need::Body }
    }

    fn is_conditional(&self) -> bool {
        self.if_none_match.is_some() || self.range.is_some()
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            if_none_match: self.if_none_match.as_deref(),
            if_range: self.if_range,
            range: self.range,
        }
    }
}
