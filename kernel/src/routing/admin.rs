//! The admin surface: who asks, may they, and which operation runs.
//!
//! Three ways lead here with the same operations behind them: the admin host, the control socket,
//! and calls inside this process.

use std::sync::Arc;

use abi_stable::std_types::RResult;
use fazt_abi::http::{RawResponse, Span};
use fazt_abi::instance::RawInstance;
use fazt_sdk::call::{Call, CallBuilder, Principal, RequestId, Scope};
use fazt_sdk::http::{Method, Response};
use fazt_sdk::operation::Operation;
use fazt_sdk::route::{Route, Surface, Visibility};
use fazt_sdk::{Error, Result};

use super::table::{Entry, Found, Target};
use super::{Dispatch, Inside, Refused, cookie, fail, head, input, origin, shift, start};
use crate::Core;
use crate::access::Identity;
use crate::dashboard;
use crate::edge::{self, EdgeRequest, Shape};
use crate::registry::contained::stopped;
use crate::telemetry::metrics;

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
            let changes = !matches!(request.method, Method::Get | Method::Head | Method::Options);
            if proof == Proof::Cookie
                && changes
                && let Err(error) = origin::require_own(&request.raw.head)
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
            .ok_or_else(|| Error::unauthenticated("the key is wrong, was removed or has expired; make one with `fazt server create-key`").with_code("INVALID_API_KEY"));
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
    let path = head::text(&request.raw.head, request.raw.head.path);
    if path == "/metrics" {
        return match call.has(Scope::Read) && call.limited_to().is_none() {
            true => metrics::page(core).into_raw(),
            false => fail(core, &metrics_refused(&call), Shape::Text, request_id),
        };
    }
    // A few bytes could unfold to any number, and nothing that is sent here gains by it.
    if head::values(&request.raw.head, "content-encoding").any(|coding| !is_identity(coding)) {
        let shape = Shape::of(path, head::values(&request.raw.head, "accept"));
        return edge::coding_not_supported(shape, request_id);
    }
    if !path.starts_with("/api/") {
        let shape = Shape::of(path, head::values(&request.raw.head, "accept"));
        return match dashboard::answer(core, call, request).await {
            Ok(response) => response.into_raw(),
            Err(error) => fail(core, &error, shape, request_id),
        };
    }
    head::remove(&mut request.raw.head, |name, _| matches!(name, b"authorization" | b"cookie"));
    let outcome = match find(core, &call, request) {
        Ok(Way::Route(dispatch)) => match dispatch.answer().await {
            Ok(response) => return response,
            Err(error) => Err(error),
        },
        Ok(Way::Operation(running)) => running.run(&call).await,
        Err(Refused::Methods(methods)) => {
            return edge::method_not_allowed(&methods, Shape::Json, request_id);
        }
        Err(Refused::Error(error)) => Err(error),
    };
    match outcome {
        Ok(response) => response.header("cache-control", "no-store").into_raw(),
        Err(error) => fail(core, &error, Shape::Json, request_id),
    }
}

/// Whether a content coding is none (RFC 9110 §8.4.1, §12.5.3).
fn is_identity(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}

fn metrics_refused(call: &Call) -> Error {
    match call.principal() {
        Principal::Anonymous => Error::unauthenticated(
            "the metrics need a key; make one with `fazt server create-key --scopes read`",
        ),
        _ => Error::denied("the metrics need a key with the scope `read` that is for all apps"),
    }
}

/// How a request of the admin API is answered.
enum Way {
    Route(Dispatch),
    Operation(Box<Operating>),
}

/// Finds who answers, and asks whether the caller may. Nothing is awaited here, so the table is not
/// held.
fn find(core: &Core, call: &Call, mut request: EdgeRequest) -> std::result::Result<Way, Refused> {
    let table = core.registry.table();
    let mut captures = Vec::new();
    let path = head::text(&request.raw.head, request.raw.head.path);
    let entry = match table.find(Surface::Admin, request.method, path, &mut captures) {
        Found::Nothing => {
            return Err(Refused::Error(
                Error::not_found("there is no such operation; `fazt server routes` lists them")
                    .with_code("NO_SUCH_OPERATION"),
            ));
        }
        Found::OtherMethods(methods) => return Err(Refused::Methods(methods)),
        Found::Entry(entry) => entry,
    };
    let captured = named(entry, path, &captures);
    permit(call, entry, request.peer_uid.is_some())?;
    if call.limited_to().is_some()
        && let Some((_, app)) = captured.iter().find(|(name, _)| name == "app")
    {
        core.find_app(call, app)?;
    }
    match &entry.target {
        Target::Route(route) => {
            let limit = match route.body_bytes_max {
                0 => core.edge_body_bytes(),
                limit => limit,
            };
            request.body_limit.set(limit)?;
            if route.unhurried {
                request.patience.ask();
            }
            shift(&mut captures, request.raw.head.path.start);
            request.raw.head.captures = captures.into();
            Ok(Way::Route(start(entry, call, request.raw)?))
        }
        Target::Operation(operation) => {
            if operation.unhurried {
                request.patience.ask();
            }
            Ok(Way::Operation(Box::new(Operating {
                operation: Arc::clone(operation),
                captured,
                number: entry.number,
                inside: entry.plugin.enter()?,
                instance: entry.plugin.instance.clone(),
                request,
            })))
        }
    }
}

/// The captures with their names.
fn named(entry: &Entry, path: &str, captures: &[Span]) -> Vec<(String, String)> {
    let value = |span: &Span| {
        path.get(span.start as usize..(span.start + span.len) as usize).unwrap_or_default()
    };
    entry
        .pattern
        .names()
        .zip(captures)
        .map(|(name, span)| (name.to_owned(), value(span).to_owned()))
        .collect()
}

/// An operation that was found and permitted.
struct Operating {
    operation: Arc<Operation>,
    captured: Vec<(String, String)>,
    instance: RawInstance,
    number: u32,
    inside: Inside,
    request: EdgeRequest,
}

impl Operating {
    async fn run(self, call: &Call) -> Result<Response> {
        let input = input::read(&self.operation, self.captured, self.request).await?;
        let input = input.to_string().into_bytes().into();
        let reply = self.instance.operate(self.number, call.as_raw(), input);
        match self.inside.run(reply).await {
            Some(RResult::ROk(output)) => input::envelope(&self.operation, &output),
            Some(RResult::RErr(error)) => Err(error.into()),
            None => Err(stopped()),
        }
    }
}

/// Whether the caller may use this line of the table at all. What a key for one app may touch is
/// looked at where the app is known. `from_here`: over the control socket, or from this process.
fn permit(call: &Call, entry: &Entry, from_here: bool) -> Result<()> {
    let (scope, for_app_keys) = match &entry.target {
        Target::Route(Route { visibility: Visibility::Public, .. }) => return Ok(()),
        Target::Route(route) => (route.needed_scope(), route.for_app_keys),
        Target::Operation(operation) => (&*operation.scope, operation.for_app_keys),
    };
    if call.principal() == Principal::Anonymous {
        return Err(Error::unauthenticated("sign in, or send a key: Authorization: Bearer fzt_…"));
    }
    let scope = Scope::from_name(scope).ok_or_else(|| {
        Error::internal(format!(
            "{} of {} needs the unknown scope {scope}",
            entry.pattern.shape(),
            entry.plugin.name
        ))
    })?;
    if !call.has(scope) {
        return Err(Error::denied(format!(
            "this key does not have the scope {}; make one with `fazt server create-key --scopes {}`",
            scope.name(),
            scope.name()
        ))
        .with_code("SCOPE_MISSING"));
    }
    if call.limited_to().is_some() && !for_app_keys {
        return Err(Error::denied("this key is for one app and cannot do what concerns the whole node; make one with `fazt server create-key` without --app").with_code("KEY_LIMITED"));
    }
    if let Target::Operation(operation) = &entry.target
        && operation.on_this_machine
        && !(from_here && call.principal() == Principal::Owner)
    {
        return Err(Error::denied(
            "this is answered on the node's own machine only, over its control socket",
        )
        .with_code("NOT_OVER_HTTP"));
    }
    Ok(())
}

/// A new id for a request that did not come through the edge.
pub(crate) fn new_request_id(core: &Core) -> RequestId {
    RequestId::new(core.random_number())
}
