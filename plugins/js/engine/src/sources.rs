//! What a source is, without running it: its style, or where it is wrong.

use crate::native::compile_classic;
use crate::prelude::Anything;
use crate::problem::Place;
use crate::protocol::{Role, Style};
use crate::raw::{self, Goal};
use crate::typescript::{Refused, Stripper, column_as_written, is_typescript};
use rquickjs::{Context, Ctx, Object, Runtime, Value};

/// The memory and the stack for looking at one source.
const MEMORY_BYTES_MAX: usize = 64 << 20;
const STACK_BYTES: usize = 400 << 10;

/// The style of a source, and its JavaScript if it is TypeScript.
pub(crate) fn check(
    path: &str,
    source: &str,
    role: Role,
) -> Result<(Style, Option<String>), Refused> {
    if path.ends_with(".json") {
        return match serde_json::from_str::<serde_json::Value>(source) {
            Ok(_) => Ok((Style::Module, None)),
            Err(error) => Err(json_refused(path, &error)),
        };
    }
    if !is_typescript(path) {
        return style(path, source, role, false).map(|style| (style, None));
    }
    let stripper = Stripper::new().map_err(|error| unable(path, &error.to_string()))?;
    let code = stripper.strip(path, source)?;
    drop(stripper);
    style(path, &code, role, true).map(|style| (style, Some(code)))
}

fn json_refused(path: &str, error: &serde_json::Error) -> Refused {
    let number = |value: usize| u32::try_from(value).unwrap_or_default();
    let place =
        Place { file: path.to_owned(), line: number(error.line()), column: number(error.column()) };
    Refused { message: format!("SyntaxError: {error}"), place }
}

fn unable(path: &str, message: &str) -> Refused {
    Refused {
        message: message.to_owned(),
        place: Place { file: path.to_owned(), ..Place::default() },
    }
}

/// The style of JavaScript.
pub(crate) fn style(
    path: &str,
    source: &str,
    role: Role,
    stripped: bool,
) -> Result<Style, Refused> {
    let runtime = Runtime::new().map_err(|error| unable(path, &error.to_string()))?;
    runtime.set_memory_limit(MEMORY_BYTES_MAX);
    runtime.set_max_stack_size(STACK_BYTES);
    runtime.set_loader(Anything, Anything);
    let context = Context::full(&runtime).map_err(|error| unable(path, &error.to_string()))?;
    context.with(|ctx| style_in(&ctx, path, source, role, stripped))
}

fn style_in(
    ctx: &Ctx<'_>,
    path: &str,
    source: &str,
    role: Role,
    stripped: bool,
) -> Result<Style, Refused> {
    let classic = if role == Role::Root { Style::Root } else { Style::Classic };
    let as_module = || match raw::compile(ctx, path, source, Goal::Module) {
        Ok(_) => Ok(Style::Module),
        Err(_) => Err(caught(ctx, path, source, stripped)),
    };
    let as_classic = || match compile_classic(ctx, path, source) {
        Ok(_) => Ok(classic),
        Err(_) => Err(caught(ctx, path, source, stripped)),
    };
    if path.ends_with(".mjs") || path.ends_with(".mts") {
        return as_module();
    }
    if path.ends_with(".cjs") || path.ends_with(".cts") {
        return as_classic();
    }
    // Whatever works as a classic script is one; what says import or export does not.
    let refused_classic = match as_classic() {
        Ok(style) => return Ok(style),
        Err(refused) => refused,
    };
    as_module().map_err(|refused| if is_module_like(source) { refused } else { refused_classic })
}

/// Whether a source that is neither was meant as a module.
fn is_module_like(source: &str) -> bool {
    source.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("import ")
            || line.starts_with("import{")
            || line.starts_with("import\"")
            || line.starts_with("import'")
            || line.starts_with("export ")
            || line.starts_with("export{")
            || line.starts_with("export*")
    })
}

/// The error that the compiler threw.
fn caught(ctx: &Ctx<'_>, path: &str, source: &str, stripped: bool) -> Refused {
    let error: Value<'_> = ctx.catch();
    let message = raw::text(&error).unwrap_or_else(|_| {
        drop(ctx.catch());
        "the source cannot be compiled".to_owned()
    });
    let stack =
        error.as_object().and_then(|error: &Object<'_>| error.get::<_, String>("stack").ok());
    let mut place = Place { file: path.to_owned(), ..Place::default() };
    if let Some(found) = stack.as_deref().and_then(|stack| first_place(stack, path)) {
        place = found;
    }
    if stripped {
        place.column = column_as_written(source, place.line, place.column);
    }
    Refused { message, place }
}

/// `    at api/main.js:3:5`, without an app's files to compare with.
fn first_place(stack: &str, path: &str) -> Option<Place> {
    stack.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("at ")?;
        let rest = rest.rsplit_once('(').map_or(rest, |(_, rest)| rest.trim_end_matches(')'));
        let mut numbers = rest.strip_prefix(path)?.rsplit(':');
        let column = numbers.next()?.parse().ok()?;
        let line = numbers.next()?.parse().ok()?;
        Some(Place { file: path.to_owned(), line, column })
    })
}
