//! Whether a request came from a page of the host that it goes to.
//!
//! Sibling hosts are same-site, so nothing rests on `SameSite` or on `Sec-Fetch-Site: same-site`.

use fazt_abi::http::RawRequestHead;
use fazt_sdk::{Error, Result};

use super::head;

/// What a browser said about the page that sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// A page of this host, exactly.
    Own,
    /// Any other page, or one that hides its origin.
    Foreign,
    /// No browser said anything.
    Unsaid,
}

/// For requests that change something on the strength of a cookie: only our own page may send them.
///
/// # Errors
/// `Denied` for every other page, and when nothing says where the request came from.
pub(crate) fn require_own(request: &RawRequestHead) -> Result<()> {
    match page(request) {
        Page::Own => Ok(()),
        Page::Foreign | Page::Unsaid => Err(refused()),
    }
}

/// For requests that carry their own proof: another page may not send them, a program may.
///
/// # Errors
/// `Denied` for every other page.
pub(crate) fn refuse_foreign(request: &RawRequestHead) -> Result<()> {
    match page(request) {
        Page::Own | Page::Unsaid => Ok(()),
        Page::Foreign => Err(refused()),
    }
}

fn refused() -> Error {
    Error::denied("this request did not come from the admin page itself").with_code("CROSS_ORIGIN")
}

/// `Origin` decides (RFC 6454 §7.3), and `Sec-Fetch-Site` where there is none. Either given twice
/// is foreign.
fn page(request: &RawRequestHead) -> Page {
    let given = |name| head::values(request, name).next().is_some();
    if given("origin") {
        let own = head::only_value(request, "origin") == Some(&*own_origin(request));
        return if own { Page::Own } else { Page::Foreign };
    }
    match head::only_value(request, "sec-fetch-site") {
        Some("same-origin") => Page::Own,
        None if !given("sec-fetch-site") => Page::Unsaid,
        // `none`: a person typed the address, which sends no form.
        Some(_) | None => Page::Foreign,
    }
}

/// The origin of the host that the request goes to.
fn own_origin(request: &RawRequestHead) -> String {
    let scheme = if request.secure == 1 { "https" } else { "http" };
    let (host, port) = (head::text(request, request.host), head::text(request, request.port));
    let colon = if port.is_empty() { "" } else { ":" };
    format!("{scheme}://{host}{colon}{port}")
}
