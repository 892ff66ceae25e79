//! The dashboard: a plain page of the admin host, and the ways to sign in.

mod page;

use std::collections::HashMap;
use std::sync::Arc;

use fazt_sdk::call::{Call, Principal};
use fazt_sdk::http::{Method, Request, Response};
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::access::SESSION_LIFETIME;
use crate::edge::EdgeRequest;
use crate::routing::{cookie, form, head, origin};

/// The largest sign-in form, in bytes.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Answers everything on the admin host that is not under `/api/`.
///
/// # Errors
/// What keeps somebody from signing in; a path or a method that is not there.
pub(crate) async fn answer(core: &Arc<Core>, call: Call, request: EdgeRequest) -> Result<Response> {
    let path = head::text(&request.raw.head, request.raw.head.path);
    match (path, request.method) {
        // The page is for the owner; a key, which may be for one app only, has the API.
        ("/", Method::Get | Method::Head) if call.principal() == Principal::Owner => {
            page::overview(core)
        }
        ("/", Method::Get | Method::Head) => match check_private(&request) {
            Ok(()) => Ok(page::sign_in(core, "")),
            // No form: what is typed into one would travel in the clear before it is refused.
            Err(error) => Ok(page::refused(error.message())),
        },
        ("/login", Method::Get | Method::Head) => {
            check_private(&request)?;
            Ok(page::link())
        }
        ("/login", Method::Post) => sign_in(core, request).await,
        ("/logout", Method::Post) => sign_out(core, request).await,
        ("/", _) | ("/login" | "/logout", _) => {
            Err(Error::method_not_allowed("this page does not take that method"))
        }
        _ => Err(Error::not_found("there is no such page")),
    }
}

/// Signing in needs a connection that nobody on the way can read.
fn check_private(request: &EdgeRequest) -> Result<()> {
    if request.raw.head.secure == 1 || request.local {
        return Ok(());
    }
    Err(Error::denied("signing in over plain HTTP from another machine is refused; use https, or a tunnel: run ssh -L 8080:localhost:<the node's port> <this machine>, then open http://admin.localhost:8080").with_code("PLAIN_HTTP"))
}

/// By password, or by the token of a link. A link carries its token after `#`, which is never sent:
/// its page posts it. Opening a link therefore uses nothing up, whoever previews it.
async fn sign_in(core: &Arc<Core>, request: EdgeRequest) -> Result<Response> {
    check_private(&request)?;
    let head = &request.raw.head;
    origin::refuse_foreign(head)?;
    let (secure, port) = (head.secure == 1, head::text(head, head.port).to_owned());
    let client = head.client;
    let mut request = Request::from_raw(request.raw);
    let body = request.body().collect(FORM_BYTES_MAX).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::invalid("the form is not UTF-8"))?;
    let fields = form::pairs(text).collect::<Result<HashMap<_, _>>>()?;
    let field = |name: &str| fields.get(name).map(String::as_str);
    let token = match field("token") {
        Some(token) => core.access.use_login_link(token).await,
        None => {
            let (username, password) = (field("username"), field("password"));
            core.access
                .sign_in(client, username.unwrap_or_default(), password.unwrap_or_default())
                .await
        }
    };
    match token {
        Ok(token) => Ok(Response::new(303)
            .header("location", "/")
            .header("set-cookie", cookie::set(secure, &port, &token, SESSION_LIFETIME.as_secs()))
            .header("cache-control", "no-store")),
        Err(error) => Ok(page::sign_in(core, error.message()).status(error.kind().http_status())),
    }
}

async fn sign_out(core: &Arc<Core>, request: EdgeRequest) -> Result<Response> {
    let head = &request.raw.head;
    let (secure, port) = (head.secure == 1, head::text(head, head.port).to_owned());
    let token = cookie::value(head::values(head, "cookie"), &cookie::name(secure, &port))?
        .map(str::to_owned);
    if let Some(token) = token {
        core.access.sign_out(&token).await?;
    }
    Ok(Response::new(303)
        .header("location", "/")
        .header("set-cookie", cookie::set(secure, &port, "", 0))
        .header("cache-control", "no-store"))
}
