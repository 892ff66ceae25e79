//! What a site leaves out: `node_modules`, and what the `.faztignore` of a directory names below it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::failure::Failure;

/// The names that stay here.
#[derive(Debug)]
pub(super) struct Ignored {
    root: PathBuf,
    /// By directory, as far as they were needed; most directories have none.
    lists: HashMap<String, Option<Gitignore>>,
}

impl Ignored {
    /// Reads the list of the site at `root`, if it has one.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut ignored = Self { root: root.to_owned(), lists: HashMap::new() };
        ignored.list("")?;
        Ok(ignored)
    }

    /// Whether a name stays here, as the list nearest to it says that has a word on it. Whoever asks has
    /// asked for the directories above.
    pub(super) fn names(&mut self, path: &str, is_directory: bool) -> Result<bool, Failure> {
        let mut above = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        loop {
            let within = path.strip_prefix(above).unwrap_or(path).trim_start_matches('/');
            let list = self.list(above)?;
            match list.map_or(Match::None, |list| list.matched(within, is_directory)) {
                Match::Ignore(_) => return Ok(true),
                Match::Whitelist(_) => return Ok(false),
                Match::None if above.is_empty() => return Ok(false),
                Match::None => above = above.rsplit_once('/').map_or("", |(higher, _)| higher),
            }
        }
    }

    /// Whether a name, or a directory on the way to it, stays here.
    pub(super) fn names_any_part(
        &mut self,
        path: &str,
        is_directory: bool,
    ) -> Result<bool, Failure> {
        for (end, _) in path.match_indices('/') {
            if self.names(&path[..end], true)? {
                return Ok(true);
            }
        }
        self.names(path, is_directory)
    }

    /// The list of a directory; nothing when it has none.
    fn list(&mut self, directory: &str) -> Result<Option<&Gitignore>, Failure> {
        if !self.lists.contains_key(directory) {
            let list = read(&self.root, directory)?;
            self.lists.insert(directory.to_owned(), list);
        }
        Ok(self.lists.get(directory).and_then(Option::as_ref))
    }
}

fn read(root: &Path, directory: &str) -> Result<Option<Gitignore>, Failure> {
    let list = root.join(directory).join(LIST);
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{} cannot be used: {error}", list.display()))
    };
    let lines = match std::fs::read_to_string(&list) {
        Ok(lines) => lines,
        Err(error) if error.kind() == ErrorKind::NotFound && !directory.is_empty() => {
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wrong(&error)),
    };
    // The root of the patterns is the directory: paths are matched as they are published.
    let mut builder = GitignoreBuilder::new("");
    if directory.is_empty() {
        builder.add_line(None, MODULES).map_err(|error| wrong(&error))?;
    }
    for line in lines.lines() {
        builder
            .add_line(Some(list.clone()), line)
            .map_err(|error| wrong(&format!("the line {line}: {error}")))?;
    }
    builder.build().map(Some).map_err(|error| wrong(&error))
}

/// The file that lists what stays here.
pub(super) const LIST: &str = ".faztignore";
/// Where other people's packages lie; a site that needs them has bundled them.
pub(super) const MODULES: &str = "node_modules";
