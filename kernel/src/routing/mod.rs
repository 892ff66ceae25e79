//! From a canonical request to whoever answers it.
//!
//! The order of decisions: the host gives the surface, the surface's table gives the plugin, the
//! method and the path give the handler. Nothing here depends on what a plugin does.

mod admin;
pub(crate) mod cookie;
pub(crate) mod form;
pub(crate) mod head;
mod input;
pub(crate) mod origin;
mod pages;
pub(crate) mod pattern;
mod redirect;
mod split;
mod surface;
pub(crate) mod table;

use std::net::Ipv6Addr;
use std::sync::Arc;

use abi_stable::std_types::{RBox, RResult};
use fazt_abi::http::{RawRequest, RawRequestHead, RawResponse, RawResponseBody, Span};
use fazt_sdk::call::{Call, CallBuilder, Principal, RequestId};
use fazt_sdk::http::Method;
use fazt_sdk::route::{Surface, Visibility};
use fazt_sdk::{AppId, Error, Result};
use http::HeaderValue;

use crate::Core;
use crate::edge::{self, BodyLimit, EdgeRequest, Gateway, Shape};
use crate::registry::contained::{contain, stopped};
use crate::registry::gate::Inside;
use split::Visit;
use surface::Place;
use table::{Entry, Found, Target};

pub(crate) use admin::{answer as admin_answer, new_request_id};

/// First segments on app hosts that belong to the node: an app's files never answer there.
const RESERVED_SEGMENTS: [&str; 4] = ["_fazt", "_ws", "_events", "auth"];

/// Where certificates are proven (RFC 8555 §8.3).
const ACME_PREFIX: &str = "/.well-known/acme-challenge/";

/// The name of every machine to itself (RFC 6761 §6.3).
pub(crate) const LOCAL_DOMAIN: &str = "localhost";

/// The edge's gateway into the node.
#[derive(Clone)]
pub(crate) struct Router {
    pub(crate) core: Arc<Core>,
    /// Who asks on the hosts of apps. Nobody signs in there yet, so only tests know somebody.
    pub(crate) visitor: Principal,
}

/// What a request needs to be answered by a plugin.
struct Dispatch {
    inside: Inside,
    answer: fazt_abi::FfiFuture<RResult<RawResponse, fazt_abi::error::RawError>>,
}

impl Dispatch {
    /// The plugin's answer. What of it goes on after its head stays in the plugin's hands.
    async fn answer(self) -> Result<RawResponse> {
        match self.inside.run(self.answer).await {
            Some(RResult::ROk(response)) => Ok(contain(self.inside, response)),
            Some(RResult::RErr(error)) => Err(error.into()),
            None => Err(stopped()),
        }
    }
}

impl Gateway for Router {
    async fn handle(&self, request: EdgeRequest) -> RawResponse {
        let led = Led::of(&self.core, &request);
        let telemetry = &self.core.telemetry;
        if !self.core.events.wants_requests() && !telemetry.access_log.is_open() {
            let response = self.answer(led, request).await;
            telemetry.counters.count_response(response.status);
            return response;
        }
        let observed = Observed::of(&self.core, &request, led.app());
        let response = self.answer(led, request).await;
        telemetry.counters.count_response(response.status);
        observed.tell(&self.core, response.status);
        response
    }

    fn report(&self, request_id: RequestId, error: &Error) {
        report(&self.core, "edge", request_id, error);
    }
}

impl Router {
    async fn answer(&self, led: Led, mut request: EdgeRequest) -> RawResponse {
        if let Some(uid) = request.peer_uid {
            return admin::socket(&self.core, uid, request).await;
        }
        match led {
            Led::App { app, preview_bytes } => {
                let head = &mut request.raw.head;
                head.preview = Span { start: head.host.start, len: preview_bytes };
                self.route(Surface::App, Some(app), request).await
            }
            Led::Visitor(visit) => {
                visit.mark(self.route(Surface::App, Some(visit.app), request).await)
            }
            Led::Node => self.route(Surface::Node, None, request).await,
            Led::Admin => admin::request(&self.core, request).await,
            Led::Redirect(url) => redirect::to_address(&url, &request.raw.head),
            Led::OtherHost(host) => pages::domain_check(&self.core, &request.raw.head)
                .unwrap_or_else(|| redirect::to_host(&host, &request.raw.head)),
            Led::Nowhere => pages::domain_check(&self.core, &request.raw.head)
                .unwrap_or_else(pages::unknown_host),
        }
    }

    async fn route(
        &self,
        surface: Surface,
        app: Option<AppId>,
        mut request: EdgeRequest,
    ) -> RawResponse {
        let (method, request_id) = (request.method, request.request_id);
        let path = head::text(&request.raw.head, request.raw.head.path);
        if path.starts_with("/_fazt/") {
            if let Some(answer) = pages::domain_check(&self.core, &request.raw.head) {
                return answer;
            }
            // The rest is for plugins that name it: the catch-all of an app never answers here.
            if pages::is_own(path) {
                return pages::own(path, method, request_id);
            }
        }
        if path.starts_with(ACME_PREFIX) {
            return pages::not_found();
        }
        let (is_api, accept) = (Shape::is_of_api(path), request.accept.take());
        let shape = || Shape::wanted(is_api, accept.iter().map(HeaderValue::as_bytes));
        if request.carries_credentials {
            remove_credentials(&mut request.raw.head);
        }
        let EdgeRequest { mut raw, body_limit, .. } = request;
        let mut asked = Asked { surface, app, method, request_id, body_limit, passed: 0 };
        loop {
            match self.dispatch(&asked, raw) {
                Ok(Some(dispatch)) => match dispatch.answer().await {
                    Ok(RawResponse { body: RawResponseBody::Pass(passed), .. }) => {
                        raw = RBox::into_inner(passed);
                        asked.passed += 1;
                    }
                    Ok(response) => return response,
                    Err(error) => return fail(&self.core, &error, shape(), request_id),
                },
                Ok(None) => return pages::not_found(),
                Err(Refused::Methods(methods)) => {
                    return edge::method_not_allowed(&methods, shape(), request_id);
                }
                Err(Refused::Error(error)) => return fail(&self.core, &error, shape(), request_id),
            }
        }
    }

    /// Finds the plugin and starts its answer. Nothing is awaited here, so the table is not held.
    fn dispatch(
        &self,
        asked: &Asked,
        mut raw: RawRequest,
    ) -> std::result::Result<Option<Dispatch>, Refused> {
        let table = self.core.registry.table();
        let mut captures = Vec::new();
        let entry = {
            let path = head::text(&raw.head, raw.head.path);
            match table.find_after(asked.passed, asked.surface, asked.method, path, &mut captures) {
                Found::Entry(entry)
                    if entry.pattern.first_literal().is_none() && is_reserved(path) =>
                {
                    return Ok(None);
                }
                Found::Entry(entry) => entry,
                Found::OtherMethods(methods) => return Err(Refused::Methods(methods)),
                Found::Nothing => return Ok(None),
            }
        };
        let Target::Route(route) = &entry.target else { return Ok(None) };
        if route.visibility == Visibility::SignedIn && self.visitor == Principal::Anonymous {
            return Err(Refused::Error(Error::unauthenticated(
                "this address needs somebody who is signed in",
            )));
        }
        if route.body_bytes_max > 0 {
            asked.body_limit.set(route.body_bytes_max).map_err(Refused::Error)?;
        }
        shift(&mut captures, raw.head.path.start);
        raw.head.captures = captures.into();
        let call = CallBuilder::new(self.visitor, asked.request_id.number())
            .app(asked.app)
            .deadline_ns(self.core.deadline_ns())
            .build();
        start(entry, &call, raw).map(Some).map_err(Refused::Error)
    }
}

/// What is known of a request besides what plugins see.
struct Asked {
    surface: Surface,
    app: Option<AppId>,
    method: Method,
    request_id: RequestId,
    body_limit: BodyLimit,
    /// How many routes had it and passed it on.
    passed: usize,
}

/// Why nobody was asked for an answer.
enum Refused {
    Methods(Vec<Method>),
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Where a request leads, with all decided that is to decide.
enum Led {
    App { app: AppId, preview_bytes: u32 },
    Visitor(Visit),
    Node,
    Admin,
    Redirect(Arc<str>),
    OtherHost(Arc<str>),
    Nowhere,
}

impl Led {
    fn of(core: &Core, request: &EdgeRequest) -> Self {
        match place(core, request) {
            Place::App { app, preview_bytes } => Self::App { app, preview_bytes },
            Place::Split(shares) => {
                let draw = || core.random_number();
                Visit::of(&request.raw.head, &shares, draw).map_or(Self::Nowhere, Self::Visitor)
            }
            Place::Node => Self::Node,
            Place::Admin => Self::Admin,
            Place::Redirect(url) => Self::Redirect(url),
            Place::OtherHost(host) => Self::OtherHost(host),
            Place::Unknown => Self::Nowhere,
        }
    }

    /// The app that answers.
    fn app(&self) -> Option<AppId> {
        match self {
            Self::App { app, .. } => Some(*app),
            Self::Visitor(visit) => Some(visit.app),
            Self::Node | Self::Admin | Self::Redirect(_) | Self::OtherHost(_) | Self::Nowhere => {
                None
            }
        }
    }
}

/// The place of a request's host.
///
/// On the machine itself (a loopback connection that nobody forwarded) `localhost` names the node
/// too, whatever its domain is: that is where a tunnel ends. The name opens nothing by itself; what
/// answers there asks for the same credentials.
fn place(core: &Core, request: &EdgeRequest) -> Place {
    let host = head::text(&request.raw.head, request.raw.head.host);
    let directory = core.directory.now();
    match surface::place(host, &core.domain(), &directory) {
        Place::Unknown if request.local => surface::place(host, LOCAL_DOMAIN, &directory),
        place => place,
    }
}

/// Starts the answer of a plugin.
fn start(entry: &Entry, call: &Call, request: RawRequest) -> Result<Dispatch> {
    let inside = entry.plugin.enter()?;
    let answer = entry.plugin.instance.handle(entry.number, call.as_raw(), request);
    Ok(Dispatch { inside, answer })
}

/// Captures are found in the path; the head's spans count from the start of its text.
fn shift(captures: &mut [Span], start: u32) {
    for capture in captures {
        capture.start += start;
    }
}

fn is_reserved(path: &str) -> bool {
    let first = path.get(1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    RESERVED_SEGMENTS.contains(&first)
}

/// Credentials of the node end here, before any plugin. What belongs to the app stays: a neighbor
/// that sets a cookie of our name for all subdomains takes nobody's own cookies away.
fn remove_credentials(request: &mut RawRequestHead) {
    for at in 0..request.fields.len() {
        let field = request.fields[at];
        if head::bytes(request, field.name) == b"cookie"
            && let Some(rest) = cookie::without_own(head::bytes(request, field.value))
        {
            request.fields[at].value = head::append(request, &rest);
        }
    }
    head::remove(request, |name, value| match name {
        b"authorization" => is_key(value),
        b"cookie" => value.is_empty(),
        _ => false,
    });
}

/// An API key of this node, however the scheme is spelled (RFC 9110 §11.4).
fn is_key(authorization: &[u8]) -> bool {
    authorization.split_at_checked(6).is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case(b"bearer") && rest.trim_ascii_start().starts_with(b"fzt_")
    })
}

/// An error as a response; defects go to the log with the id that the client sees.
fn fail(core: &Core, error: &Error, shape: Shape, request_id: RequestId) -> RawResponse {
    if error.kind() == fazt_sdk::ErrorKind::Internal {
        report(core, "routing", request_id, error);
    }
    edge::failure_response(error, shape, request_id)
}

fn report(core: &Core, source: &str, request_id: RequestId, error: &Error) {
    let fields = serde_json::json!({ "request_id": request_id.to_string(), "code": error.code() });
    core.telemetry.failure(source, error.message(), error, &fields.to_string());
}

/// The first value of a header, what of it is text.
fn first_value(head: &RawRequestHead, name: &str) -> String {
    let value = head::values(head, name).next().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// What is told about a request once it was answered.
struct Observed {
    app: Option<AppId>,
    host: String,
    path: String,
    method: Method,
    client: Ipv6Addr,
    agent: String,
    referrer: String,
    request_id: RequestId,
    started_ns: u64,
}

impl Observed {
    fn of(core: &Core, request: &EdgeRequest, app: Option<AppId>) -> Self {
        let head = &request.raw.head;
        Self {
            app,
            host: head::text(head, head.host).to_owned(),
            path: head::text(head, head.path).to_owned(),
            method: request.method,
            client: Ipv6Addr::from(head.client),
            agent: first_value(head, "user-agent"),
            referrer: first_value(head, "referer"),
            request_id: request.request_id,
            started_ns: core.monotonic_ns(),
        }
    }

    fn tell(self, core: &Core, status: u16) {
        let duration_us = core.monotonic_ns().saturating_sub(self.started_ns) / 1_000;
        core.telemetry.access_log.record(
            &core.telemetry,
            &serde_json::json!({
                "at_ms": core.now_ms(),
                "client": self.client.to_canonical().to_string(),
                "method": self.method.as_str(),
                "host": self.host,
                "path": self.path,
                "status": status,
                "duration_us": duration_us,
                "app": self.app.map(|app| app.to_string()),
                "user_agent": self.agent,
                "referrer": self.referrer,
                "request_id": self.request_id.to_string(),
            }),
        );
        if !core.events.wants_requests() {
            return;
        }
        let event = fazt_sdk::event::RequestFinished {
            app: self.app,
            host: self.host,
            path: self.path,
            method: self.method.as_str().to_owned(),
            status,
            duration_us,
            at_ms: core.now_ms(),
        };
        core.events.publish(
            <fazt_sdk::event::RequestFinished as fazt_sdk::Event>::NAME,
            &fazt_sdk::wire::to_vec(&event).into(),
        );
    }
}
