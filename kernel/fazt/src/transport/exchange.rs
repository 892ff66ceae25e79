//! One HTTP/1.1 exchange over a connection that is open, for the socket and for TCP alike.
//!
//! A connection whose answer was read to its end can be used again: see [`Idle`].

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::{Body, Reply, Request};
use crate::failure::Failure;

/// An open connection, and what drives it.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// Starts HTTP/1.1 on `stream`.
    pub(super) async fn start<S>(stream: S, place: &str) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unanswered(place, &error))?;
        let mut driver = JoinSet::new();
        // What breaks the connection also ends the request or its body, where it is reported.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, _driver: driver })
    }
}

/// Connections that wait for the next request, at most [`IDLE_MAX`] of them.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Vec<Connection>>>);

impl Idle {
    /// One that is still open.
    pub(super) async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.sender.is_closed() {
            idle.push(connection);
        }
    }
}

/// Whom a request is for, and in whose name.
#[derive(Clone, Copy)]
pub(super) struct Addressee<'a> {
    /// The value of `Host`.
    pub(super) host: &'a str,
    /// The key.
    pub(super) token: Option<&'a str>,
    /// The node, as it is called in messages.
    pub(super) place: &'a str,
}

/// Sends `request` over an idle connection, or over one that `open` makes.
pub(super) async fn send<F>(
    open: impl Fn() -> F,
    idle: &Idle,
    to: Addressee<'_>,
    mut request: Request,
) -> Result<Reply, Failure>
where
    F: Future<Output = Result<Connection, Failure>>,
{
    loop {
        let (connection, is_new) = match idle.take().await {
            Some(connection) => (connection, false),
            None => (open().await?, true),
        };
        match exchange(connection, idle, to, request).await {
            Ok(reply) => return Ok(reply),
            Err(Unanswered::Failure(failure)) => return Err(failure),
            // An idle connection that the node closed meanwhile is nobody's fault.
            Err(Unanswered::Unsent(unsent)) if !is_new => request = unsent,
            Err(Unanswered::Unsent(_)) => {
                return Err(Failure::unreachable(format!(
                    "{} closes connections before anything is asked",
                    to.place
                )));
            }
        }
    }
}

/// How a request ended without an answer.
enum Unanswered {
    /// The connection was gone before anything was sent: the request can be sent over another one.
    Unsent(Request),
    /// It may have arrived.
    Failure(Failure),
}

/// Sends `request` and returns the answer, whose body is still to be read.
async fn exchange(
    mut connection: Connection,
    idle: &Idle,
    to: Addressee<'_>,
    request: Request,
) -> Result<Reply, Unanswered> {
    let Request { method, target, content_type, body } = request;
    let mut head = http::Request::builder()
        .method(method.as_str())
        .uri(&target)
        .header(http::header::HOST, to.host)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::USER_AGENT, concat!("fazt/", env!("CARGO_PKG_VERSION")));
    if let Some(content_type) = &content_type {
        head = head.header(http::header::CONTENT_TYPE, content_type);
    }
    if let Some(token) = to.token {
        head = head.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let message = head.body(body).map_err(|error| {
        Unanswered::Failure(Failure::failed(format!("the request cannot be sent: {error}")))
    })?;
    let response = match connection.sender.try_send_request(message).await {
        Ok(response) => response,
        Err(mut refused) => {
            if let Some(message) = refused.take_message() {
                let body = message.into_body();
                return Err(Unanswered::Unsent(Request { method, target, content_type, body }));
            }
            return Err(Unanswered::Failure(why(&refused.into_error(), to.place)));
        }
    };
    let location = response.headers().get(http::header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let body = Answer {
        body: response.into_body(),
        connection: Some(connection),
        idle: idle.clone(),
        is_at_end: false,
    };
    Ok(Reply { status, location, body: Body::new(body.map_err(unanswered_later)) })
}

/// A body that failed to be read here is not the node's fault.
fn why(error: &hyper::Error, place: &str) -> Failure {
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => unanswered(place, error),
    }
}

fn unanswered(place: &str, error: &hyper::Error) -> Failure {
    Failure::unreachable(format!("{place} closed the connection before it answered: {error}"))
        .hint("try again; what was stored stays stored")
}

fn unanswered_later(error: hyper::Error) -> Failure {
    Failure::unreachable(format!("the answer broke off: {error}"))
}

/// A body together with its connection, which is given back at the end.
struct Answer {
    body: Incoming,
    connection: Option<Connection>,
    idle: Idle,
    is_at_end: bool,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.is_at_end |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if (self.is_at_end || hyper::body::Body::is_end_stream(&self.body))
            && let Some(connection) = self.connection.take()
        {
            self.idle.put(connection);
        }
    }
}

/// The most connections that wait for the next request.
const IDLE_MAX: usize = 8;
