//! URLs, by the `url` crate: one call parses, the platform's JavaScript cuts the parts out.

use super::functions;
use ::url::{Position, Url, quirks};
use rquickjs::{Array, Ctx, Object, Result, Value};

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>) -> Result<()> {
    functions!(ctx, door, {
        "url" => |ctx: Ctx<'js>, text: Value<'js>, base: Value<'js>| {
            let parsed = if base.is_undefined() {
                Url::parse(&crate::raw::text(&text)?)
            } else {
                match Url::parse(&crate::raw::text(&base)?) {
                    Ok(base) => base.join(&crate::raw::text(&text)?),
                    Err(error) => Err(error),
                }
            };
            match parsed {
                Ok(url) => parts(&ctx, &url),
                Err(_) => Ok(Value::new_undefined(ctx.clone())),
            }
        },
        "urlSet" => |ctx: Ctx<'js>, url: String, part: String, value: Value<'js>| {
            let value = crate::raw::text(&value)?;
            let Ok(mut url) = Url::parse(&url) else { return Ok(Value::new_undefined(ctx.clone())) };
            set(&mut url, &part, &value);
            parts(&ctx, &url)
        },
    });
    Ok(())
}

/// A setter that cannot take the value leaves the URL as it is, as the standard says.
fn set(url: &mut Url, part: &str, value: &str) {
    let done = match part {
        "protocol" => quirks::set_protocol(url, value),
        "username" => quirks::set_username(url, value),
        "password" => quirks::set_password(url, value),
        "host" => quirks::set_host(url, value),
        "hostname" => quirks::set_hostname(url, value),
        "port" => quirks::set_port(url, value),
        "pathname" => {
            quirks::set_pathname(url, value);
            Ok(())
        }
        "search" => {
            quirks::set_search(url, value);
            Ok(())
        }
        _ => {
            quirks::set_hash(url, value);
            Ok(())
        }
    };
    if done.is_err() {}
}

/// The serialised URL, then where its parts begin and end; the order is that of platform/url.js.
fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> Result<Value<'js>> {
    let at = |position: Position| u32::try_from(url[..position].len()).unwrap_or(u32::MAX);
    let made = Array::new(ctx.clone())?;
    let start = at(Position::BeforePath);
    // The crate's own marks of a password are off when there is none.
    let name_end = at(Position::AfterUsername);
    let password = match url.password() {
        Some(_) => (at(Position::BeforePassword), at(Position::AfterPassword)),
        None => (name_end, name_end),
    };
    let numbers = [
        at(Position::AfterScheme) + 1,
        at(Position::BeforeUsername),
        name_end,
        password.0,
        password.1,
        at(Position::BeforeHost),
        at(Position::AfterHost),
        at(Position::BeforePort),
        at(Position::AfterPort),
        at(Position::AfterPath),
        at(Position::AfterQuery),
    ];
    made.set(0, url.as_str())?;
    for (index, number) in numbers.into_iter().enumerate() {
        made.set(index + 1, number)?;
    }
    made.set(12, url.origin().ascii_serialization())?;
    made.set(13, start)?;
    Ok(made.into_value())
}
