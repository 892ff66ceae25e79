//! One request, from its head to the head of its response.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::Ipv6Addr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use fazt_abi::error::{RawError, guard_drop};
use fazt_sdk::call::RequestId;
use fazt_sdk::{Error, ErrorKind};
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::connection::Link;
use super::failure::{Refusal, Shape};
use super::gateway::{EdgeRequest, Gateway};
use super::handshake::{self, Handshake};
use super::request;
use super::response::{self, Checked, Outgoing, Plain};
use super::server::Shared;
use super::socket::Upgrade;

/// What is kept of a request while it is being answered.
struct Exchange {
    id: RequestId,
    is_head: bool,
    is_api: bool,
    accept: Option<HeaderValue>,
    link: Arc<Link>,
}

/// A valid handshake and the connection that comes free once it is answered.
type Opening = (Handshake, OnUpgrade);

/// Answers one request of a connection.
pub(super) async fn answer<G: Gateway>(
    shared: Arc<Shared<G>>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    link.request_begins();
    shared.counters.requests.fetch_add(1, Relaxed);
    let id = shared.next_id();
    let (mut parts, body) = request.into_parts();
    let understood = understand(&shared, &link, &mut parts, body, id);
    let Parts { method, uri, mut headers, .. } = parts;
    let is_api = Shape::is_of_api(uri.path());
    drop(uri);
    let mut exchange = Exchange { id, is_head: method == Method::HEAD, is_api, accept: None, link };
    let (request, opening) = match understood {
        Ok(understood) => understood,
        Err(refusal) => {
            exchange.accept = headers.remove(header::ACCEPT);
            return Ok(refuse(&shared, exchange, refusal, true).await);
        }
    };
    exchange.accept.clone_from(&request.accept);
    // Whoever opens the control socket is the owner.
    if request.peer_uid.is_none()
        && let Err(refusal) = shared.count(|| Ipv6Addr::from(request.raw.head.client).into())
    {
        return Ok(refuse(&shared, exchange, refusal, false).await);
    }
    // The request's own map is emptied and filled again: it has room already.
    headers.clear();
    // Pinned where it is made: moving it costs more than answering from memory.
    let work = pin!(respond(&shared, request, headers));
    let outcome = watch(&shared, &exchange.link, work).await;
    let checked = match outcome {
        Ok(checked) => checked,
        Err(error) => {
            shared.gateway.report(id, &error);
            return Ok(refuse(&shared, exchange, error.into(), false).await);
        }
    };
    Ok(match (checked, opening) {
        (Checked::Plain(plain), _) => plain.finish(exchange.link, id, false),
        (Checked::Socket { headers, handler }, Some((handshake, on_upgrade))) => {
            let upgrade = Upgrade { on_upgrade, handler, request_id: id };
            exchange.link.will_upgrade(upgrade);
            response::switch(headers, handshake.accept, exchange.link, id)
        }
        (Checked::Socket { .. }, None) => {
            let refusal = handshake::upgrade_required("this address speaks WebSocket only");
            refuse(&shared, exchange, refusal, false).await
        }
    })
}

/// Reads a request's head; what is left of `parts` is not needed to answer it.
fn understand<G: Gateway>(
    shared: &Shared<G>,
    link: &Arc<Link>,
    parts: &mut Parts,
    body: Incoming,
    id: RequestId,
) -> Result<(EdgeRequest, Option<Opening>), Refusal> {
    let survey = request::Survey::of(&parts.headers);
    let opening = if survey.asks_upgrade {
        let handshake = handshake::read(&parts.method, parts.version, &parts.headers)?;
        handshake.zip(parts.extensions.remove::<OnUpgrade>())
    } else {
        None
    };
    let rules = request::Rules { limits: &shared.limits, trusted: &shared.trusted };
    let mut request = request::canonical(parts, &survey, body, link, &rules, id)?;
    request.expects_socket = opening.is_some();
    Ok((request, opening))
}

/// Asks the gateway and checks what it says.
async fn respond<G: Gateway>(
    shared: &Shared<G>,
    request: EdgeRequest,
    headers: HeaderMap,
) -> Result<Checked, Error> {
    let is_head = request.method == fazt_sdk::http::Method::Head;
    let raw = shared.gateway.handle(request).await;
    response::check(raw, headers, is_head, &shared.blobs).await.map_err(|error| {
        // A blob that a response names is there, or something is wrong with the node.
        match error.kind() {
            ErrorKind::NotFound => Error::internal(error.message()),
            _ => error,
        }
    })
}

/// Runs `work` within the wall clock of a request, and turns a panic into an error.
///
/// Most requests are answered at the first poll and never see a timer. Time spent waiting for the
/// client's body does not count; how slow that may be has a limit of its own.
async fn watch<G: Gateway, T>(
    shared: &Shared<G>,
    link: &Link,
    work: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    let mut work = AssertUnwindSafe(work).catch_unwind();
    let first = poll_fn(|context| Poll::Ready(work.poll_unpin(context))).await;
    let outcome = match first {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => {
            let waited_before = link.body_waited();
            let (mut spent, mut allowed) = (0, shared.limits.request_ms);
            loop {
                let rest = Duration::from_millis(allowed - spent);
                if let Ok(outcome) = tokio::time::timeout(rest, &mut work).await {
                    break outcome;
                }
                spent = allowed;
                shared.update_clock();
                allowed = shared.limits.request_ms + link.body_waited() - waited_before;
                if link.is_patient() {
                    allowed = spent + shared.limits.request_ms;
                }
                if allowed <= spent {
                    shared.counters.timed_out.fetch_add(1, Relaxed);
                    return Err(Error::timeout("the answer took too long"));
                }
            }
        }
    };
    outcome.unwrap_or_else(|payload| {
        shared.counters.panics.fetch_add(1, Relaxed);
        let error = RawError::panicked(&*payload);
        guard_drop(payload);
        Err(error.into())
    })
}

/// The response to what is not answered otherwise.
async fn refuse<G: Gateway>(
    shared: &Shared<G>,
    exchange: Exchange,
    refusal: Refusal,
    closes: bool,
) -> Response<Outgoing> {
    let accept = exchange.accept.iter().map(HeaderValue::as_bytes);
    let raw = refusal.into_response(Shape::wanted(exchange.is_api, accept), exchange.id);
    match response::check(raw, HeaderMap::new(), exchange.is_head, &shared.blobs).await {
        Ok(Checked::Plain(plain)) => plain.finish(exchange.link, exchange.id, closes),
        // Only an error whose own text is no header value ends here.
        Ok(Checked::Socket { .. }) | Err(_) => {
            Plain::empty(StatusCode::INTERNAL_SERVER_ERROR).finish(exchange.link, exchange.id, true)
        }
    }
}
