//! Requests, responses and bodies.
//!
//! A [`Request`] arrives canonical: the host is lower-case without a port, the path is decoded
//! once and has no dot segments, the client's address is the one that the node trusts. Dropping a
//! handler's future means that the client left.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RBox, ROption, RResult, RVec};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::{
    self as raw, RawBody, RawPrepared, RawRequest, RawResponse, RawResponseBody, RawResponseHead,
    Span,
};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::error::{Error, Result};
use crate::socket::SocketHandler;

pub use Method::{Delete as DELETE, Get as GET, Patch as PATCH, Post as POST, Put as PUT};

/// A request method (RFC 9110 §9). `HEAD` requests reach `Get` routes; the kernel drops the body.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The method as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// The method of that name, exactly as written.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// Answers the requests of one route.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An error becomes the response that fits its kind.
    fn call(&self, call: &Call, request: Request) -> impl Future<Output = Result<Response>> + Send;
}

/// A request.
pub struct Request {
    head: raw::RawRequestHead,
    body: Body,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}{}", self.method(), self.host(), self.path())
    }
}

impl Request {
    #[doc(hidden)]
    #[must_use]
    pub fn from_raw(request: RawRequest) -> Self {
        let body = match request.body {
            ROption::RSome(body) => Body(Inner::Remote(body)),
            ROption::RNone => Body(Inner::Empty),
        };
        Self { head: request.head, body }
    }

    fn text(&self, span: Span) -> &str {
        let (start, end) = (span.start as usize, span.start as usize + span.len as usize);
        self.head
            .text
            .get(start..end)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn bytes(&self, span: Span) -> &[u8] {
        let (start, end) = (span.start as usize, span.start as usize + span.len as usize);
        self.head.text.get(start..end).unwrap_or_default()
    }

    /// The method, upper-case.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(self.head.method)
    }

    /// The method as bytes, upper-case.
    #[must_use]
    pub fn raw_method(&self) -> &[u8] {
        self.bytes(self.head.method)
    }

    /// The canonical host: lower-case, no port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text(self.head.host)
    }

    /// The preview label that the host begins with: `k3x` in `k3x--blog.example.com`, which asks for
    /// one deployment of the app behind `blog`, whichever is active. Nothing on every other host.
    #[must_use]
    pub fn preview(&self) -> Option<&str> {
        Some(self.text(self.head.preview)).filter(|label| !label.is_empty())
    }

    /// The port that the client named, as text; empty when none.
    #[must_use]
    pub fn port(&self) -> &str {
        self.text(self.head.port)
    }

    /// The canonical path, decoded once, starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text(self.head.path)
    }

    /// The path as sent, percent-encoded.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.text(self.head.raw_path)
    }

    /// The query without `?`, percent-encoded; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.text(self.head.query)
    }

    /// The first header of that name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head
            .fields
            .iter()
            .find(|field| self.bytes(field.name) == name.as_bytes())
            .map(|field| self.bytes(field.value))
    }

    /// The first header of that name as text; nothing when it is not visible ASCII or UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.fields.iter().map(|field| (self.text(field.name), self.bytes(field.value)))
    }

    /// All headers, in order, as bytes. Names are in lower case.
    pub fn raw_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.fields.iter().map(|field| (self.bytes(field.name), self.bytes(field.value)))
    }

    /// What the route's pattern captured at position `index`, counted from 0.
    #[must_use]
    pub fn capture(&self, index: usize) -> &str {
        self.head.captures.get(index).map_or("", |span| self.text(*span))
    }

    /// The client's address.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        let address = Ipv6Addr::from(self.head.client);
        address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
    }

    /// Whether the client's connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.head.secure == 1
    }

    /// The body.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Takes the body.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}

/// Produces a body chunk by chunk.
pub trait BodySource: Send + 'static {
    /// The next chunk; nothing at the end. Called again only after the last one was taken.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes>>> + Send;
}

enum Inner {
    Empty,
    Full(Option<Bytes>),
    Remote(RawBody),
}

/// A body that is read chunk by chunk.
pub struct Body(Inner);

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Inner::Empty => "Body(empty)",
            Inner::Full(_) => "Body(full)",
            Inner::Remote(_) => "Body(stream)",
        })
    }
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// A body that is there already.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        Self(Inner::Full(Some(bytes)))
    }

    /// A body that `source` produces.
    #[must_use]
    pub fn source(source: impl BodySource) -> Self {
        Self(Inner::Remote(RawBody::new(Arc::new(Streamed { source: Mutex::new(Some(source)) }))))
    }

    #[doc(hidden)]
    #[must_use]
    pub fn into_raw(self) -> ROption<RawBody> {
        match self.0 {
            Inner::Empty | Inner::Full(None) => ROption::RNone,
            Inner::Full(Some(bytes)) => {
                let source = OnePart(Some(bytes));
                ROption::RSome(RawBody::new(Arc::new(Streamed {
                    source: Mutex::new(Some(source)),
                })))
            }
            Inner::Remote(body) => ROption::RSome(body),
        }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn from_response(body: RawResponseBody) -> Self {
        match body {
            RawResponseBody::Full(bytes) => Self::full(bytes.into()),
            RawResponseBody::Stream(body) => Self(Inner::Remote(body)),
            RawResponseBody::Empty
            | RawResponseBody::Blob { .. }
            | RawResponseBody::WebSocket(_)
            | RawResponseBody::Pass(_) => Self::empty(),
        }
    }

    /// The next chunk; nothing at the end.
    ///
    /// An error means that the client left or broke a limit; there is nothing after it.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        match &mut self.0 {
            Inner::Empty => None,
            Inner::Full(bytes) => bytes.take().map(Ok),
            Inner::Remote(body) => match body.next().await {
                ROption::RSome(RResult::ROk(bytes)) => Some(Ok(bytes.into())),
                ROption::RSome(RResult::RErr(error)) => Some(Err(error.into())),
                ROption::RNone => None,
            },
        }
    }

    /// All of it, up to `bytes_max`.
    ///
    /// # Errors
    /// `TooLarge` past `bytes_max`; what the transport says.
    pub async fn collect(&mut self, bytes_max: usize) -> Result<Bytes> {
        let mut whole: Vec<u8> = Vec::new();
        let mut first: Option<Bytes> = None;
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            let so_far = first.as_ref().map_or(whole.len(), Bytes::len);
            if so_far + chunk.len() > bytes_max {
                return Err(Error::too_large(format!("the body is larger than {bytes_max} bytes")));
            }
            // One chunk is the common case and needs no copy.
            if whole.is_empty() && first.is_none() {
                first = Some(chunk);
            } else {
                if let Some(first) = first.take() {
                    whole.extend_from_slice(&first);
                }
                whole.extend_from_slice(&chunk);
            }
        }
        Ok(first.unwrap_or_else(|| Bytes::from(whole)))
    }
}

/// A source of one chunk.
struct OnePart(Option<Bytes>);

impl BodySource for OnePart {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.take().map(Ok)
    }
}

/// A response head that the host keeps ready; made by `Host::prepare`.
#[derive(Debug, Clone)]
pub struct PreparedHead(pub(crate) RawPrepared);

/// A response.
#[derive(Debug)]
pub struct Response {
    status: u16,
    head: Head,
    body: RawResponseBody,
}

#[derive(Debug)]
enum Head {
    Fields(Vec<u8>),
    Prepared(RawPrepared),
}

/// Appends a field in the encoding of [`RawResponseHead::Fields`].
pub(crate) fn push_field(fields: &mut Vec<u8>, name: &str, value: &[u8]) {
    let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    fields.extend_from_slice(&name_len.to_le_bytes());
    fields.extend_from_slice(&value_len.to_le_bytes());
    fields.extend_from_slice(&name.as_bytes()[..usize::from(name_len)]);
    fields.extend_from_slice(value);
}

/// Walks fields in the encoding of [`RawResponseHead::Fields`]; ends early where they are cut.
#[doc(hidden)]
pub fn fields(mut encoded: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (lengths, rest) = encoded.split_at_checked(6)?;
        let name_len = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
        let value_len =
            u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]) as usize;
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        encoded = rest;
        Some((name, value))
    })
}

impl Response {
    /// A response with no headers and no body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, head: Head::Fields(Vec::new()), body: RawResponseBody::Empty }
    }

    /// A response whose head is ready.
    #[must_use]
    pub fn prepared(status: u16, head: &PreparedHead) -> Self {
        Self { status, head: Head::Prepared(head.0.clone()), body: RawResponseBody::Empty }
    }

    /// Plain text, 200.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(200).header("content-type", "text/plain; charset=utf-8").body(text.into())
    }

    /// HTML, 200.
    #[must_use]
    pub fn html(html: impl Into<String>) -> Self {
        Self::new(200).header("content-type", "text/html; charset=utf-8").body(html.into())
    }

    /// JSON, 200.
    ///
    /// # Errors
    /// `Internal` when `value` has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::internal(format!("a reply has no JSON form: {error}")))?;
        Ok(Self::new(200).header("content-type", "application/json").body(bytes))
    }

    /// A WebSocket: the kernel answers the handshake (RFC 6455 §4.2) and `handler` sees messages.
    #[must_use]
    pub fn websocket(handler: impl SocketHandler) -> Self {
        Self {
            status: 101,
            head: Head::Fields(Vec::new()),
            body: RawResponseBody::WebSocket(crate::socket::handler(handler)),
        }
    }

    /// No answer: the request goes on to the next route that matches its path, of whichever plugin.
    /// When there is none, nothing is found. For requests whose body nobody has touched.
    #[must_use]
    pub fn pass(request: Request) -> Self {
        let raw = RawRequest { head: request.head, body: request.body.into_raw() };
        Self {
            status: 404,
            head: Head::Fields(Vec::new()),
            body: RawResponseBody::Pass(RBox::new(raw)),
        }
    }

    /// With this status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header; the name in lower case. On a prepared head it has no effect.
    ///
    /// A name or value that HTTP does not allow (RFC 9110 §5.5) makes the response a 500.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Head::Fields(fields) = &mut self.head {
            push_field(fields, name, value.as_ref());
        }
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = RawResponseBody::Full(bytes.into().into());
        self
    }

    /// With part of a blob as the body, streamed by the kernel.
    #[must_use]
    pub fn blob(mut self, hash: [u8; 32], start: u64, len: u64) -> Self {
        self.body = RawResponseBody::Blob { hash, start, len };
        self
    }

    /// With a streamed body.
    #[must_use]
    pub fn stream(mut self, source: impl BodySource) -> Self {
        self.body = RawResponseBody::Stream(RawBody::new(Arc::new(Streamed {
            source: Mutex::new(Some(source)),
        })));
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn into_raw(self) -> RawResponse {
        let head = match self.head {
            Head::Fields(fields) => RawResponseHead::Fields(RVec::from(fields)),
            Head::Prepared(prepared) => RawResponseHead::Prepared(prepared),
        };
        RawResponse { status: self.status, head, body: self.body }
    }
}

/// A source behind the boundary. It is taken out while its next chunk is made, so that no lock is
/// held across an await; a dropped `next` drops the source, and the body ends with an error.
struct Streamed<S> {
    source: Mutex<Option<S>>,
}

impl<S: BodySource> raw::Body for Streamed<S> {
    fn next(self: &Arc<Self>) -> FfiFuture<ROption<RResult<RawBytes, RawError>>> {
        let this = Arc::clone(self);
        guarded(async move {
            let taken = this.source.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut source) = taken else {
                return ROption::RNone;
            };
            match source.next().await {
                Some(Ok(bytes)) => {
                    *this.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
                    ROption::RSome(RResult::ROk(bytes.into()))
                }
                Some(Err(error)) => ROption::RSome(RResult::RErr(error.into())),
                None => ROption::RNone,
            }
        })
    }

    fn size(self: &Arc<Self>) -> u64 {
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_and_cut_ones_end_the_walk() {
        let mut encoded = Vec::new();
        push_field(&mut encoded, "etag", b"\"x\"");
        push_field(&mut encoded, "vary", b"");
        assert_eq!(
            fields(&encoded).collect::<Vec<_>>(),
            [(&b"etag"[..], &b"\"x\""[..]), (b"vary", b"")]
        );
        for len in 0..encoded.len() {
            assert!(fields(&encoded[..len]).count() < 2);
        }
    }
}
