//! `multipart/form-data` (RFC 7578): the parts of a body by their places in it.

use crate::raw;
use memchr::memmem;
use rquickjs::{Array, Ctx, Result, Value};

/// Parts of one body; what has more is refused.
const PARTS_MAX: usize = 1_000;

/// A part: its content is `start..end` of the body.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) kind: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// `[name, filename?, type, start, end]` of each; `undefined` when the body is malformed.
pub(super) fn parts<'js>(ctx: &Ctx<'js>, body: &Value<'js>, kind: &str) -> Result<Value<'js>> {
    let parsed = raw::bytes_of(body, |bytes| boundary(kind).and_then(|mark| split(bytes, &mark)));
    let Some(parsed) = parsed.flatten() else { return Ok(Value::new_undefined(ctx.clone())) };
    let list = Array::new(ctx.clone())?;
    for (at, part) in parsed.into_iter().enumerate() {
        let made = Array::new(ctx.clone())?;
        made.set(0, part.name)?;
        made.set(1, part.filename)?;
        made.set(2, part.kind)?;
        made.set(3, u32::try_from(part.start).unwrap_or(u32::MAX))?;
        made.set(4, u32::try_from(part.end).unwrap_or(u32::MAX))?;
        list.set(at, made)?;
    }
    Ok(list.into_value())
}

/// The boundary of a content type.
fn boundary(kind: &str) -> Option<String> {
    let found = parameter(kind, "boundary")?;
    (!found.is_empty() && found.len() <= 200).then_some(found)
}

/// The value of `; name=value` or `; name="value"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim_end().to_owned());
        }
        rest = after;
    }
}

/// The parts of a body.
pub(crate) fn split(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let (open, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let first = memmem::find(body, open.as_bytes())?;
    if first != 0 && body.get(..first).is_none_or(|before| !before.ends_with(b"\r\n")) {
        return None;
    }
    let finder = memmem::Finder::new(between.as_bytes());
    let mut at = first + open.len();
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        at += spaces;
        if !body.get(at..)?.starts_with(b"\r\n") || parts.len() >= PARTS_MAX {
            return None;
        }
        at += 2;
        // A part without headers begins with the empty line itself.
        let (head, start) = if body.get(at..)?.starts_with(b"\r\n") {
            (&body[at..at], at + 2)
        } else {
            let length = memmem::find(body.get(at..)?, b"\r\n\r\n")?;
            (body.get(at..at + length)?, at + length + 4)
        };
        let end = match finder.find(body.get(start - 2..)?) {
            Some(found) => (start - 2 + found).max(start),
            None => return None,
        };
        let found = start - 2 + finder.find(body.get(start - 2..)?)?;
        parts.push(part(std::str::from_utf8(head).ok()?, start, end)?);
        at = found + between.len();
    }
}

fn part(head: &str, start: usize, end: usize) -> Option<Part> {
    let (mut name, mut filename, mut kind) = (None, None, String::new());
    for line in head.split("\r\n") {
        let Some((key, value)) = line.split_once(':') else { continue };
        if key.trim().eq_ignore_ascii_case("content-disposition") {
            let unescape =
                |text: String| text.replace("%0D", "\r").replace("%0A", "\n").replace("%22", "\"");
            name = parameter(value, "name").map(unescape);
            filename = parameter(value, "filename").map(unescape);
        } else if key.trim().eq_ignore_ascii_case("content-type") {
            kind = value.trim().to_owned();
        }
    }
    Some(Part { name: name?, filename, kind, start, end })
}
