//! What went wrong, and where in the source as its author wrote it.

use crate::setup::Setup;

/// A place in a file of the app.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
}

/// A function body has this in front of its first line, which the author did not write.
pub(crate) const BODY_PREFIX: &str = "(function(__fazt_end){";
/// The same for one that waits.
pub(crate) const ASYNC_PREFIX: &str = "(async function(__fazt_end){";
/// The same for a file that is required.
pub(crate) const REQUIRED_PREFIX: &str = "(function(exports,require,module,__filename,__dirname){";

/// Marks the end of a file's name in the interpreter: how much stands before its first line.
const PREFIX_MARK: char = '\u{1}';

/// The name under which a source with a prefix is compiled.
pub(crate) fn prefixed_name(path: &str, prefix: &str) -> String {
    format!("{path}{PREFIX_MARK}{}", prefix.chars().count())
}

/// The place that a line of a stack names: `    at f (api/main.js:3:5)`.
fn place_of(line: &str, setup: &Setup) -> Option<Place> {
    let inner = line.trim().strip_prefix("at ")?;
    let inner = inner.rsplit_once('(').map_or(inner, |(_, place)| place.trim_end_matches(')'));
    let (rest, column) = inner.rsplit_once(':')?;
    let (file, row) = rest.rsplit_once(':')?;
    let (row, mut column): (u32, u32) = (row.parse().ok()?, column.parse().ok()?);
    let (file, prefix) = match file.split_once(PREFIX_MARK) {
        Some((file, prefix)) => (file, prefix.parse().unwrap_or(0)),
        None => (file, 0),
    };
    let known = setup.files.get(file)?;
    if row == 1 {
        column = column.saturating_sub(prefix).max(1);
    }
    if known.stripped {
        column = crate::typescript::column_as_written(&known.source, row, column);
    }
    Some(Place { file: file.to_owned(), line: row, column })
}

/// The first place of a stack that lies in the app.
pub(crate) fn place(stack: &str, setup: &Setup) -> Option<Place> {
    stack.lines().find_map(|line| place_of(line, setup))
}

/// A stack without the platform's own lines, with places as written.
pub(crate) fn app_stack(stack: &str, setup: &Setup) -> String {
    let mut out = String::new();
    let place = |file: &str, row: u32, column: u32| format!("{file}:{row}:{column}");
    for line in stack.lines() {
        let own = line.contains("fazt:platform") || line.contains("fazt:vendor");
        if own || line.trim() == "at <anonymous>" || line.contains("(native)") {
            continue;
        }
        if let Some(Place { file, line: row, column }) = place_of(line, setup) {
            let name = line.trim().strip_prefix("at ").and_then(|rest| rest.split_once(" ("));
            out.push_str("    at ");
            match name {
                Some((name, _)) => out.extend([name, " (", &place(&file, row, column), ")"]),
                None => out.push_str(&place(&file, row, column)),
            }
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// What the platform's JavaScript says of `throw null`.
pub(crate) const NULL_THROWN: &str =
    "null was thrown: by the script, or because its memory (js.memory_bytes) is used up";

/// The code of a failure: what the interpreter says in words is told apart here.
pub(crate) fn code<'c>(code: &'c str, message: &str) -> &'c str {
    if code != "FUNCTION_ERROR" && code != "LOAD_ERROR" {
        return code;
    }
    // Without memory for the error itself the interpreter throws null.
    if message.ends_with("out of memory") || message == NULL_THROWN {
        "MEMORY_LIMIT"
    } else if message.ends_with("Maximum call stack size exceeded") {
        "STACK_LIMIT"
    } else {
        code
    }
}
