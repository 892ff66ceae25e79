//! What a handler came to: responses, chunks, failures, log lines, and what holds a request.

use super::{functions, id};
use crate::problem;
use crate::protocol::{FRAME_BYTES_MAX, FromCell, Level};
use crate::raw;
use crate::shared::Shared;
use rquickjs::{Ctx, Exception, Object, Result, Value};
use std::rc::Rc;

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>, shared: &Rc<Shared>) -> Result<()> {
    let with = || Rc::clone(shared);
    functions!(ctx, door, {
        "respond" => {
            let shared = with();
            move |ctx: Ctx<'js>, number: f64, status: u16, headers: Value<'js>, body: Value<'js>, more: bool| {
                respond(&ctx, &shared, number, status, &headers, &body, more)
            }
        },
        "chunk" => {
            let shared = with();
            move |number: f64, bytes: Value<'js>, last: bool| {
                raw::bytes_of(&bytes, |bytes| shared.chunk(id(number), bytes, last)).unwrap_or(true)
            }
        },
        "fail" => {
            let shared = with();
            move |number: f64, code: Value<'js>, message: Value<'js>, stack: Value<'js>| -> Result<()> {
                let (code, stack) = (raw::text(&code)?, raw::text(&stack)?);
                shared.fail(id(number), &code, &raw::text(&message)?, &stack, false);
                Ok(())
            }
        },
        "outcome" => {
            let shared = with();
            move |number: f64, result: Value<'js>| -> Result<()> {
                let (id, result) = (id(number), raw::text(&result)?);
                if result.len() > response_bytes_max(&shared) {
                    let message = "what the job answers is too large (js.response_bytes)";
                    shared.fail(id, "RESPONSE_TOO_LARGE", message, "", false);
                } else if shared.live.borrow().contains_key(&id) {
                    shared.send(&FromCell::Outcome { id, result: &result });
                    shared.end(id);
                }
                Ok(())
            }
        },
        "hold" => {
            let shared = with();
            move |number: f64| {
                if let Some(live) = shared.live.borrow_mut().get_mut(&id(number)) {
                    live.held = true;
                }
            }
        },
        "release" => {
            let shared = with();
            move |number: f64| {
                if let Some(live) = shared.live.borrow_mut().get_mut(&id(number)) {
                    live.held = false;
                }
                shared.settle(id(number));
            }
        },
        "remember" => {
            let shared = with();
            move |number: f64| {
                if let Some(live) = shared.live.borrow_mut().get_mut(&id(number)) {
                    live.remembered = true;
                }
            }
        },
        "log" => {
            let shared = with();
            move |level: u8, text: Value<'js>| -> Result<()> {
                let level = match level {
                    0 => Level::Debug,
                    2 => Level::Warn,
                    3 => Level::Error,
                    _ => Level::Info,
                };
                shared.log(level, &raw::text(&text)?);
                Ok(())
            }
        },
        "stack" => {
            let shared = with();
            move |head: Value<'js>, stack: Value<'js>| -> Result<String> {
                let (head, stack) = (raw::text(&head)?, raw::text(&stack)?);
                let stack = problem::app_stack(&stack, &shared.setup);
                Ok(match (head.is_empty(), stack.is_empty()) {
                    (false, false) => format!("{head}\n{stack}"),
                    (false, true) => head,
                    (true, _) => stack,
                })
            }
        },
        "workspace" => {
            let shared = with();
            move || {
                let books = shared.live.borrow();
                let live = books.get(&shared.turn.request.get())?;
                (!live.workspace.is_empty()).then(|| live.workspace.clone())
            }
        },
    });
    Ok(())
}

/// The headers of one answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The body of one answer: what the settings say, as far as a frame holds it.
fn response_bytes_max(shared: &Shared) -> usize {
    let limit = usize::try_from(shared.setup.limits.response_bytes).unwrap_or(usize::MAX);
    limit.min(FRAME_BYTES_MAX - 2 * HEAD_BYTES_MAX)
}

fn respond<'js>(
    ctx: &Ctx<'js>,
    shared: &Shared,
    number: f64,
    status: u16,
    headers: &Value<'js>,
    body: &Value<'js>,
    more: bool,
) -> Result<()> {
    let mut head = Vec::new();
    raw::text_into(headers, &mut head)?;
    let head = String::from_utf8(head).unwrap_or_default();
    let most = response_bytes_max(shared);
    let send = |bytes: &[u8]| {
        let fits = bytes.len() <= most && head.len() <= HEAD_BYTES_MAX;
        if fits {
            shared.respond(id(number), status, &head, bytes, more);
        }
        fits
    };
    let sent = if body.is_null() || body.is_undefined() {
        send(&[])
    } else if body.is_string() {
        let mut text = Vec::new();
        raw::text_into(body, &mut text)?;
        send(&text)
    } else {
        match raw::bytes_of(body, send) {
            Some(sent) => sent,
            None => return Err(Exception::throw_type(ctx, "a body is text or bytes")),
        }
    };
    if !sent {
        let message = format!(
            "the response is larger than {most} bytes (js.response_bytes; a streamed body may be), \
             or its headers than {HEAD_BYTES_MAX}"
        );
        shared.fail(id(number), "RESPONSE_TOO_LARGE", &message, "", false);
    }
    Ok(())
}
