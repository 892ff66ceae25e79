//! TypeScript becomes JavaScript by taking the types out (sucrase, inside the interpreter). Lines stay
//! where they are; the columns are in a source map at the end, which travels with the JavaScript.

use crate::prelude::{Prelude, TYPESCRIPT};
use crate::problem::Place;
use crate::raw;
use rquickjs::{Context, Function, Result, Runtime, Value};

/// Introduces the map: base64 VLQ, one group a line.
const MAP_MARK: &str = "\n//# fazt-columns=";

/// Memory for taking types out of one file.
const MEMORY_BYTES_MAX: usize = 128 << 20;

/// The interpreter's stack for it; the parser is recursive.
const STACK_BYTES: usize = 400 << 10;

/// Why there is no JavaScript.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) place: Place,
}

/// Whether a path is TypeScript's.
pub(crate) fn is_typescript(path: &str) -> bool {
    [".ts", ".mts", ".cts", ".tsx"].iter().any(|ending| path.ends_with(ending))
        && !path.ends_with(".d.ts")
}

/// Takes types out, one file after the other, in a runtime that goes away afterwards.
pub(crate) struct Stripper {
    strip: rquickjs::Persistent<Function<'static>>,
    context: Context,
    // Fields are dropped in this order: nothing may outlive its runtime.
    runtime: Runtime,
}

impl Stripper {
    pub(crate) fn new() -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(MEMORY_BYTES_MAX);
        runtime.set_max_stack_size(STACK_BYTES);
        let context = Context::full(&runtime)?;
        let strip = context.with(|ctx| {
            let module = Prelude::default().module(&ctx, TYPESCRIPT.0);
            let (module, promise) = module.unwrap_or(Err(rquickjs::Error::Unknown))?.eval()?;
            promise.finish::<Value<'_>>()?;
            let strip: Function<'_> = module.namespace()?.get("strip")?;
            Ok::<_, rquickjs::Error>(rquickjs::Persistent::save(&ctx, strip))
        })?;
        Ok(Self { strip, context, runtime })
    }

    /// The JavaScript of a file.
    pub(crate) fn strip(&self, path: &str, source: &str) -> std::result::Result<String, Refused> {
        let answer = self.context.with(|ctx| {
            let strip = self.strip.clone().restore(&ctx);
            let made = strip.and_then(|strip| strip.call::<_, Vec<String>>((source, path)));
            made.map_err(|_| {
                let caught = ctx.catch();
                refused(path, &raw::text(&caught).unwrap_or_default())
            })
        });
        self.runtime.run_gc();
        let mut made = answer?.into_iter();
        let (mut code, map) = (made.next().unwrap_or_default(), made.next().unwrap_or_default());
        code.push_str(MAP_MARK);
        code.push_str(&map);
        Ok(code)
    }
}

/// `SyntaxError: Error transforming api/main.ts: Unexpected token (3:7)`: the place is at the end.
fn refused(path: &str, text: &str) -> Refused {
    let (head, place) = text.trim_end().rsplit_once('(').unwrap_or((text, ""));
    let mut numbers = place.trim_end_matches(')').split(':').map(str::parse::<u32>);
    let (line, column) = match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (line, column),
        _ => (0, 0),
    };
    let marker = format!("Error transforming {path}: ");
    let message = if line == 0 { text } else { head }.replace(&marker, "").trim().to_owned();
    Refused { message, place: Place { file: path.to_owned(), line, column } }
}

/// The column of the source as written, for a place in what runs.
pub(crate) fn column_as_written(code: &str, line: u32, column: u32) -> u32 {
    let Some((_, map)) = code.rsplit_once(MAP_MARK) else { return column };
    let index = usize::try_from(line.saturating_sub(1)).unwrap_or_default();
    // The original column counts on from group to group, so earlier groups are read too.
    let (mut source_column, mut best) = (0_i64, None);
    for (at, group) in map.split(';').enumerate().take(index + 1) {
        let mut made_column = 0_i64;
        for segment in group.split(',').filter(|segment| !segment.is_empty()) {
            let fields = vlq(segment);
            made_column += fields.first().copied().unwrap_or_default();
            source_column += fields.get(3).copied().unwrap_or_default();
            if at == index && made_column < i64::from(column) {
                best = Some((made_column, source_column));
            }
        }
    }
    let Some((made, written)) = best else { return column };
    u32::try_from(written + i64::from(column) - made).unwrap_or(column).max(1)
}

/// The numbers of a segment (base64 VLQ).
fn vlq(segment: &str) -> Vec<i64> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut numbers, mut value, mut shift) = (Vec::new(), 0_i64, 0);
    for byte in segment.bytes() {
        let Some(digit) = DIGITS.iter().position(|known| *known == byte) else { return numbers };
        let digit = i64::try_from(digit).unwrap_or_default();
        if shift < 60 {
            value |= (digit & 31) << shift;
        }
        shift += 5;
        if digit & 32 == 0 {
            numbers.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    numbers
}
