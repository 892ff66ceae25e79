//! Calls into the node, and timers.

use super::{functions, id, number};
use crate::clock;
use crate::protocol::FromCell;
use crate::raw;
use crate::shared::{Answer, CALLS_MAX, Shared, TIMERS_MAX};
use crate::{Closed, Wait};
use memchr::memmem;
use rquickjs::{Array, Ctx, Exception, IntoJs as _, Object, Result, Value};
use std::rc::Rc;
use std::time::Duration;

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>, shared: &Rc<Shared>) -> Result<()> {
    let with = || Rc::clone(shared);
    functions!(ctx, door, {
        "call" => {
            let shared = with();
            move |ctx: Ctx<'js>, binding: u16, arguments: Value<'js>| -> Result<f64> {
                match shared.call(binding, &raw::text(&arguments)?, false) {
                    Some(call) => Ok(number(call)),
                    None => Err(Exception::throw_range(
                        &ctx,
                        &format!("more than {CALLS_MAX} calls wait, or the arguments are too large"),
                    )),
                }
            }
        },
        "callSync" => {
            let shared = with();
            move |ctx: Ctx<'js>, binding: u16, arguments: Value<'js>| -> Result<Array<'js>> {
                let arguments = raw::text(&arguments)?;
                answer(&ctx, shared.call_and_wait(binding, &arguments))
            }
        },
        "credit" => {
            let shared = with();
            move |number: f64, bytes: u32| {
                shared.send(&FromCell::Credit { id: id(number), bytes });
            }
        },
        "timer" => {
            let shared = with();
            move |ctx: Ctx<'js>, timer: u32, delay: f64| -> Result<()> {
                let mut timers = shared.timers.borrow_mut();
                if timers.len() >= TIMERS_MAX {
                    let text = format!("more than {TIMERS_MAX} timers wait");
                    return Err(Exception::throw_range(&ctx, &text));
                }
                let at = clock::now() + Duration::from_secs_f64((delay / 1000.0).clamp(0.0, 2.2e6));
                timers.add(shared.turn.realm.get(), timer, shared.asking(), at);
                Ok(())
            }
        },
        "loading" => {
            let shared = with();
            move |entry: u16, is_loading: bool| {
                let key = (shared.turn.realm.get(), entry);
                if is_loading {
                    shared.loading.borrow_mut().insert(key);
                } else {
                    shared.loading.borrow_mut().remove(&key);
                }
            }
        },
        "unloadable" => {
            let shared = with();
            move || {
                shared.unloadable.borrow_mut().insert(shared.turn.realm.get());
            }
        },
        "untimer" => {
            let shared = with();
            move |timer: u32| {
                let realm = shared.turn.realm.get();
                shared.timers.borrow_mut().remove(realm, timer);
            }
        },
        "sleep" => {
            let shared = with();
            move |delay: f64| sleep(&shared, delay)
        },
    });
    Ok(())
}

/// `[true, value]`, `[true, JSON, true]` when bytes are in it, or `[false, code, message, kind]`.
fn answer<'js>(ctx: &Ctx<'js>, answer: Answer) -> Result<Array<'js>> {
    let made = Array::new(ctx.clone())?;
    match answer {
        Answer::Json(json) => {
            let (value, bytes) = value(ctx, &json)?;
            made.set(0, true)?;
            made.set(1, value)?;
            if bytes {
                made.set(2, true)?;
            }
        }
        Answer::Failed { code, message, kind } => {
            made.set(0, false)?;
            made.set(1, code)?;
            made.set(2, message)?;
            made.set(3, kind)?;
        }
    }
    Ok(made)
}

/// The value of an answer; its text when bytes are in it, which the platform's JavaScript reads.
pub(crate) fn value<'js>(ctx: &Ctx<'js>, json: &str) -> Result<(Value<'js>, bool)> {
    if json.is_empty() {
        return Ok((Value::new_undefined(ctx.clone()), false));
    }
    if memmem::find(json.as_bytes(), b"\"$bytes\"").is_some() {
        return Ok((json.into_js(ctx)?, true));
    }
    Ok((ctx.json_parse(json)?, false))
}

/// Waits, for background jobs; what comes meanwhile waits too.
fn sleep(shared: &Shared, delay: f64) {
    let end = clock::now() + Duration::from_secs_f64((delay / 1000.0).clamp(0.0, 3600.0));
    let request = shared.turn.request.get();
    let end = shared.live.borrow().get(&request).map_or(end, |live| live.deadline.min(end));
    let began = clock::now();
    if shared.flush().is_err() {
        shared.closed.set(true);
    }
    while !shared.closed.get() {
        let left = end.saturating_duration_since(clock::now());
        if left.is_zero() {
            break;
        }
        match shared.receive_aside(Wait::Until(left)) {
            Ok(()) => {}
            Err(Closed) => shared.closed.set(true),
        }
    }
    shared.turn.pause(clock::now().saturating_duration_since(began));
}
