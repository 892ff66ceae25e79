//! From a plugin's response to hyper's: checked, framed by us alone, never copied.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use abi_stable::std_types::{ROption, RResult};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::http::{RawBody, RawResponse, RawResponseBody, RawResponseHead, RawSocketHandler};
use fazt_sdk::call::RequestId;
use fazt_sdk::{Error, Result};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::connection::Link;
use super::gateway::BlobSource;
use super::prepared::PreparedHead;

/// Bytes of a blob that are in memory per response.
const BLOB_CHUNK_BYTES: u32 = 256 << 10;

/// Whether a field is the edge's own: it says how the message is framed or how long the connection
/// lives (RFC 9110 §7.6.1, RFC 9112 §6), which nobody behind the edge decides.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    matches!(
        *name,
        header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::CONNECTION
            | header::UPGRADE
            | header::TE
            | header::TRAILER
    ) || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// A response taken apart and checked, with the first bytes of its body at hand.
pub(super) enum Checked {
    /// An ordinary one.
    Plain(Plain),
    /// One that turns the connection into a WebSocket.
    Socket {
        /// The fields that the plugin adds to the handshake.
        headers: HeaderMap,
        /// Who serves the WebSocket.
        handler: RawSocketHandler,
    },
}

/// An ordinary response, not yet tied to a connection.
pub(super) struct Plain {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

/// The content of a response, not yet tied to a connection.
enum Content {
    Empty,
    /// No content, but its length is known: the answer to a HEAD request.
    Omitted(u64),
    Full(Bytes),
    Blob(Blob),
    Stream(Stream),
}

/// Checks a response. Reads the first chunk of a blob, so that one that is gone still becomes an
/// error and a small one is sent together with the head.
///
/// `headers` is a map to fill, empty but with room: usually the request's own.
///
/// # Errors
/// `Internal` for a response that HTTP does not allow; what storage says about a blob.
pub(super) async fn check(
    raw: RawResponse,
    mut headers: HeaderMap,
    is_head: bool,
    blobs: &Arc<dyn Blobs>,
) -> Result<Checked> {
    let status = StatusCode::from_u16(raw.status)
        .ok()
        .filter(|status| !status.is_informational() || *status == StatusCode::SWITCHING_PROTOCOLS)
        .ok_or_else(|| Error::internal(format!("{} is no status for a response", raw.status)))?;
    let claimed = fill(raw.head, raw.status, &mut headers)?;
    let content = match raw.body {
        RawResponseBody::WebSocket(handler) => {
            return Ok(Checked::Socket { headers, handler });
        }
        _ if status == StatusCode::SWITCHING_PROTOCOLS => {
            return Err(Error::internal("status 101 without a WebSocket"));
        }
        // RFC 9110 §15.3.5, §15.4.5.
        _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => Content::Empty,
        RawResponseBody::Empty if is_head => claimed.map_or(Content::Empty, Content::Omitted),
        RawResponseBody::Empty | RawResponseBody::Pass(_) => Content::Empty,
        RawResponseBody::Full(bytes) if is_head => Content::Omitted(bytes.as_slice().len() as u64),
        RawResponseBody::Full(bytes) => Content::Full(bytes.into()),
        RawResponseBody::Blob { len, .. } if is_head => Content::Omitted(len),
        RawResponseBody::Blob { len: 0, .. } => Content::Full(Bytes::new()),
        RawResponseBody::Blob { hash, start, len } => {
            let mut blob = Blob { blobs: Arc::clone(blobs), hash, start, left: len, next: None };
            let first = blob.read().await?;
            blob.take(first.len())?;
            if blob.left == 0 {
                Content::Full(first)
            } else {
                blob.next = Some(Next::Here(first));
                Content::Blob(blob)
            }
        }
        RawResponseBody::Stream(body) => {
            let len = match body.size() {
                u64::MAX => claimed,
                size => Some(size),
            };
            match len {
                Some(len) if is_head => Content::Omitted(len),
                None if is_head => Content::Empty,
                _ => Content::Stream(Stream { body, next: None, left: len }),
            }
        }
    };
    Ok(Checked::Plain(Plain { status, headers, content }))
}

/// Fills the map with the fields of a head and gives back the length that it claims.
fn fill(head: RawResponseHead, status: u16, headers: &mut HeaderMap) -> Result<Option<u64>> {
    let refuse = |name: &[u8], what: &str| {
        Error::internal(format!(
            "the {what} of response header `{}` is not one that HTTP allows (RFC 9110 §5)",
            String::from_utf8_lossy(name).escape_debug()
        ))
    };
    let encoded = match head {
        RawResponseHead::Prepared(handle) => {
            let prepared = PreparedHead::behind(&handle)
                .ok_or_else(|| Error::internal("the prepared head is not one of this process"))?;
            *headers = prepared.headers(status);
            return Ok(None);
        }
        RawResponseHead::Fields(encoded) => encoded,
    };
    let mut claimed = None;
    // One shared buffer instead of one per value.
    let shared = Bytes::from(encoded.into_vec());
    for (name, value) in fazt_sdk::http::fields(&shared) {
        let parsed = HeaderName::from_bytes(name).map_err(|_| refuse(name, "name"))?;
        if is_ours(&parsed) {
            if parsed == header::CONTENT_LENGTH {
                claimed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
            continue;
        }
        let value = HeaderValue::from_maybe_shared(shared.slice_ref(value))
            .map_err(|_| refuse(name, "value"))?;
        append(headers, parsed, value)?;
    }
    Ok(claimed)
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<()> {
    headers
        .try_append(name, value)
        .map(|_| ())
        .map_err(|_| Error::internal("a response has too many header fields"))
}

impl Plain {
    /// A response of nothing but a status.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Empty }
    }

    /// The response as it goes out over `link`. `closes` ends the connection after it.
    pub(super) fn finish(
        mut self,
        link: Arc<Link>,
        request_id: RequestId,
        closes: bool,
    ) -> Response<Outgoing> {
        if let Content::Omitted(len) = self.content {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        }
        if closes {
            self.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = Response::new(Outgoing { content: self.content, link, request_id });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The answer to a handshake (RFC 6455 §4.2.2).
pub(super) fn switch(
    mut headers: HeaderMap,
    accept: HeaderValue,
    link: Arc<Link>,
    request_id: RequestId,
) -> Response<Outgoing> {
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // Extensions are not negotiated: compression shared with a peer is a way to exhaust memory.
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    Plain { status: StatusCode::SWITCHING_PROTOCOLS, headers, content: Content::Empty }
        .finish(link, request_id, false)
}

/// [`BlobSource`] as an object; one box per chunk of 256 KiB.
pub(super) trait Blobs: Send + Sync + 'static {
    fn read(self: Arc<Self>, hash: [u8; 32], offset: u64, len_max: u32) -> ReadingBlob;
}

type ReadingBlob = Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>;

impl<B: BlobSource> Blobs for B {
    fn read(self: Arc<Self>, hash: [u8; 32], offset: u64, len_max: u32) -> ReadingBlob {
        Box::pin(async move { self.chunk(&hash, offset, len_max).await })
    }
}

/// Part of a blob on its way out.
struct Blob {
    blobs: Arc<dyn Blobs>,
    hash: [u8; 32],
    start: u64,
    /// Bytes that were not read yet.
    left: u64,
    next: Option<Next>,
}

enum Next {
    Here(Bytes),
    Coming(ReadingBlob),
}

impl Blob {
    fn read(&self) -> ReadingBlob {
        let len = u32::try_from(self.left).unwrap_or(u32::MAX).min(BLOB_CHUNK_BYTES);
        Arc::clone(&self.blobs).read(self.hash, self.start, len)
    }

    /// Counts a chunk that was read.
    fn take(&mut self, len: usize) -> Result<()> {
        let len = len as u64;
        if len == 0 || len > self.left {
            return Err(Error::internal("a blob is not as long as its response says"));
        }
        self.start += len;
        self.left -= len;
        Ok(())
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            match self.next.take() {
                Some(Next::Here(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Next::Coming(mut reading)) => match reading.as_mut().poll(context) {
                    Poll::Pending => {
                        self.next = Some(Next::Coming(reading));
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(bytes)) => {
                        return Poll::Ready(Some(self.take(bytes.len()).map(|()| bytes)));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                },
                None if self.left == 0 => return Poll::Ready(None),
                None => self.next = Some(Next::Coming(self.read())),
            }
        }
    }

    fn len(&self) -> u64 {
        let here = match &self.next {
            Some(Next::Here(bytes)) => bytes.len() as u64,
            Some(Next::Coming(_)) | None => 0,
        };
        self.left + here
    }
}

/// A plugin's stream on its way out; pulled only when the connection has room.
struct Stream {
    body: RawBody,
    next: Option<FfiFuture<ROption<RResult<RawBytes, RawError>>>>,
    /// Bytes still to come, when that is known.
    left: Option<u64>,
}

impl Stream {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = self.next.get_or_insert_with(|| self.body.next());
        let chunk = ready!(Pin::new(next).poll(context));
        self.next = None;
        Poll::Ready(match chunk {
            ROption::RSome(RResult::ROk(bytes)) => Some(self.count(bytes.into())),
            ROption::RSome(RResult::RErr(error)) => Some(Err(error.into())),
            ROption::RNone => match self.left {
                Some(left) if left > 0 => {
                    Some(Err(Error::internal(format!("a stream ended {left} bytes early"))))
                }
                _ => None,
            },
        })
    }

    fn count(&mut self, bytes: Bytes) -> Result<Bytes> {
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| Error::internal("a stream is longer than it said"))?;
        }
        Ok(bytes)
    }
}

/// The content of a response on its connection; dropping it ends the response.
pub(super) struct Outgoing {
    content: Content,
    link: Arc<Link>,
    request_id: RequestId,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.response_ends();
    }
}

/// Why a response could not be finished.
#[derive(Debug)]
pub(super) struct StreamFailure {
    pub(super) request_id: RequestId,
    pub(super) error: Error,
}

impl StreamFailure {
    /// The failure that made hyper give up, if that was the reason.
    pub(super) fn behind(error: &hyper::Error) -> Option<&Self> {
        error.source().and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the response of request {} ended early", self.request_id)
    }
}

impl StdError for StreamFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = StreamFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, StreamFailure>>> {
        let chunk = match &mut self.content {
            Content::Empty | Content::Omitted(_) => None,
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Some(Ok(bytes))
            }
            Content::Blob(blob) => ready!(blob.poll_next(context)),
            Content::Stream(stream) => ready!(stream.poll_next(context)),
        };
        Poll::Ready(chunk.map(|chunk| match chunk {
            Ok(bytes) => Ok(Frame::data(bytes)),
            Err(error) => {
                // The head is gone already: the client must see that this is not the whole.
                self.link.reset_at_end();
                Err(StreamFailure { request_id: self.request_id, error })
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty | Content::Omitted(_) => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Blob(blob) => blob.len() == 0 && blob.next.is_none(),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty | Content::Omitted(_) => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Blob(blob) => SizeHint::with_exact(blob.len()),
            Content::Stream(stream) => {
                stream.left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
