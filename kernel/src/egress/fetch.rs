//! One request of an app, from its address to the last byte of the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fazt_sdk::call::Call;
use fazt_sdk::services::egress::{OutboundRequest, OutboundResponse, Redirects};
use fazt_sdk::{AppId, Error, Result};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::timeout;

use super::cache::Key as CacheKey;
use super::client::{Failure, USER_AGENT, why};
use super::limits::Limits;
use super::line::Line;
use super::pool::Key;
use super::secret::Credential;
use super::target::{Place, Target};
use super::{address, body, failure, headers};
use crate::core::Core;

/// Sends `request` on behalf of the call's app.
///
/// # Errors
/// As `fazt.egress/1` says.
pub(super) async fn fetch(
    core: &Arc<Core>,
    call: &Call,
    request: &OutboundRequest,
) -> Result<OutboundResponse> {
    let limits = Limits::of(core);
    let left_ns = call.deadline_ns().saturating_sub(core.monotonic_ns());
    let time = request.timeout.min(limits.time_max).min(Duration::from_nanos(left_ns));
    let late = || failure::late(format!("there was no answer within {} ms", time.as_millis()));
    if time.is_zero() {
        return Err(late());
    }
    let work = Box::pin(Errand::prepare(core, call, request, limits));
    timeout(time, work).await.unwrap_or_else(|_| Err(late()))
}

/// A request on its way, through redirects.
struct Errand<'e> {
    core: &'e Core,
    app: Option<AppId>,
    limits: Limits,
    request: &'e OutboundRequest,
    method: Method,
    target: Target,
    fields: HeaderMap,
    content: Bytes,
    /// Sent to the origin that the request named, and to no other.
    credential: Option<Credential>,
}

impl<'e> Errand<'e> {
    /// Checks everything that can be checked here, and goes.
    async fn prepare(
        core: &'e Core,
        call: &'e Call,
        request: &'e OutboundRequest,
        limits: Limits,
    ) -> Result<OutboundResponse> {
        let app = call.app();
        let target = Target::parse(&request.url)?;
        let method = method(&request.method)?;
        let mut fields = headers::outgoing(&request.headers)?;
        fields.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        fields.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        if request.body.len() > limits.request_bytes_max {
            return Err(failure::too_large(format!(
                "the body of a request has at most {} bytes, and this one has {}; `egress.request_bytes` is the bound",
                limits.request_bytes_max,
                request.body.len()
            )));
        }
        if !request.body.is_empty() && matches!(method, Method::GET | Method::HEAD) {
            return Err(failure::invalid(format!("a {method} request has no body")));
        }
        core.egress.rules.judge(app, &target)?;
        let credential = match &request.auth {
            Some(name) => Some(Credential::find(core, call, name, &target).await?),
            None => None,
        };
        let key = CacheKey::of(app, request, target.url.as_str(), credential.as_ref());
        if let Some(kept) = key.and_then(|key| core.egress.cache.get(&key, core.egress_now()))
            // What was allowed when the answer came may not be allowed now.
            && core.egress.rules.judge(app, &Target::parse(&kept.url)?).is_ok()
        {
            return Ok(OutboundResponse { from_cache: true, ..OutboundResponse::clone(&kept) });
        }
        let slot = core.egress.slots.enter(app).await?;
        let content = Bytes::copy_from_slice(&request.body);
        let errand =
            Self { core, app, limits, request, method, target, fields, content, credential };
        let answer = errand.run().await?;
        drop(slot);
        if let (Some(key), Some(time)) = (key, request.cache) {
            let bytes_max = Limits::of(core).cache_bytes_max;
            core.egress.cache.put(key, &answer, time, core.egress_now(), bytes_max);
        }
        Ok(answer)
    }

    /// Asks, and asks again where a redirect leads.
    async fn run(mut self) -> Result<OutboundResponse> {
        let most = match self.request.redirects {
            Redirects::Follow { most } => most.min(REDIRECTS_MAX),
            Redirects::Answer | Redirects::Refuse => 0,
        };
        let mut asked = Vec::new();
        loop {
            let (mut line, response) = self.ask().await?;
            let (status, location) = (response.status(), location(response.headers()));
            match (self.request.redirects, location.filter(|_| is_redirect(status))) {
                (Redirects::Refuse, Some(_)) => {
                    return Err(failure::other_side(format!(
                        "{} answered with a redirect, which was not wanted",
                        self.target.shown()
                    )));
                }
                (Redirects::Follow { .. }, Some(location)) => {
                    if asked.len() >= most as usize {
                        return Err(failure::other_side(format!(
                            "{} redirects once more after {} redirects, which is the most",
                            self.target.shown(),
                            asked.len()
                        )));
                    }
                    asked.push((self.method.clone(), self.target.url.clone()));
                    self.redirect(status, &location)?;
                    if asked.contains(&(self.method.clone(), self.target.url.clone())) {
                        return Err(failure::other_side(format!(
                            "the redirects of {} go in a circle",
                            self.target.shown()
                        )));
                    }
                    // What is left of that answer is not worth reading: the connection goes.
                }
                _ => {
                    let (head, incoming) = response.into_parts();
                    let bytes_max = usize::try_from(self.request.response_bytes_max)
                        .unwrap_or(usize::MAX)
                        .min(self.limits.response_bytes_max);
                    let read =
                        body::read(incoming, &head.headers, bytes_max, self.limits.idle_time);
                    let content = line.during(Box::pin(read)).await?;
                    self.lay_down(line).await;
                    return Ok(OutboundResponse {
                        status: status.as_u16(),
                        headers: headers::incoming(&head.headers),
                        body: content,
                        url: self.target.url.to_string(),
                        redirected: !asked.is_empty(),
                        from_cache: false,
                    });
                }
            }
        }
    }

    /// Turns to where a redirect leads, with what may go there.
    fn redirect(&mut self, status: StatusCode, location: &str) -> Result<()> {
        let next = self.target.join(location)?;
        if self.target.is_secure() && !next.is_secure() {
            return Err(failure::blocked(format!(
                "{} redirects from https to http, at {}",
                self.target.shown(),
                next.shown()
            )));
        }
        self.core.egress.rules.judge(self.app, &next)?;
        let is_post = self.method == Method::POST;
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => is_post,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.content = Bytes::new();
            headers::drop_body(&mut self.fields);
        }
        if !self.target.is_same_origin(&next) {
            headers::leave_origin(&mut self.fields);
            self.credential = None;
        }
        self.target = next;
        Ok(())
    }

    /// Sends one request. A connection that lay idle may have been closed just then: what may be sent
    /// twice is, over a new one.
    async fn ask(&self) -> Result<(Line, http::Response<hyper::body::Incoming>)> {
        let addresses = self.addresses().await?;
        let key = Key::of(self.app, &self.target);
        let may_repeat = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if may_repeat
            && let Some(mut line) =
                self.core.egress.pool.take(&key, &addresses, self.core.egress_now())
            && let Ok(response) = line.send(self.message()?).await
        {
            return Ok((line, response));
        }
        let mut line = self.connect(&addresses).await?;
        let sent = timeout(self.limits.idle_time, line.send(self.message()?)).await;
        let sent = sent.map_err(|_| {
            failure::late(format!("{} took the request and says nothing", self.target.shown()))
        })?;
        let response = sent.map_err(|error| self.broken(&error))?;
        Ok((line, response))
    }

    /// The addresses of the target, every one of which may be asked.
    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let port = self.target.port();
        let found = match self.target.place() {
            Some(Place::Address(address)) => vec![SocketAddr::new(address, port)],
            Some(Place::Name(name)) => {
                self.refuse_own(&name)?;
                self.core.egress.resolve(&name, port).await.map_err(unreached)?
            }
            None => return Err(failure::invalid("the address names no host")),
        };
        // One bad address spoils all: who controls the name would choose which one is used.
        for found in &found {
            let ip = found.ip();
            if !address::is_public(ip) || address::is_own(ip) {
                return Err(failure::blocked(format!(
                    "{} has the address {ip}, which is not one of the public Internet",
                    self.target.shown()
                )));
            }
        }
        Ok(found)
    }

    /// Refuses the names of this node: what asks itself over the network may do so without end.
    fn refuse_own(&self, name: &str) -> Result<()> {
        let domain = self.core.domain();
        let below =
            name.strip_suffix(&*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if below || self.core.directory.now().domains.contains_key(name) {
            return Err(failure::blocked(format!(
                "{name} is a name of this node itself, which is not asked from inside"
            )));
        }
        Ok(())
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<Line> {
        let egress = &self.core.egress;
        let (stream, from) =
            egress.dial(addresses, self.limits.connect_time).await.map_err(unreached)?;
        let stream = if self.target.is_secure() {
            let host = self.target.shown();
            let handshake = egress.tls.over(stream, &host);
            timeout(self.limits.connect_time, handshake).await.map_err(|_| {
                failure::late(format!("{} does not finish the TLS handshake", self.target.shown()))
            })??
        } else {
            stream
        };
        Line::open(stream, from).await.map_err(|error| self.broken(&error))
    }

    fn message(&self) -> Result<Request<Full<Bytes>>> {
        let (mut url, mut fields) = (self.target.url.clone(), self.fields.clone());
        if let Some(credential) = &self.credential {
            credential.add(&mut url, &mut fields);
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut message = Request::builder()
            .method(self.method.clone())
            .uri(format!("{}{query}", url.path()))
            .header(header::HOST, self.target.authority())
            .body(Full::new(self.content.clone()))
            .map_err(|error| failure::invalid(format!("the address cannot be asked: {error}")))?;
        message.headers_mut().extend(fields);
        Ok(message)
    }

    /// Keeps the connection for the next request, if it can take one.
    async fn lay_down(&self, mut line: Line) {
        if matches!(timeout(REST_TIME, line.is_free()).await, Ok(true)) {
            let key = Key::of(self.app, &self.target);
            self.core.egress.pool.put(key, line, self.core.egress_now());
        }
    }

    fn broken(&self, error: &hyper::Error) -> Error {
        let host = self.target.shown();
        if error.is_parse_too_large() {
            return failure::too_large(format!("the head of the answer of {host} is too large"));
        }
        failure::other_side(format!("{host} does not answer as a web server does: {}", why(error)))
    }
}

/// Any method but those that ask for something else than an answer.
fn method(name: &str) -> Result<Method> {
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| failure::invalid(format!("`{name}` is no method")))?;
    if matches!(method, Method::CONNECT | Method::TRACE) || name.eq_ignore_ascii_case("TRACK") {
        return Err(failure::invalid(format!("{name} requests cannot be sent")));
    }
    Ok(method)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(fields: &HeaderMap) -> Option<String> {
    fields.get(header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn unreached(failure: Failure) -> Error {
    failure::other_side(failure.to_string())
}

/// The most redirects that are followed, whatever is asked for.
const REDIRECTS_MAX: u32 = 20;

/// How long a connection may take to be ready for the next request before it is closed.
const REST_TIME: Duration = Duration::from_millis(20);
