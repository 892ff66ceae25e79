//! From hyper's request to the canonical one: everything is decided here, once.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use abi_stable::std_types::{ROption, RVec};
use fazt_abi::http::{Field, RawBody, RawRequest, RawRequestHead, Span};
use fazt_sdk::call::RequestId;
use fazt_sdk::http::Method;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use http_body::Body as _;
use hyper::body::Incoming;

use super::address;
use super::body::IncomingBody;
use super::canonical::{self, Authority};
use super::connection::Link;
use super::failure::Refusal;
use super::gateway::{BodyLimit, EdgeRequest, Patience};
use super::limits::Limits;

/// What the operator decided about requests.
pub(super) struct Rules<'a> {
    pub(super) limits: &'a Limits,
    pub(super) trusted: &'a [address::Range],
}

/// Makes the canonical request; whether it asks for a socket is not looked at.
///
/// # Errors
/// The refusal that fits; the connection is closed after it.
pub(super) fn canonical(
    parts: &Parts,
    survey: &Survey<'_>,
    body: Incoming,
    link: &Arc<Link>,
    rules: &Rules<'_>,
    request_id: RequestId,
) -> Result<EdgeRequest, Refusal> {
    let method = method(&parts.method)?;
    survey.check_transfer_encoding()?;
    let raw_path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    if target_len(&parts.uri) as u64 > rules.limits.uri_bytes {
        return Err(Refusal::new(414, "URI_TOO_LONG", "the address is too long"));
    }
    let authority = authority(&parts.uri, survey)?;
    let path = canonical::path(raw_path.as_bytes()).map_err(bad)?;

    let mut text = Text::with_capacity(
        method.as_str().len()
            + authority.host.len()
            + authority.port.len()
            + raw_path.len()
            + query.len()
            + path.len()
            + survey.bytes,
    );
    let mut fields = Vec::with_capacity(parts.headers.len());
    let method_span = text.push(method.as_str().as_bytes());
    let host = text.push(authority.host.as_bytes());
    let port = text.push(authority.port.as_bytes());
    let raw_path_span = text.push(raw_path.as_bytes());
    let path_span = match &path {
        Cow::Borrowed(_) => raw_path_span,
        Cow::Owned(decoded) => text.push(decoded.as_bytes()),
    };
    let query = text.push(query.as_bytes());
    for (name, value) in &parts.headers {
        let name = text.push(name.as_str().as_bytes());
        fields.push(Field { name, value: text.push(value.as_bytes()) });
    }

    let origin = Origin::of(link, &parts.headers, survey, rules.trusted);
    let (raw_body, body_limit) = if body.is_end_stream() {
        (ROption::RNone, BodyLimit(None))
    } else {
        let body = Arc::new(IncomingBody::new(body, rules.limits.body_bytes, Arc::clone(link)));
        (ROption::RSome(RawBody::new(Arc::clone(&body))), BodyLimit(Some(body)))
    };
    let head = RawRequestHead {
        size: u32::try_from(size_of::<RawRequestHead>()).unwrap_or(u32::MAX),
        secure: u8::from(origin.secure),
        text: RVec::from(text.0),
        fields: RVec::from(fields),
        captures: RVec::new(),
        method: method_span,
        host,
        port,
        path: path_span,
        raw_path: raw_path_span,
        query,
        client: address::to_v6(origin.client).octets(),
        // Which part of the host is a preview label is for the router to say: the edge knows no names.
        preview: Span::default(),
    };
    Ok(EdgeRequest {
        method,
        request_id,
        raw: RawRequest { head, body: raw_body },
        local: origin.local,
        carries_credentials: survey.carries_credentials,
        accept: survey.accept.cloned(),
        expects_socket: false,
        peer_uid: link.peer.uid,
        body_limit,
        patience: Patience(Some(Arc::clone(link))),
    })
}

/// The text of the head while it grows; its size was counted before, and heads are far below 4 GiB.
struct Text(Vec<u8>);

impl Text {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    fn push(&mut self, bytes: &[u8]) -> Span {
        let at = |len| u32::try_from(len).unwrap_or(u32::MAX);
        let span = Span { start: at(self.0.len()), len: at(bytes.len()) };
        self.0.extend_from_slice(bytes);
        span
    }
}

fn bad(malformed: canonical::Malformed) -> Refusal {
    Refusal::new(400, "BAD_REQUEST", malformed.to_string())
}

/// The method, if it is one that routes can have.
fn method(method: &http::Method) -> Result<Method, Refusal> {
    match *method {
        http::Method::GET => Ok(Method::Get),
        http::Method::HEAD => Ok(Method::Head),
        http::Method::POST => Ok(Method::Post),
        http::Method::PUT => Ok(Method::Put),
        http::Method::PATCH => Ok(Method::Patch),
        http::Method::DELETE => Ok(Method::Delete),
        http::Method::OPTIONS => Ok(Method::Options),
        // A TRACE would echo cookies to scripts, a CONNECT would make an open proxy.
        http::Method::TRACE | http::Method::CONNECT => {
            Err(Refusal::new(405, "METHOD_NOT_ALLOWED", "this server does not answer this method")
                .with("allow", Method::ALL.map(Method::as_str).join(", ")))
        }
        _ => Err(Refusal::new(501, "UNKNOWN_METHOD", "this server does not know this method")),
    }
}

/// What one walk over the header fields finds.
#[derive(Default)]
pub(super) struct Survey<'a> {
    host: Option<&'a HeaderValue>,
    hosts: u32,
    coding: Option<&'a HeaderValue>,
    codings: u32,
    accept: Option<&'a HeaderValue>,
    carries_credentials: bool,
    was_forwarded: bool,
    /// There is an `Upgrade` field.
    pub(super) asks_upgrade: bool,
    /// Of all names and values together.
    bytes: usize,
}

impl<'a> Survey<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut survey = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            survey.bytes += name.len() + value.len();
            match name {
                "host" => {
                    survey.host = Some(value);
                    survey.hosts += 1;
                }
                "transfer-encoding" => {
                    survey.coding = Some(value);
                    survey.codings += 1;
                }
                "upgrade" => survey.asks_upgrade = true,
                "accept" => survey.accept = survey.accept.or(Some(value)),
                "cookie" | "authorization" => survey.carries_credentials = true,
                // Only proxies send these.
                "x-forwarded-for" | "forwarded" | "x-real-ip" | "via" => {
                    survey.was_forwarded = true;
                }
                _ => {}
            }
        }
        survey
    }

    /// Refuses codings other than `chunked` alone, which hyper would hand on undecoded
    /// (RFC 9112 §6.1).
    fn check_transfer_encoding(&self) -> Result<(), Refusal> {
        match self.coding {
            None => Ok(()),
            Some(value)
                if self.codings == 1 && value.as_bytes().eq_ignore_ascii_case(b"chunked") =>
            {
                Ok(())
            }
            Some(_) => Err(Refusal::new(
                501,
                "UNKNOWN_CODING",
                "the only transfer coding that this server knows is `chunked`",
            )),
        }
    }
}

fn target_len(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |target| target.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len())
}

/// The one authority of a request (RFC 9112 §3.2).
fn authority<'a>(uri: &'a Uri, survey: &Survey<'a>) -> Result<Authority<'a>, Refusal> {
    let Some(host) = survey.host.filter(|_| survey.hosts == 1) else {
        return Err(Refusal::new(400, "BAD_REQUEST", "exactly one `host` field is needed"));
    };
    let host = canonical::authority(host.as_bytes()).map_err(bad)?;
    let Some(target) = uri.authority() else { return Ok(host) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Refusal::new(400, "BAD_REQUEST", "the request target is not a path"));
    }
    let target = canonical::authority(target.as_str().as_bytes()).map_err(bad)?;
    if target != host {
        return Err(Refusal::new(400, "BAD_REQUEST", "the request target and `host` differ"));
    }
    Ok(target)
}

/// Where a request comes from.
struct Origin {
    client: IpAddr,
    secure: bool,
    local: bool,
}

impl Origin {
    fn of(
        link: &Link,
        headers: &HeaderMap,
        survey: &Survey<'_>,
        trusted: &[address::Range],
    ) -> Self {
        let Some(peer) = link.peer.address.map(|address| address.ip().to_canonical()) else {
            let client = IpAddr::from([127, 0, 0, 1]);
            return Self { client, secure: link.peer.secure, local: true };
        };
        let mut origin = Self {
            client: peer,
            secure: link.peer.secure,
            // Whatever passed through a proxy came from elsewhere, also when nobody configured it.
            local: peer.is_loopback() && !survey.was_forwarded,
        };
        if trusted.iter().any(|range| range.contains(peer)) {
            let forwarded = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
            origin.client = address::client(peer, forwarded, trusted);
            let mut schemes = headers.get_all("x-forwarded-proto").iter();
            origin.secure |=
                schemes.next().is_some_and(|scheme| scheme == "https") && schemes.next().is_none();
        }
        origin
    }
}
