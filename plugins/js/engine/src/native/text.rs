//! Text and bytes: UTF-8 and the other encodings, base64, hexadecimal, forms.

use super::{functions, multipart};
use crate::raw;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rquickjs::{Array, Ctx, Exception, IntoJs as _, Object, Result, TypedArray, Value};

/// Reads with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>) -> Result<()> {
    functions!(ctx, door, {
        "encode" => |ctx: Ctx<'js>, text: Value<'js>| {
            let mut bytes = Vec::new();
            raw::text_into(&text, &mut bytes)?;
            TypedArray::<u8>::new_copy(ctx, bytes)
        },
        "decode" => |ctx: Ctx<'js>, encoding: String, bytes: Value<'js>, fatal: bool, mark: bool, stream: bool| {
            decode(&ctx, &encoding, &bytes, fatal, mark, stream)
        },
        "base64" => |bytes: Value<'js>| raw::bytes_of(&bytes, |bytes| STANDARD.encode(bytes)),
        "unbase64" => |ctx: Ctx<'js>, text: String| match LENIENT.decode(text) {
            Ok(bytes) => TypedArray::<u8>::new_copy(ctx, bytes),
            Err(_) => Err(Exception::throw_syntax(&ctx, "these are no bytes in base64")),
        },
        "multipart" => |ctx: Ctx<'js>, bytes: Value<'js>, kind: String| multipart::parts(&ctx, &bytes, &kind),
        "query" => |ctx: Ctx<'js>, text: Value<'js>| query(&ctx, &text),
        "queryText" => |list: Array<'js>| query_text(&list),
    });
    Ok(())
}

/// The text; `[text, bytes used]` when a character is cut off and more may follow; `null` when the
/// bytes are wrong and that is fatal.
fn decode<'js>(
    ctx: &Ctx<'js>,
    encoding: &str,
    bytes: &Value<'js>,
    fatal: bool,
    mark: bool,
    stream: bool,
) -> Result<Value<'js>> {
    let decoded = raw::bytes_of(bytes, |bytes| match encoding {
        "utf-8" => utf8(bytes, fatal, stream),
        "utf-16le" => utf16(bytes, u16::from_le_bytes, fatal, stream),
        "utf-16be" => utf16(bytes, u16::from_be_bytes, fatal, stream),
        _ => (Some(bytes.iter().map(|byte| windows_1252(*byte)).collect()), bytes.len()),
    });
    let Some((text, used)) = decoded else {
        return Err(Exception::throw_type(ctx, "decode needs bytes"));
    };
    let Some(text) = text else { return Ok(Value::new_null(ctx.clone())) };
    let text = text.strip_prefix('\u{FEFF}').filter(|_| mark).unwrap_or(&text);
    let all = raw::bytes_of(bytes, <[u8]>::len).unwrap_or_default();
    if used == all {
        return text.into_js(ctx);
    }
    let made = Array::new(ctx.clone())?;
    made.set(0, text)?;
    made.set(1, u32::try_from(used).unwrap_or(u32::MAX))?;
    Ok(made.into_value())
}

fn utf8(bytes: &[u8], fatal: bool, stream: bool) -> (Option<String>, usize) {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        let wrong = chunk.invalid();
        if wrong.is_empty() {
            continue;
        }
        // What is cut off at the end may be completed by what follows.
        if stream && at + wrong.len() == bytes.len() && incomplete(wrong) {
            return (Some(text), at);
        }
        if fatal {
            return (None, at);
        }
        text.push('\u{FFFD}');
        at += wrong.len();
    }
    (Some(text), bytes.len())
}

fn incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn utf16(
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
    fatal: bool,
    stream: bool,
) -> (Option<String>, usize) {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let mut used = bytes.len();
    if stream {
        used -= rest.len();
        if units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
            units.pop();
            used -= 2;
        }
    }
    let mut text = String::with_capacity(units.len());
    for character in char::decode_utf16(units) {
        match character {
            Ok(character) => text.push(character),
            Err(_) if fatal => return (None, 0),
            Err(_) => text.push('\u{FFFD}'),
        }
    }
    if !stream && !rest.is_empty() {
        if fatal {
            return (None, 0);
        }
        text.push('\u{FFFD}');
    }
    (Some(text), used)
}

/// <https://encoding.spec.whatwg.org/index-windows-1252.txt>
fn windows_1252(byte: u8) -> char {
    const HIGH: [u16; 32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013,
        0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
    ];
    match byte.checked_sub(0x80).and_then(|index| HIGH.get(usize::from(index))) {
        Some(code) => char::from_u32(u32::from(*code)).unwrap_or('\u{FFFD}'),
        None => char::from(byte),
    }
}

/// Names and values in turn.
fn query<'js>(ctx: &Ctx<'js>, text: &Value<'js>) -> Result<Array<'js>> {
    let mut bytes = Vec::new();
    raw::text_into(text, &mut bytes)?;
    let made = Array::new(ctx.clone())?;
    let mut at = 0;
    for (name, value) in ::url::form_urlencoded::parse(&bytes) {
        made.set(at, name.as_ref())?;
        made.set(at + 1, value.as_ref())?;
        at += 2;
    }
    Ok(made)
}

fn query_text(list: &Array<'_>) -> Result<String> {
    let mut out = ::url::form_urlencoded::Serializer::new(String::new());
    for at in (0..list.len()).step_by(2) {
        let (name, value): (Value<'_>, Value<'_>) = (list.get(at)?, list.get(at + 1)?);
        out.append_pair(&raw::text(&name)?, &raw::text(&value)?);
    }
    Ok(out.finish())
}
