//! The one way out of the node.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::{Wire, service};

/// A request to somebody else's server.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct OutboundRequest {
    /// The method, upper-case.
    pub method: String,
    /// An absolute `http` or `https` address, without a user name.
    pub url: String,
    /// Header fields, names in lower case. Those that belong to the connection are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long everything may take; the node's own limit and the call's deadline hold besides.
    pub timeout: Duration,
    /// The most bytes that the answer's body may have once it is decoded; the node's own limit holds
    /// besides.
    pub response_bytes_max: u64,
    /// What becomes of redirects.
    pub redirects: Redirects,
    /// The name of a secret of the app, which is added here and never seen by the app's code.
    pub auth: Option<String>,
    /// Answer from what was asked before, for at most this long; nothing is kept without it.
    pub cache: Option<Duration>,
}

impl OutboundRequest {
    /// A request without headers and body, with the limits that apps have.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            response_bytes_max: RESPONSE_BYTES_MAX,
            redirects: Redirects::Follow { most: REDIRECTS_MAX },
            auth: None,
            cache: None,
        }
    }
}

/// What becomes of redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum Redirects {
    /// They are followed, so many of them.
    Follow {
        /// How many.
        most: u32,
    },
    /// They are answers like any other.
    Answer,
    /// They are errors.
    Refuse,
}

/// What the other server answered.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// Header fields in their order, names in lower case. Those that speak of the body's transport
    /// (its length, its coding) are left out.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Who answered, after redirects.
    pub url: String,
    /// Whether redirects were followed.
    pub redirected: bool,
    /// Whether the answer was kept from an earlier request of the same app.
    pub from_cache: bool,
}

/// Outbound HTTP for every plugin. Provided by the kernel.
///
/// Addresses that are not public are refused after the name was resolved, on every redirect anew, and
/// what was judged is what is connected to. Credentials do not follow a redirect to another origin.
///
/// Errors have one of these codes: `NET_BLOCKED` (not allowed: do not try again), `NET_LIMIT` (too much
/// at a time: try again), `NET_TIMEOUT`, `NET_SIZE` (a bound of a request or an answer), `NET_AUTH`
/// (the secret is not there, or not for that host), `NET_ERROR` (the other side, or the network).
#[service("fazt.egress", 1)]
pub trait Egress {
    /// Sends `request` on behalf of the caller's app; on the node's own behalf without one.
    ///
    /// # Errors
    /// `Denied` for an address that is not public or not allowed for the app, `Busy`, `Timeout`,
    /// `TooLarge`, `Invalid` for what is no request, `Unavailable` when the other server cannot be
    /// reached or breaks off.
    async fn fetch(&self, call: &Call, request: &OutboundRequest) -> Result<OutboundResponse>;
    /// The same in the form of JavaScript: the JSON list of the arguments of
    /// `fazt.net.fetch(url, options)` in, the JSON of the answer out. Bytes are
    /// `{"$bytes": "<base64>"}`.
    ///
    /// # Errors
    /// As [`Self::fetch`]; `Invalid` for options that are not known.
    async fn fetch_json(&self, call: &Call, list: &str) -> Result<String>;
}

/// How long a request may take whose sender says nothing.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The largest body of an answer, in bytes, when the sender says nothing.
pub const RESPONSE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// How many redirects are followed when the sender says nothing.
pub const REDIRECTS_MAX: u32 = 5;
