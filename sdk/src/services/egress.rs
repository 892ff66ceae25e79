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
    /// An absolute `http` or `https` address.
    pub url: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long everything may take.
    pub timeout: Duration,
    /// The most bytes that the answer's body may have once it is decoded.
    pub response_bytes_max: u64,
}

/// What the other server answered.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Outbound HTTP for every plugin. To be provided by the kernel.
///
/// Addresses that are not public are refused after the name was resolved, on every redirect anew;
/// credentials do not follow a redirect to another origin.
#[service("fazt.egress", 1)]
pub trait Egress {
    /// Sends `request` on behalf of the caller's app.
    ///
    /// # Errors
    /// `Denied` for an address that is not public or not allowed for the app, `Timeout`, `TooLarge`,
    /// `Unavailable` when the other server cannot be reached.
    async fn fetch(&self, call: &Call, request: &OutboundRequest) -> Result<OutboundResponse>;
}
