//! Redirects of aliases and of domains.
//!
//! They are permanent, as search engines want them, and never kept without asking again, so that an
//! owner can take one back.

use std::fmt::Write as _;

use fazt_abi::http::{RawRequestHead, RawResponse};
use fazt_sdk::http::Response;

use super::head;
use crate::edge::canonical;

/// To the address of a redirect alias.
///
/// An address that ends with `/`, or that is nothing but a host, stands for everything below it: the
/// request's path and query are kept. Any other address is where everybody goes, as it is written.
pub(super) fn to_address(url: &str, request: &RawRequestHead) -> RawResponse {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (path, query) = target(request);
    if path == "/" && query.is_empty() || rest.contains(['?', '#']) {
        return moved(url);
    }
    match (url.strip_suffix('/'), rest.contains('/')) {
        (Some(base), _) => moved(&format!("{base}{path}{query}")),
        (None, false) => moved(&format!("{url}{path}{query}")),
        (None, true) => moved(url),
    }
}

/// To the same path on another host that leads to this node: over the same scheme and port.
pub(super) fn to_host(host: &str, request: &RawRequestHead) -> RawResponse {
    let scheme = if request.secure == 1 { "https" } else { "http" };
    let port = head::text(request, request.port);
    let colon = if port.is_empty() { "" } else { ":" };
    let (path, query) = target(request);
    moved(&format!("{scheme}://{host}{colon}{port}{path}{query}"))
}

fn moved(url: &str) -> RawResponse {
    Response::new(301).header("location", url).header("cache-control", "no-cache").into_raw()
}

/// Path and query of a request, in characters that a header can hold.
fn target(request: &RawRequestHead) -> (String, String) {
    let path = canonical::encode(head::text(request, request.path));
    let mut query = String::new();
    for byte in head::bytes(request, request.query) {
        if query.is_empty() {
            query.push('?');
        }
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'#') {
            query.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(query, "%{byte:02X}");
        }
    }
    (path, query)
}
