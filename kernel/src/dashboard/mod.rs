//! The dashboard: a plain page of the admin host, and the ways to sign in.

mod page;

use std::sync::Arc;

use fazt_sdk::call::{Call, Principal};
use fazt_sdk::http::{Method, Request, Response};
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::access::SESSION_LIFETIME;
use crate::edge::EdgeRequest;
use crate::routing::{cookie, head};

/// The largest sign-in form, in bytes.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Answers everything on the admin host that is not under `/api/`.
///
/// # Errors
/// What keeps somebody from signing in; a path or a method that is not there.
pub(crate) async fn answer(core: &Arc<Core>, call: Call, request: EdgeRequest) -> Result<Response> {
    let path = head::text(&request.raw.head, request.raw.head.path).to_owned();
    match (path.as_str(), request.method) {
        ("/", Method::Get | Method::Head) if call.principal() == Principal::Anonymous => {
            Ok(page::sign_in(core, ""))
        }
        ("/", Method::Get | Method::Head) => page::overview(core),
        ("/login", Method::Get | Method::Head) => by_link(core, request).await,
        ("/login", Method::Post) => by_password(core, request).await,
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
    Err(Error::denied("signing in over plain HTTP from another machine is refused; use https, or a tunnel: ssh -L 8080:localhost:8080 <this machine>").with_code("PLAIN_HTTP"))
}

/// A link carries its token after `#`, which is never sent: the page posts it. Opening a link
/// therefore uses nothing up, whoever previews it.
async fn by_link(core: &Arc<Core>, request: EdgeRequest) -> Result<Response> {
    check_private(&request)?;
    Ok(page::link(core))
}

async fn by_password(core: &Arc<Core>, request: EdgeRequest) -> Result<Response> {
    check_private(&request)?;
    let head = &request.raw.head;
    let origin = head::only_value(head, "origin").map(str::to_owned);
    let scheme = if head.secure == 1 { "https" } else { "http" };
    let (host, port) =
        (head::text(head, head.host).to_owned(), head::text(head, head.port).to_owned());
    let ours = if port.is_empty() {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    };
    if origin.is_some_and(|origin| origin != ours) {
        return Err(Error::denied("this sign-in did not come from the sign-in page")
            .with_code("CROSS_ORIGIN"));
    }
    let secure = head.secure == 1;
    let mut request = Request::from_raw(request.raw);
    let form = request.body().collect(FORM_BYTES_MAX).await?;
    let field = |name: &str| form_field(&form, name);
    let token = match field("token") {
        Some(token) => core.access.use_login_link(&token).await,
        None => {
            core.access
                .sign_in(
                    &field("username").unwrap_or_default(),
                    &field("password").unwrap_or_default(),
                )
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

/// A field of an urlencoded form.
fn form_field(form: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(form).ok()?;
    text.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| percent_decode(value))
    })
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = text.as_bytes();
    while let [first, rest @ ..] = at {
        at = rest;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let value = rest
                    .get(..2)
                    .and_then(|hex| std::str::from_utf8(hex).ok())
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                if let Some(value) = value {
                    bytes.push(value);
                    at = &rest[2..];
                } else {
                    bytes.push(b'%');
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_fields_are_decoded() {
        let form = b"username=ow+ner&password=a%26b%3D%C3%BC&broken=%zz";
        assert_eq!(form_field(form, "username").as_deref(), Some("ow ner"));
        assert_eq!(form_field(form, "password").as_deref(), Some("a&b=\u{fc}"));
        assert_eq!(form_field(form, "broken").as_deref(), Some("%zz"));
        assert_eq!(form_field(form, "none"), None);
    }
}
