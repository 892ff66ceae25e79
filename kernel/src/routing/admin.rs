//! The admin surface: who asks, may they, and which operation runs.
//!
//! Three ways lead here with the same operations behind them: the admin host, the control socket,
//! and calls inside this process.

use std::sync::Arc;

use abi_stable::std_types::RResult;
use fazt_abi::http::RawResponse;
use fazt_sdk::call::{Call, CallBuilder, Principal, RequestId, Scope};
use fazt_sdk::http::{Method, Request, Response};
use fazt_sdk::operation::Operation;
use fazt_sdk::route::{Surface, Visibility};
use fazt_sdk::{Error, Result};
use serde_json::{Map, Value, json};

use super::table::{Found, Target};
use super::{cookie, fail, head, shift, start};
use crate::Core;
use crate::access::Identity;
use crate::dashboard;
use crate::edge::{self, EdgeRequest, Shape};
use crate::registry::contained::stopped;

/// The largest JSON body of an operation, in bytes.
const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// How a request proved who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    None,
    Key,
    Cookie,
}

/// A request on the admin host.
pub(super) async fn request(core: &Arc<Core>, request: EdgeRequest) -> RawResponse {
    let (shape, request_id) = (
        Shape::of(
            head::text(&request.raw.head, request.raw.head.path),
            head::values(&request.raw.head, "accept"),
        ),
        request.request_id,
    );
    match identify(core, &request) {
        Ok((identity, proof)) => {
            if proof == Proof::Cookie
                && let Err(error) = same_origin(&request)
            {
                return fail(core, &error, shape, request_id);
            }
            run(core, identity, request).await
        }
        Err(error) => fail(core, &error, shape, request_id),
    }
}

/// A request over the control socket: whoever may open the socket owns the cartridge.
pub(super) async fn socket(core: &Arc<Core>, uid: u32, request: EdgeRequest) -> RawResponse {
    let ours = rustix::process::geteuid().as_raw();
    if uid != ours && uid != 0 {
        let error =
            Error::denied("the control socket answers the user that runs the node, and root");
        return fail(core, &error, Shape::Json, request.request_id);
    }
    run(core, Identity::OWNER, request).await
}

fn identify(core: &Core, request: &EdgeRequest) -> Result<(Identity, Proof)> {
    const ANONYMOUS: Identity =
        Identity { principal: Principal::Anonymous, scopes: 0, limited_to: None };
    let head = &request.raw.head;
    let secure = head.secure == 1;
    let mut authorizations = head::values(head, "authorization");
    if let Some(value) = authorizations.next() {
        if !secure && !request.local {
            return Err(Error::denied("keys do not travel over plain HTTP: use https, or run the command on the machine itself").with_code("PLAIN_HTTP"));
        }
        let key = std::str::from_utf8(value).ok().and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key.trim_matches(' '))
        });
        let identity =
            key.filter(|_| authorizations.next().is_none()).and_then(|key| core.access.key(key));
        return identity
            .map(|identity| (identity, Proof::Key))
            .ok_or_else(|| Error::unauthenticated("the key is wrong, was removed or has expired; make one with `fazt server create-key`").with_code("BAD_KEY"));
    }
    if !secure && !request.local {
        return Ok((ANONYMOUS, Proof::None));
    }
    let name = cookie::name(secure, head::text(head, head.port));
    let token = cookie::value(head::values(head, "cookie"), &name)?;
    match token.and_then(|token| core.access.session(token)) {
        Some(identity) => Ok((identity, Proof::Cookie)),
        None => Ok((ANONYMOUS, Proof::None)),
    }
}

/// A request that changes something on the strength of a cookie must come from our own page: an
/// exact `Origin`, or `Sec-Fetch-Site: same-origin` where a browser sends no origin. Sibling hosts
/// are same-site, so nothing rests on `SameSite`.
fn same_origin(request: &EdgeRequest) -> Result<()> {
    if matches!(request.method, Method::Get | Method::Head | Method::Options) {
        return Ok(());
    }
    let head = &request.raw.head;
    let scheme = if head.secure == 1 { "https" } else { "http" };
    let (host, port) = (head::text(head, head.host), head::text(head, head.port));
    let ours = if port.is_empty() {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    };
    let fine = match head::only_value(head, "origin") {
        Some(origin) => origin == ours,
        None => {
            head::values(head, "origin").next().is_none()
                && head::only_value(head, "sec-fetch-site") == Some("same-origin")
        }
    };
    if fine {
        Ok(())
    } else {
        Err(Error::denied("this request did not come from the admin page itself")
            .with_code("CROSS_ORIGIN"))
    }
}

async fn run(core: &Arc<Core>, identity: Identity, request: EdgeRequest) -> RawResponse {
    let call = CallBuilder::new(identity.principal, request.request_id.number())
        .scopes(identity.scopes, identity.limited_to)
        .deadline_ns(core.deadline_ns())
        .build();
    answer(core, call, request).await
}

/// Answers an admin request on behalf of whoever `call` names.
pub(crate) async fn answer(core: &Arc<Core>, call: Call, mut request: EdgeRequest) -> RawResponse {
    let request_id = request.request_id;
    let shape = Shape::of(
        head::text(&request.raw.head, request.raw.head.path),
        head::values(&request.raw.head, "accept"),
    );
    if !head::text(&request.raw.head, request.raw.head.path).starts_with("/api/") {
        return match dashboard::answer(core, call, request).await {
            Ok(response) => response.into_raw(),
            Err(error) => fail(core, &error, shape, request_id),
        };
    }
    let is_json = head::only_value(&request.raw.head, "content-type")
        .is_none_or(|kind| kind.starts_with("application/json"));
    head::remove(&mut request.raw.head, |name, _| matches!(name, b"authorization" | b"cookie"));

    enum Way {
        Route(super::Dispatch),
        Operation(
            Box<Operation>,
            Vec<(String, String)>,
            fazt_abi::instance::RawInstance,
            u32,
            super::Inside,
            Box<EdgeRequest>,
        ),
    }
    let way = {
        let table = core.registry.table();
        let mut captures = Vec::new();
        let path = head::text(&request.raw.head, request.raw.head.path).to_owned();
        match table.find(Surface::Admin, request.method, &path, &mut captures) {
            Found::Nothing => {
                Err(Error::not_found("there is no such operation; `fazt server routes` lists them")
                    .with_code("NO_SUCH_OPERATION"))
            }
            Found::OtherMethods(methods) => {
                return edge::method_not_allowed(&methods, Shape::Json, request_id);
            }
            Found::Entry(entry) => match &entry.target {
                Target::Route(route) => permit_route(&call, route.visibility).and_then(|()| {
                    let default = core.edge_body_bytes();
                    request.body_limit.set(if route.body_bytes_max > 0 {
                        route.body_bytes_max
                    } else {
                        default
                    })?;
                    shift(&mut captures, request.raw.head.path.start);
                    request.raw.head.captures = captures.into();
                    start(entry, &call, request).map(Way::Route)
                }),
                Target::Operation(operation) => permit(&call, operation).and_then(|()| {
                    let named = entry.pattern.names().zip(&captures).map(|(name, span)| {
                        let value = path
                            .get(span.start as usize..(span.start + span.len) as usize)
                            .unwrap_or_default();
                        (name.to_owned(), value.to_owned())
                    });
                    let named: Vec<(String, String)> = named.collect();
                    if call.limited_to().is_some()
                        && let Some((_, app)) = named.iter().find(|(name, _)| name == "app")
                    {
                        core.find_app(&call, app)?;
                    }
                    let inside = entry.plugin.gate.enter().ok_or_else(|| {
                        Error::unavailable(format!("the plugin {} is stopping", entry.plugin.name))
                    })?;
                    Ok(Way::Operation(
                        operation.clone(),
                        named,
                        entry.plugin.instance.clone(),
                        entry.number,
                        inside,
                        Box::new(request),
                    ))
                }),
            },
        }
    };
    let outcome = match way {
        Ok(Way::Route(dispatch)) => match dispatch.answer().await {
            Ok(response) => return response,
            Err(error) => Err(error),
        },
        Ok(Way::Operation(operation, captures, instance, number, inside, request)) => {
            let input = if is_json {
                input(&operation, captures, *request).await
            } else {
                Err(Error::invalid("the body is not application/json").with_code("NOT_JSON"))
            };
            match input {
                Err(error) => Err(error),
                Ok(input) => {
                    let input = input.to_string().into_bytes().into();
                    let reply = instance.operate(number, call.as_raw(), input);
                    match inside.run(reply).await {
                        Some(RResult::ROk(output)) => envelope(&operation, &output),
                        Some(RResult::RErr(error)) => Err(error.into()),
                        None => Err(stopped()),
                    }
                }
            }
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(response) => response.header("cache-control", "no-store").into_raw(),
        Err(error) => fail(core, &error, Shape::Json, request_id),
    }
}

fn permit_route(call: &Call, visibility: Visibility) -> Result<()> {
    match (visibility, call.principal()) {
        (Visibility::SignedIn, Principal::Anonymous) => Err(sign_in()),
        _ => Ok(()),
    }
}

fn sign_in() -> Error {
    Error::unauthenticated("sign in, or send a key: Authorization: Bearer fzt_…")
}

fn permit(call: &Call, operation: &Operation) -> Result<()> {
    if call.principal() == Principal::Anonymous {
        return Err(sign_in());
    }
    let scope = Scope::from_name(&operation.scope).ok_or_else(|| {
        Error::internal(format!(
            "the operation {} needs the unknown scope {}",
            operation.key(),
            operation.scope
        ))
    })?;
    if call.has(scope) {
        if call.limited_to().is_some() && !operation.for_app_keys {
            return Err(Error::denied("this key is for one app and cannot do what concerns the whole node; make one with `fazt server create-key` without --app").with_code("KEY_LIMITED"));
        }
        return Ok(());
    }
    Err(Error::denied(format!(
        "this key does not have the scope {}; make one with `fazt server create-key --scopes {}`",
        scope.name(),
        scope.name()
    ))
    .with_code("SCOPE_MISSING"))
}

/// The operation's input: captures of the path, parameters of the query and fields of the body.
async fn input(
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
    let query = head::text(&request.raw.head, request.raw.head.query).to_owned();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let value = typed(operation, &name, value)?;
        put(name, value, "query")?;
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

/// Percent-decoding of a query (WHATWG URL, application/x-www-form-urlencoded parsing).
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                match (high, low) {
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(0),
                    _ => return Err(Error::invalid("the query has a broken % escape")),
                }
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("the query is not UTF-8"))
}

fn envelope(operation: &Operation, output: &[u8]) -> Result<Response> {
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

/// A new id for a request that did not come through the edge.
pub(crate) fn new_request_id(core: &Core) -> RequestId {
    let number =
        core.random(8).ok().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    RequestId::new(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_decode_once_and_broken_ones_are_refused() {
        assert_eq!(decode("a%20b+c%252F").unwrap(), "a b c%2F");
        for text in ["%", "%2", "%zz", "%ff"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
