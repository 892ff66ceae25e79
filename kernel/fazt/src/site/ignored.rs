//! What a site leaves out: `node_modules`, and what its `.faztignore` names.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::failure::Failure;

/// The names that stay here.
#[derive(Debug)]
pub(super) struct Ignored(Gitignore);

impl Ignored {
    /// Reads the list of the site at `root`, if it has one.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let list = root.join(LIST);
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("{} cannot be used: {error}", list.display()))
        };
        // The root of the patterns is the site's: paths are matched as they are published.
        let mut builder = GitignoreBuilder::new("");
        builder.add_line(None, MODULES).map_err(|error| wrong(&error))?;
        match std::fs::read_to_string(&list) {
            Ok(lines) => {
                for line in lines.lines() {
                    builder
                        .add_line(Some(list.clone()), line)
                        .map_err(|error| wrong(&format!("the line {line}: {error}")))?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(&error)),
        }
        builder.build().map(Self).map_err(|error| wrong(&error))
    }

    /// Whether a name stays here. Whoever asks has asked for the directories above.
    pub(super) fn names(&self, path: &str, is_directory: bool) -> bool {
        self.0.matched(path, is_directory).is_ignore()
    }

    /// Whether a name, or a directory on the way to it, stays here.
    pub(super) fn names_any_part(&self, path: &Path, is_directory: bool) -> bool {
        self.0.matched_path_or_any_parents(path, is_directory).is_ignore()
    }
}

/// The file that lists what stays here.
const LIST: &str = ".faztignore";
/// Where other people's packages lie; a site that needs them has bundled them.
pub(super) const MODULES: &str = "node_modules";
