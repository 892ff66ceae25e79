//! One HTTP/1.1 exchange over a stream that is open, for the socket and for TCP alike.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::{Body, Reply, Request};
use crate::failure::Failure;

/// Sends `request` and returns the answer, whose body is still to be read.
pub(super) async fn exchange<S>(
    stream: S,
    host: &str,
    token: Option<&str>,
    place: &str,
    request: Request,
) -> Result<Reply, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let unanswered = |error: hyper::Error| {
        Failure::unreachable(format!("{place} closed the connection before it answered: {error}"))
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unanswered)?;
    let mut driver = JoinSet::new();
    // What breaks the connection also ends the request or its body, where it is reported.
    driver.spawn(async move { drop(connection.await) });

    let mut head = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.target)
        .header(http::header::HOST, host)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::USER_AGENT, concat!("fazt/", env!("CARGO_PKG_VERSION")));
    if let Some(content_type) = &request.content_type {
        head = head.header(http::header::CONTENT_TYPE, content_type);
    }
    if let Some(token) = token {
        head = head.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = head
        .body(request.body)
        .map_err(|error| Failure::failed(format!("the request cannot be sent: {error}")))?;
    let response = sender.send_request(request).await.map_err(|error| {
        // A body that failed to be read here is not the node's fault.
        match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Failure>())
        {
            Some(failure) => Failure::new(failure.exit, failure.message.clone()),
            None => unanswered(error),
        }
    })?;
    let status = response.status().as_u16();
    let body = Answer { body: response.into_body(), _driver: driver };
    Ok(Reply { status, body: Body::new(body.map_err(unanswered_later)) })
}

fn unanswered_later(error: hyper::Error) -> Failure {
    Failure::unreachable(format!("the answer broke off: {error}"))
}

/// A body together with what drives its connection.
struct Answer {
    body: Incoming,
    _driver: JoinSet<()>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
