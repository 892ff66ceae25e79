//! How a command reaches a node: over HTTP with a key, over its socket, or in this process.
//!
//! The three speak the same admin API; a command does not see which one it uses. Bodies stream in
//! both directions.

mod body;
mod exchange;
mod http;
mod in_process;
mod tls;
mod unix;

use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use fazt_sdk::http::Method;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use serde_json::Value;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::locate::Place;

pub(crate) use in_process::Inside;

/// A body that is read chunk by chunk.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

/// A request to the admin API.
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// Path and query, percent-encoded.
    pub(crate) target: String,
    /// The type of the body, when there is one.
    pub(crate) content_type: Option<String>,
    /// The body.
    pub(crate) body: Body,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), content_type: None, body: empty() }
    }

    /// With this JSON document as the body.
    pub(crate) fn json(mut self, document: &Value) -> Self {
        self.content_type = Some("application/json".to_owned());
        self.body = full(document.to_string());
        self
    }

    /// With this body.
    pub(crate) fn body(mut self, content_type: &str, body: Body) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.body = body;
        self
    }
}

/// A node's answer.
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    /// The body.
    pub(crate) body: Body,
}

/// A future of a transport.
pub(crate) type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// One way to a node.
pub(crate) trait Transport: Send + Sync {
    /// The node, as it is called in messages.
    fn place(&self) -> &str;

    /// Whether visitors are served while this command runs, and after it.
    fn is_serving(&self) -> bool {
        true
    }

    /// Sends one request; several may be on their way. Answers of every status are replies;
    /// failures mean that none came.
    fn send(&self, request: Request) -> Sending<'_, Reply>;

    /// Ends the connection in order: what was written stays written.
    fn close(self: Box<Self>) -> Sending<'static, ()>;
}

/// The way to the node at `url`, with a key.
///
/// # Errors
/// The address or the key cannot be; nothing is sent yet.
pub(crate) fn to_url(
    url: &str,
    token: &str,
    environment: &Environment,
) -> Result<Box<dyn Transport>, Failure> {
    Ok(Box::new(http::HttpTransport::new(url, token, environment.authorities.as_deref())?))
}

/// The way to this place.
///
/// A cartridge whose node runs is reached through the node's socket; a closed one is opened here.
pub(crate) async fn connect(place: &Place) -> Result<Box<dyn Transport>, Failure> {
    match place {
        Place::Socket(socket) => match unix::UnixTransport::connect(socket).await? {
            Some(transport) => Ok(Box::new(transport)),
            None => Err(Failure::unreachable(format!(
                "no node answers at {}: it stopped without removing its socket",
                socket.display()
            ))
            .hint("start it, or name a cartridge with --db PATH")),
        },
        Place::Cartridge(path) => cartridge(path).await,
    }
}

async fn cartridge(path: &Path) -> Result<Box<dyn Transport>, Failure> {
    // The socket lies beside the file itself, whatever links lead to it.
    let file = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match unix::UnixTransport::connect(&fazt_kernel::socket_path(&file)).await? {
        Some(transport) => Ok(Box::new(transport)),
        None => Ok(Box::new(in_process::InProcess::open(path).await?)),
    }
}

/// Sends one request and reads the answer's envelope: `data` and `meta`.
pub(crate) async fn ask(transport: &dyn Transport, request: Request) -> Result<Envelope, Failure> {
    let reply = transport.send(request).await?;
    let status = reply.status;
    if let (300..400, Some(location)) = (status, &reply.location) {
        return Err(redirected(transport.place(), location));
    }
    let body = collect(reply.body).await?;
    if !(200..300).contains(&status) {
        return Err(Failure::of_reply(status, &body, transport.place()));
    }
    if body.is_empty() {
        return Ok(Envelope { data: Value::Null, meta: Value::Null });
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Object(mut envelope)) if envelope.contains_key("data") => Ok(Envelope {
            data: envelope.remove("data").unwrap_or_default(),
            meta: envelope.remove("meta").unwrap_or_default(),
        }),
        Ok(_) | Err(_) => Err(Failure::failed(format!(
            "{} answered {status} and not as a node does",
            transport.place()
        ))
        .hint("is that the address of a node?")),
    }
}

/// A key goes only where somebody said that it may, so nobody else's word sends it on.
fn redirected(place: &str, location: &str) -> Failure {
    Failure::failed(format!("{place} sends elsewhere, to {location}, and a key does not follow"))
        .hint("give the address of the node itself with --to")
}

/// What a node answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Envelope {
    /// The result.
    pub(crate) data: Value,
    /// What is said about the result, such as whether there is more.
    pub(crate) meta: Value,
}

/// The whole body, up to the bound of one reply.
pub(crate) async fn collect(body: Body) -> Result<Bytes, Failure> {
    let read = Limited::new(body, REPLY_BYTES_MAX).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| match error.downcast() {
        Ok(failure) => *failure,
        Err(_) => Failure::failed(format!(
            "the answer is larger than {} MiB",
            REPLY_BYTES_MAX / 1024 / 1024
        ))
        .hint("ask for less at a time, as with --limit"),
    })
}

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The largest answer that is kept in memory: 64 MiB.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
