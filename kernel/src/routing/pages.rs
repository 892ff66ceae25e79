//! The node's own small answers. All constant: no request text is ever echoed.

use fazt_abi::http::{RawRequestHead, RawResponse};
use fazt_sdk::call::RequestId;
use fazt_sdk::http::{Method, Response};

use super::head;
use crate::Core;
use crate::directory::probe::PREFIX;
use crate::edge::{self, Shape};

fn page(status: u16, html: &'static str) -> RawResponse {
    Response::new(status)
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
        .body(html.as_bytes())
        .into_raw()
}

/// The same page for every host that leads nowhere.
pub(super) fn unknown_host() -> RawResponse {
    page(404, include_str!("unknown_host.html"))
}

/// Nothing here.
pub(super) fn not_found() -> RawResponse {
    page(404, include_str!("not_found.html"))
}

/// The answer to a question that the node asks itself under one of its domains.
pub(super) fn domain_check(core: &Core, request: &RawRequestHead) -> Option<RawResponse> {
    let path = head::text(request, request.path);
    if !path.starts_with(PREFIX) {
        return None;
    }
    let answer = core.probes.answer(head::text(request, request.host), path)?;
    Some(Response::text(answer).header("cache-control", "no-store").into_raw())
}

/// Whether the node answers this path below `/_fazt/` itself.
pub(super) fn is_own(path: &str) -> bool {
    path == "/_fazt/health"
}

/// What the node answers itself under `/_fazt/`, on its own name and on every app's hosts.
pub(super) fn own(path: &str, method: Method, request_id: RequestId) -> RawResponse {
    match (path, method) {
        ("/_fazt/health", Method::Get | Method::Head) => {
            Response::text("ok\n").header("cache-control", "no-store").into_raw()
        }
        ("/_fazt/health", _) => edge::method_not_allowed(&[Method::Get], Shape::Text, request_id),
        _ => not_found(),
    }
}
