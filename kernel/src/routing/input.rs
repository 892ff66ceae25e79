//! An operation's input and output: text and JSON of a request as one object, and back.

use fazt_sdk::http::{Request, Response};
use fazt_sdk::operation::Operation;
use fazt_sdk::{Error, Result};
use serde_json::{Map, Value, json};

use super::{form, head};
use crate::edge::EdgeRequest;

/// The largest JSON body of an operation, in bytes.
const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// The operation's input: captures of the path, parameters of the query and fields of the body.
///
/// # Errors
/// `Invalid` for what cannot be read, is of another type than the schema says, or is given twice;
/// `TooLarge`.
pub(super) async fn read(
    operation: &Operation,
    captures: Vec<(String, String)>,
    request: EdgeRequest,
) -> Result<Value> {
    let mut input = Map::new();
    let mut put = |name: String, value: Value, from: &str| {
        let twice =
            Error::invalid(format!("`{name}` is given twice, the second time in the {from}"));
        if input.insert(name, value).is_some() { Err(twice) } else { Ok(()) }
    };
    for (name, value) in captures {
        let value = typed(operation, &name, value)?;
        put(name, value, "path")?;
    }
    for pair in form::pairs(head::text(&request.raw.head, request.raw.head.query)) {
        let (name, value) = pair.map_err(|error| error.context("the query"))?;
        let value = typed(operation, &name, value)?;
        put(name, value, "query")?;
    }
    if head::values(&request.raw.head, "content-type").any(|kind| !is_json(kind)) {
        return Err(Error::invalid("the body is not application/json").with_code("NOT_JSON"));
    }
    let mut request = Request::from_raw(request.raw);
    let body = request.body().collect(INPUT_BYTES_MAX).await?;
    if !body.is_empty() {
        let fields: Map<String, Value> = serde_json::from_slice(&body).map_err(|error| {
            Error::invalid(format!("the body is no JSON object: {error}")).with_code("NOT_JSON")
        })?;
        for (name, value) in fields {
            put(name, value, "body")?;
        }
    }
    Ok(Value::Object(input))
}

/// Text from a path or a query as the type that the operation's schema gives the field.
fn typed(operation: &Operation, name: &str, text: String) -> Result<Value> {
    let kind = operation
        .input
        .pointer(&format!("/properties/{}/type", name.replace('~', "~0").replace('/', "~1")));
    let is = |wanted: &str| match kind {
        Some(Value::String(kind)) => kind == wanted,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        _ => false,
    };
    let wrong = |expected: &str| Error::invalid(format!("`{name}` is {text}; it takes {expected}"));
    if is("integer") {
        return text.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number"));
    }
    if is("boolean") {
        return text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false"));
    }
    if is("array") {
        return Ok(Value::from(
            text.split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>(),
        ));
    }
    Ok(Value::from(text))
}

/// A media type that is JSON, with or without parameters (RFC 9110 §8.3.1).
fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// What the operation answered, in the envelope of the admin API.
///
/// # Errors
/// `Internal` when it answered no JSON.
pub(super) fn envelope(operation: &Operation, output: &[u8]) -> Result<Response> {
    let output: Value = serde_json::from_slice(output).map_err(|error| {
        Error::internal(format!("{} answered no JSON: {error}", operation.key()))
    })?;
    if !operation.paginated {
        return Response::json(&json!({ "data": output }));
    }
    let (items, next) = (
        output.get("items").cloned().unwrap_or_else(|| json!([])),
        output.get("next").cloned().unwrap_or(Value::Null),
    );
    Response::json(
        &json!({ "data": items, "meta": { "has_more": !next.is_null(), "cursor": next } }),
    )
}
