//! What is known of an app's files before any of them runs: types taken out, styles, problems.

use crate::problem::Place;
use crate::protocol::{FromCell, Problem, Role, Style};
use crate::setup::Setup;
use crate::sources;
use crate::typescript::{Refused, Stripper, is_typescript};
use std::collections::HashMap;

/// What was refused, for a frame.
pub(crate) fn problem_of(refused: &Refused) -> Problem<'_> {
    let Refused { message, place: Place { file, line, column } } = refused;
    Problem { message, stack: "", file, line: *line, column: *column }
}

/// Takes the types out of all files that have some.
pub(crate) fn strip_all(setup: &mut Setup) -> HashMap<String, Refused> {
    let mut broken = HashMap::new();
    let mut stripper = None;
    for (path, file) in &mut setup.files {
        if file.stripped || !is_typescript(path) {
            continue;
        }
        let ready = match &stripper {
            Some(ready) => ready,
            None => match Stripper::new() {
                Ok(made) => stripper.insert(made),
                Err(_) => return broken,
            },
        };
        match ready.strip(path, &file.source) {
            Ok(code) => {
                file.source = code;
                file.stripped = true;
            }
            Err(refused) => {
                broken.insert(path.clone(), refused);
            }
        }
    }
    broken
}

/// The style of a file; what is wrong with it goes to `broken`.
pub(crate) fn style_of(
    setup: &Setup,
    path: &str,
    role: Role,
    broken: &mut HashMap<String, Refused>,
) -> Style {
    if broken.contains_key(path) {
        return Style::Broken;
    }
    let refused = match setup.files.get(path) {
        Some(file) => match sources::style(path, &file.source, role, file.stripped) {
            Ok(style) => return style,
            Err(refused) => refused,
        },
        None => Refused { message: format!("there is no file {path}"), place: Place::default() },
    };
    broken.insert(path.to_owned(), refused);
    Style::Broken
}

/// Answers [`ToCell::Check`].
pub(crate) fn answer_check(
    id: u64,
    path: &str,
    source: &str,
    role: Role,
    send: impl FnOnce(&FromCell<'_>),
) {
    match sources::check(path, source, role) {
        Ok((style, code)) => {
            let result = Ok((style, code.as_deref().unwrap_or_default()));
            send(&FromCell::Checked { id, result });
        }
        Err(refused) => send(&FromCell::Checked { id, result: Err(problem_of(&refused)) }),
    }
}
