//! What the edge asks of the kernel: answer a request, read a blob.

use std::sync::Arc;

use bytes::Bytes;
use fazt_abi::http::{RawRequest, RawResponse};
use fazt_sdk::call::RequestId;
use fazt_sdk::http::Method;
use fazt_sdk::{Error, Result};
use http::HeaderValue;

use super::body::IncomingBody;
use super::connection::Link;

/// Answers requests. The edge knows nothing of apps or plugins; this is its only way to them.
pub trait Gateway: Send + Sync + 'static {
    /// Answers one canonical request. Never fails: errors are responses already.
    ///
    /// Called once per request, from any thread of the runtime; must not block. The future is
    /// dropped when the client leaves, when the edge stops, or `request_ms` after the call unless
    /// its [`Patience`] was asked for. A panic becomes a 500.
    fn handle(&self, request: EdgeRequest) -> impl Future<Output = RawResponse> + Send;

    /// Told about each defect that the edge met while it answered: a response that HTTP does not
    /// allow, a body that failed midway, a panic. For the log; must not block.
    fn report(&self, request_id: RequestId, error: &Error) {
        let _ = (request_id, error);
    }
}

/// Reads blobs of the cartridge for responses that name one.
pub trait BlobSource: Send + Sync + 'static {
    /// At most `len_max` bytes of the blob from `offset` on; fewer only at its end.
    ///
    /// Called again only after the last chunk was taken by the client's connection, so a slow
    /// client holds one chunk and nothing else.
    ///
    /// # Errors
    /// `NotFound` when there is no such blob; what storage says.
    fn chunk(
        &self,
        hash: &[u8; 32],
        offset: u64,
        len_max: u32,
    ) -> impl Future<Output = Result<Bytes>> + Send;
}

/// One request, canonical and checked.
#[derive(Debug)]
pub struct EdgeRequest {
    /// The method. HEAD stays HEAD; the edge drops the body of the response.
    pub method: Method,
    /// The id that logs and errors show.
    pub request_id: RequestId,
    /// The request as plugins see it; captures are empty.
    pub raw: RawRequest,
    /// The peer is a loopback or Unix socket on this machine and nobody forwarded the request.
    pub local: bool,
    /// The request has a `Cookie` or `Authorization` field.
    pub carries_credentials: bool,
    /// The first `Accept` field, for the shape of an error.
    pub accept: Option<HeaderValue>,
    /// The request is a valid WebSocket handshake (RFC 6455 §4.2.1).
    pub expects_socket: bool,
    /// The user id of the process at the other end of a Unix socket.
    pub peer_uid: Option<u32>,
    /// The limit of the body, for the route to change before it reads.
    pub body_limit: BodyLimit,
    /// The wall clock of the request, for the route to stop.
    pub patience: Patience,
}

/// Whether the wall clock of a request cuts it.
#[derive(Debug, Clone)]
pub struct Patience(pub(super) Option<Arc<Link>>);

impl Patience {
    /// The request may take as long as it takes. It still ends when the client leaves, and does not
    /// hold up a stop for longer than others.
    pub fn ask(&self) {
        if let Some(link) = &self.0 {
            link.be_patient();
        }
    }
}

/// How large the body of one request may become.
#[derive(Debug, Clone)]
pub struct BodyLimit(pub(super) Option<Arc<IncomingBody>>);

impl BodyLimit {
    /// Sets the limit in bytes. Nothing was read yet, so a client that waits for `100 Continue`
    /// (RFC 9110 §10.1.1) and announced too much is refused without having sent it.
    ///
    /// # Errors
    /// `TooLarge` when the client announced more; answer with it.
    pub fn set(&self, bytes: u64) -> Result<()> {
        match &self.0 {
            Some(body) => body.set_limit(bytes),
            None => Ok(()),
        }
    }

    /// The number of bytes that the client announced; nothing for chunked bodies.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |body| body.announced())
    }
}

impl EdgeRequest {
    /// A request that did not come over a socket: from inside this process, with no body limit.
    pub(crate) fn internal(method: Method, request_id: RequestId, raw: RawRequest) -> Self {
        Self {
            method,
            request_id,
            raw,
            local: true,
            carries_credentials: true,
            accept: None,
            expects_socket: false,
            peer_uid: None,
            body_limit: BodyLimit(None),
            patience: Patience(None),
        }
    }
}
