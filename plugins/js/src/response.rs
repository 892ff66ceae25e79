//! What a client gets: an app's own answer, or a coded error that says no more than it should.

use fazt_js_engine::protocol::Headers;
use fazt_sdk::json;
use fazt_sdk::prelude::*;

use crate::cells::reply::Failure;

/// Fields that are about the connection, which is the node's (RFC 9110 §7.6.1), and the length, which
/// the edge counts.
const NOT_THE_APPS: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Seconds after which an overloaded app is worth another try.
const RETRY_AFTER_S: &str = "1";

/// Status and headers of an app's answer.
pub(crate) fn head(status: u16, headers: &str) -> Response {
    let mut response = Response::new(status);
    for (name, value) in Headers(headers).iter() {
        if NOT_THE_APPS.contains(&name) {
            continue;
        }
        if value.is_ascii() {
            response = response.header(name, value);
        } else {
            // The characters up to 255 are the bytes of that number; there are no others.
            let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
            response = response.header(name, bytes);
        }
    }
    response
}

/// An app's answer that is there as a whole.
pub(crate) fn whole(status: u16, headers: &str, body: Bytes) -> Response {
    let head = head(status, headers);
    if body.is_empty() { head } else { head.body(body) }
}

/// What a failure of an app's code looks like from outside.
pub(crate) fn failed(call: &Call, failure: &Failure, dev: bool) -> Response {
    let (status, message) = match &*failure.code {
        "CPU_LIMIT" => (504, "the app took more processor time than it may"),
        "WALL_LIMIT" => (504, "the app took longer than it may"),
        "MEMORY_LIMIT" => (500, "the app took more memory than it may"),
        "STACK_LIMIT" => (500, "the app called too deep"),
        "RESPONSE_TOO_LARGE" => (500, "the app's answer is larger than it may be"),
        "NEVER_SETTLED" => (500, "the app never answers"),
        "NO_HANDLER" => (500, "the app has no handler for requests"),
        "LOAD_ERROR" => (500, "the app's code does not load"),
        "MALFORMED_BODY" => (400, "the request's body is not what its type says"),
        _ => (500, "the app failed"),
    };
    if dev {
        let details = json!({ "message": failure.message, "stack": failure.stack });
        return error(call, status, &failure.code, message, Some(details));
    }
    error(call, status, &failure.code, message, None)
}

/// The cell that was to answer is gone.
pub(crate) fn lost(call: &Call) -> Response {
    error(call, 502, "CELL_LOST", "the app's process ended before it answered", None)
}

/// There is no cell for the request now.
pub(crate) fn overloaded(call: &Call, why: &Error) -> Response {
    // What the app itself has used up is not the node's fault (RFC 6585 §4).
    let status = if why.code() == "CPU_QUOTA" { 429 } else { 503 };
    let response = error(call, status, why.code(), why.message(), None);
    response.header("retry-after", RETRY_AFTER_S)
}

fn error(
    call: &Call,
    status: u16,
    code: &str,
    message: &str,
    details: Option<fazt_sdk::Json>,
) -> Response {
    let mut error = json!({
        "code": code,
        "message": message,
        "request_id": call.request_id().to_string(),
    });
    if let (Some(details), Some(fields)) = (details, error.as_object_mut()) {
        fields.insert("details".to_owned(), details);
    }
    Response::new(status)
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .body(json!({ "error": error }).to_string())
}
