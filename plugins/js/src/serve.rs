//! Requests for an app's own code: `/api` and below, and what is no file when the app says so.

use std::fmt::Write as _;
use std::sync::Arc;

use fazt_js_engine::protocol::{Headers, Request as CellRequest, ToCell};
use fazt_sdk::prelude::*;
use fazt_sdk::workspace;
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt as _;
use http_body_kind::is_upload;

use crate::cells::cell::Ticket;
use crate::cells::pool::Pool;
use crate::cells::reply::{BrokenOff, Failure, Reply};
use crate::code::{Code, Codes};
use crate::response;

/// Which code is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// That below `api/`.
    Api,
    /// `main.js` at the root.
    Root,
}

/// Answers requests with an app's code; passes on those of apps that have none.
pub(crate) struct Serve {
    pub(crate) place: Place,
    pub(crate) codes: Arc<Codes>,
    pub(crate) pool: Arc<Pool>,
}

impl Handler for Serve {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        let Some(app) = call.app() else { return Ok(Response::pass(request)) };
        let code = self.codes.find(call, app, request.preview()).await?;
        let found = code.and_then(|code| {
            let entry = match self.place {
                Place::Api => code.api(request.path()),
                Place::Root => code.root(),
            };
            Some((entry?, code))
        });
        let Some((entry, code)) = found else { return Ok(Response::pass(request)) };
        let limits = &self.pool.around.limits;
        let (most, setting) = if is_upload(request.header_str("content-type")) {
            (limits.upload_bytes, "js.upload_bytes")
        } else {
            (limits.body_bytes, "js.body_bytes")
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let body = request.body().collect(most).await.map_err(|error| match error.kind() {
            ErrorKind::TooLarge => {
                Error::too_large(format!("{}, which is {setting}", error.message()))
            }
            _ => error,
        })?;
        self.answer(call, &code, entry, &request, &body).await
    }
}

impl Serve {
    async fn answer(
        &self,
        call: &Call,
        code: &Arc<Code>,
        entry: u16,
        request: &Request,
        body: &Bytes,
    ) -> Result<Response> {
        let head = Head::of(request);
        // A realm has requests of one user at a time: what their promises share leads to no other user's data.
        let visitor = call.principal();
        let user = match &visitor {
            Principal::User(id) => id.as_str(),
            _ => "",
        };
        let is_safe = matches!(request.method(), "GET" | "HEAD");
        let mut is_again = false;
        loop {
            let id = self.pool.number();
            let entered = self.pool.enter(call, code, entry, id).await;
            let (ticket, reply) = match entered {
                Ok(entered) => entered,
                Err(error) => return Ok(response::overloaded(call, &error)),
            };
            let frame = ToCell::Request(CellRequest {
                id,
                entry,
                method: request.method(),
                url: &head.url,
                headers: Headers(&head.headers),
                body,
                more: false,
                ip: &head.ip,
                user,
                workspace: workspace::of_query(request.query()).unwrap_or_default(),
            });
            let sent = ticket.cell().link.send(vec![frame.to_bytes()]).await;
            let reply = match sent {
                Ok(()) => reply.await.unwrap_or(Reply::Lost),
                Err(_) => Reply::Lost,
            };
            match reply {
                Reply::Response { status, headers, body, more: None } => {
                    ticket.done();
                    return Ok(response::whole(status, &headers, body));
                }
                Reply::Response { status, headers, body, more: Some(rest) } => {
                    let first = Some(body).filter(|body| !body.is_empty());
                    let streamed = Streamed { first, rest, ticket: Some(ticket) };
                    return Ok(response::head(status, &headers).stream(streamed));
                }
                Reply::Failed(failure) => {
                    ticket.done();
                    return Ok(self.failed(call, &failure));
                }
                // Only a job comes to this.
                Reply::Outcome(_) => {
                    ticket.done();
                    return Ok(response::lost(call));
                }
                Reply::Lost if is_safe && !is_again => {
                    ticket.done();
                    is_again = true;
                }
                Reply::Lost => {
                    ticket.done();
                    return Ok(response::lost(call));
                }
            }
        }
    }

    fn failed(&self, call: &Call, failure: &Failure) -> Response {
        response::failed(call, failure, self.pool.around.limits.dev)
    }
}

/// A request's head in the words of the protocol.
struct Head {
    url: String,
    headers: String,
    ip: String,
}

impl Head {
    fn of(request: &Request) -> Self {
        let scheme = if request.is_secure() { "https" } else { "http" };
        let mut url = format!("{scheme}://{}", request.host());
        if !request.port().is_empty() {
            url.push(':');
            url.push_str(request.port());
        }
        url.push_str(request.raw_path());
        if !request.query().is_empty() {
            url.push('?');
            url.push_str(request.query());
        }
        let mut headers = String::new();
        for (name, value) in request.raw_headers() {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if value.is_ascii()
                && let Ok(value) = std::str::from_utf8(value)
            {
                Headers::push(&mut headers, name, value);
            } else {
                // A byte past ASCII is the character of that number.
                let value: String = value.iter().map(|byte| char::from(*byte)).collect();
                Headers::push(&mut headers, name, &value);
            }
        }
        let mut ip = String::new();
        // Writing to a string cannot fail.
        write!(ip, "{}", request.client()).unwrap_or_default();
        Self { url, headers, ip }
    }
}

/// A body that a cell sends bit by bit.
struct Streamed {
    first: Option<Bytes>,
    rest: UnboundedReceiver<Result<Bytes, BrokenOff>>,
    /// Dropped before the end, it tells the cell that the client left.
    ticket: Option<Ticket>,
}

impl fazt_sdk::http::BodySource for Streamed {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let chunk = match self.first.take() {
            Some(first) => first,
            None => match self.rest.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(BrokenOff)) => {
                    self.finish();
                    return Some(Err(Error::unavailable("the app broke off its answer")));
                }
                None => {
                    self.finish();
                    return None;
                }
            },
        };
        if let Some(ticket) = &self.ticket {
            ticket.credit(u32::try_from(chunk.len()).unwrap_or(u32::MAX)).await;
        }
        Some(Ok(chunk))
    }
}

impl Streamed {
    fn finish(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.done();
        }
    }
}

mod http_body_kind {
    //! Whether a body is an upload, for which there is more room.

    /// Whether a body of this type is a form with files, or anything else that is no text.
    pub(super) fn is_upload(content_type: Option<&str>) -> bool {
        let kind = content_type.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_text = kind.is_empty()
            || kind.starts_with("text/")
            || kind.contains("json")
            || kind.contains("xml")
            || kind == "application/x-www-form-urlencoded";
        !is_text
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn forms_with_files_and_bytes_are_uploads() {
            for upload in
                ["multipart/form-data; boundary=x", "image/png", "APPLICATION/OCTET-STREAM"]
            {
                assert!(is_upload(Some(upload)), "{upload}");
            }
            for text in [
                "application/json; charset=utf-8",
                "text/plain",
                "application/x-www-form-urlencoded",
                "",
            ] {
                assert!(!is_upload(Some(text)), "{text}");
            }
            assert!(!is_upload(None));
        }
    }
}
