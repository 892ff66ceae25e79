//! An error as a response: a code and a sentence for the client, never the inside of the node.

use fazt_abi::http::RawResponse;
use fazt_sdk::call::RequestId;
use fazt_sdk::http::{Method, Response};
use fazt_sdk::{Error, ErrorKind};
use serde_json::json;

/// The shape of an error's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"error": {"code", "message", "details"?, "request_id"}}`.
    Json,
    /// One line of plain text, and one with the id of the request.
    Text,
}

impl Shape {
    /// What fits a request: JSON under `/api` and for clients that ask for it, else text.
    #[must_use]
    pub fn of<'a>(path: &str, accept: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::wanted(Self::is_of_api(path), accept)
    }

    /// The same, for who knows already whether the path is one of an API.
    pub(crate) fn wanted<'a>(is_api: bool, mut accept: impl Iterator<Item = &'a [u8]>) -> Self {
        if is_api || accept.any(|value| contains(value, b"json")) { Self::Json } else { Self::Text }
    }

    /// Whether programs, not people, read what is at `path`.
    pub(crate) fn is_of_api(path: &str) -> bool {
        path == "/api" || path.starts_with("/api/")
    }
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// The response that fits an error's kind.
///
/// Of a defect (`Internal`) only the code and the id of the request leave; the message and the
/// details belong in the log. 503 asks to try again after a second (RFC 9110 §10.2.3).
#[must_use]
pub fn response(error: &Error, shape: Shape, request_id: RequestId) -> RawResponse {
    Refusal::from(error.clone()).into_response(shape, request_id)
}

/// The response for a resource that exists but not for this method; names those it has
/// (RFC 9110 §15.5.6).
#[must_use]
pub fn method_not_allowed(allowed: &[Method], shape: Shape, request_id: RequestId) -> RawResponse {
    let names: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
    let names = names.join(", ");
    Refusal::from(Error::method_not_allowed(format!("this address answers {names}")))
        .with("allow", names)
        .into_response(shape, request_id)
}

/// The response to a body whose content coding is not taken back, with the one that is taken: none
/// (RFC 9110 §15.5.16).
#[must_use]
pub fn coding_not_supported(shape: Shape, request_id: RequestId) -> RawResponse {
    Refusal::new(
        415,
        "CODING_NOT_SUPPORTED",
        "the body is sent with a content-encoding; send it as it is",
    )
    .with("accept-encoding", "identity".to_owned())
    .into_response(shape, request_id)
}

/// An error with the status that the edge gives it and the fields that belong to it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    error: Error,
    fields: Vec<(&'static str, String)>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = error.kind().http_status();
        let refusal = Self { status, error, fields: Vec::new() };
        if status == 503 { refusal.with("retry-after", "1".to_owned()) } else { refusal }
    }
}

impl Refusal {
    /// A refusal with a status that no kind of error has.
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let error = Error::invalid(message).with_code(code);
        Self { status, error, fields: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(super) fn into_response(self, shape: Shape, request_id: RequestId) -> RawResponse {
        let is_inside = self.error.kind() == ErrorKind::Internal;
        let message = if is_inside { "an internal error happened" } else { self.error.message() };
        let mut response = Response::new(self.status)
            .header("cache-control", "no-store")
            .header("x-content-type-options", "nosniff");
        for (name, value) in &self.fields {
            response = response.header(name, value);
        }
        let response = match shape {
            Shape::Json => {
                let mut error = json!({
                    "code": self.error.code(),
                    "message": message,
                    "request_id": request_id.to_string(),
                });
                if let Some(details) = self.error.details().filter(|_| !is_inside) {
                    error["details"] = details.clone();
                }
                response
                    .header("content-type", "application/json")
                    .body(json!({ "error": error }).to_string())
            }
            Shape::Text => response
                .header("content-type", "text/plain; charset=utf-8")
                .body(format!("{} {message}\nrequest {request_id}\n", self.status)),
        };
        response.into_raw()
    }
}

#[cfg(test)]
mod tests {
    use fazt_abi::http::{RawResponseBody, RawResponseHead};

    use super::*;

    fn parts(response: RawResponse) -> (u16, Vec<(String, String)>, String) {
        let RawResponseHead::Fields(fields) = response.head else { panic!("prepared") };
        let RawResponseBody::Full(body) = response.body else { panic!("no body") };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fields = fazt_sdk::http::fields(&fields)
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        (response.status, fields, text(body.as_slice()))
    }

    #[test]
    fn the_inside_of_a_defect_stays_inside() {
        let error =
            Error::internal("open /etc/secret failed").with_details(json!({"path": "/etc/secret"}));
        for shape in [Shape::Json, Shape::Text] {
            let (status, _, body) = parts(response(&error, shape, RequestId::new(7)));
            assert_eq!(status, 500);
            assert!(!body.contains("secret"), "{body}");
            assert!(body.contains("0000000000000007"), "{body}");
        }
    }

    #[test]
    fn clients_that_ask_for_json_get_the_envelope() {
        let accept = |value: &'static str| std::iter::once(value.as_bytes());
        assert_eq!(Shape::of("/", accept("text/html,*/*")), Shape::Text);
        assert_eq!(Shape::of("/", accept("Application/JSON")), Shape::Json);
        assert_eq!(Shape::of("/api/x", accept("*/*")), Shape::Json);
        assert_eq!(Shape::of("/apix", accept("*/*")), Shape::Text);
        let error = Error::not_found("there is no app `x`").with_code("NO_APP");
        let (status, _, body) = parts(response(&error, Shape::Json, RequestId::new(1)));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 404);
        assert_eq!(body["error"]["code"], "NO_APP");
        assert_eq!(body["error"]["message"], "there is no app `x`");
        assert_eq!(body["error"]["request_id"], "0000000000000001");
    }

    #[test]
    fn refusals_carry_the_field_that_helps() {
        let (status, fields, _) =
            parts(method_not_allowed(&[Method::Get, Method::Post], Shape::Text, RequestId::new(1)));
        assert_eq!(status, 405);
        assert!(fields.contains(&("allow".into(), "GET, POST".into())));
        let (status, fields, _) =
            parts(response(&Error::busy("full"), Shape::Text, RequestId::new(1)));
        assert_eq!(status, 503);
        assert!(fields.contains(&("retry-after".into(), "1".into())));
    }
}
