//! Requests, responses, streamed bodies and WebSockets.

use abi_stable::std_types::{RBox, ROption, RResult, RVec};

use crate::FfiFuture;
use crate::bytes::RawBytes;
use crate::error::RawError;

/// A range of bytes in the head's buffer.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

/// One header field of a request.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name, lower-case.
    pub name: Span,
    /// The value.
    pub value: Span,
}

/// The head of a request: one buffer, and where each part lies in it.
#[repr(C)]
#[derive(Debug)]
pub struct RawRequestHead {
    /// Size of this record as its maker knew it.
    pub size: u32,
    /// 1 when the client's connection is encrypted.
    pub secure: u8,
    /// All the text, concatenated.
    pub text: RVec<u8>,
    /// The header fields, in order.
    pub fields: RVec<Field>,
    /// The parameters that the route's pattern captured, in order.
    pub captures: RVec<Span>,
    /// The method, upper-case.
    pub method: Span,
    /// The canonical host: lower-case, no port, no trailing dot.
    pub host: Span,
    /// The port that the client asked for, as text; empty when it named none.
    pub port: Span,
    /// The canonical path, percent-decoded once.
    pub path: Span,
    /// The path as it was sent, still percent-encoded.
    pub raw_path: Span,
    /// The query without `?`.
    pub query: Span,
    /// The client's address, IPv4 mapped into IPv6.
    pub client: [u8; 16],
    /// The deployment that the host asks for by its preview label, a part of the host; empty when it
    /// asks for the one that is active.
    pub preview: Span,
}

/// A request as it crosses.
#[repr(C)]
#[derive(Debug)]
pub struct RawRequest {
    /// The head.
    pub head: RawRequestHead,
    /// The body, or nothing when the request has none.
    pub body: ROption<RawBody>,
}

interface! {
    /// A body that is read chunk by chunk.
    pub trait Body => BodyTable, RawBody {
        /// The next chunk; nothing at the end.
        fn next() -> FfiFuture<ROption<RResult<RawBytes, RawError>>>;
        /// Bytes that are still to come, or `u64::MAX` when unknown.
        fn size() -> u64;
    }
}

interface! {
    /// A response head that the host made ready once and sends many times.
    pub trait Prepared => PreparedTable, RawPrepared {
        /// The address of the host's own record, for the host that knows `key`; 0 for all others.
        fn address(key: u64) -> usize;
    }
}

impl RawPrepared {
    /// The host's own record behind this handle.
    ///
    /// # Safety
    /// `key` must be one that only implementations of [`Prepared`] with record type `T` answer to,
    /// and they must keep the record alive as long as the handle.
    #[must_use]
    pub unsafe fn record<T>(&self, key: u64) -> Option<&T> {
        let address = self.address(key);
        if address == 0 {
            return None;
        }
        // SAFETY: by the contract above a non-zero address is a live `T` owned by this object.
        Some(unsafe { &*std::ptr::with_exposed_provenance::<T>(address) })
    }
}

/// The head of a response.
#[repr(C, u8)]
#[derive(Debug)]
pub enum RawResponseHead {
    /// Fields as `u16` name length, `u32` value length (little endian), name, value; repeated.
    Fields(RVec<u8>),
    /// A head made ready by the host.
    Prepared(RawPrepared),
}

/// The body of a response.
#[repr(C, u8)]
#[derive(Debug)]
pub enum RawResponseBody {
    /// Nothing.
    Empty,
    /// All of it.
    Full(RawBytes),
    /// Part of a blob of the cartridge, streamed by the host.
    Blob {
        /// SHA-256 of the content.
        hash: [u8; 32],
        /// First byte.
        start: u64,
        /// Number of bytes.
        len: u64,
    },
    /// Chunk by chunk.
    Stream(RawBody),
    /// No body: the connection becomes a WebSocket that this handler serves.
    WebSocket(RawSocketHandler),
    /// No answer at all: the request, for whoever is next in the table of routes.
    Pass(RBox<RawRequest>),
}

/// A response as it crosses.
#[repr(C)]
#[derive(Debug)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// The head.
    pub head: RawResponseHead,
    /// The body.
    pub body: RawResponseBody,
}

/// One message of a WebSocket.
#[repr(C, u8)]
#[derive(Debug)]
pub enum RawMessage {
    /// UTF-8 text.
    Text(RawBytes),
    /// Bytes.
    Binary(RawBytes),
}

interface! {
    /// The host's side of a WebSocket: whole messages, framing and pings are the host's.
    pub trait Socket => SocketTable, RawSocket {
        /// The next message; nothing once the peer has closed.
        fn receive() -> FfiFuture<ROption<RResult<RawMessage, RawError>>>;
        /// Sends one message; ready when it has left the host's bounded buffer.
        fn send(message: RawMessage) -> FfiFuture<RResult<(), RawError>>;
        /// Closes with a code of RFC 6455 §7.4 and a reason of at most 123 bytes.
        fn close(code: u32, reason: RawBytes) -> FfiFuture<RResult<(), RawError>>;
    }
}

interface! {
    /// The plugin's side of a WebSocket.
    pub trait SocketHandler => SocketHandlerTable, RawSocketHandler {
        /// Serves one connection until it ends.
        fn run(socket: RawSocket) -> FfiFuture<RResult<(), RawError>>;
    }
}
