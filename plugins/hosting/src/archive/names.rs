//! Rules between names: no duplicate, no file that is also a directory, a warning for names that
//! differ only by case.

use std::cmp::Ordering;

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::path::EntryKind;

/// Checks the names of an archive against each other.
pub(super) fn check(names: &[(&str, EntryKind)]) -> Result<(), ArchiveError> {
    let mut order: Vec<&(&str, EntryKind)> = names.iter().collect();
    order.sort_unstable_by(|a, b| by_segment(a.0, b.0));
    // Sorted by segment, everything in a directory follows the directory at once.
    for pair in order.windows(2) {
        let [(path, kind), (next, next_kind)] = pair else { continue };
        if path == next && kind == next_kind {
            return Err(Refusal::entry(
                RefusalKind::DuplicatePath,
                path.as_bytes(),
                "is there twice",
            ));
        }
        let is_inside = next.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        let is_clash = path == next || (is_inside && *kind == EntryKind::File);
        if is_clash {
            return Err(Refusal::entry(
                RefusalKind::FileIsDirectory,
                path.as_bytes(),
                "is a file and also a directory",
            ));
        }
    }
    Ok(())
}

/// The pairs of neighboring paths that differ only by case, at most `count_max`.
pub(super) fn case_collisions<'a>(
    paths: impl Iterator<Item = &'a str>,
    count_max: usize,
) -> Vec<(&'a str, &'a str)> {
    let mut order: Vec<&str> = paths.collect();
    order.sort_unstable_by(|a, b| folded(a).cmp(folded(b)));
    let alike = |pair: &&[&str]| folded(pair[0]).eq(folded(pair[1]));
    order.windows(2).filter(alike).take(count_max).map(|pair| (pair[0], pair[1])).collect()
}

fn by_segment(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

fn folded(path: &str) -> impl Iterator<Item = char> + '_ {
    path.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn verdict(names: &[&str]) -> Result<(), &'static str> {
        let kinds: Vec<_> = names
            .iter()
            .map(|name| match name.strip_suffix('/') {
                Some(path) => (path, EntryKind::Directory),
                None => (*name, EntryKind::File),
            })
            .collect();
        check(&kinds).map_err(|error| error.code())
    }

    #[test]
    fn clashes_are_found_whatever_sorts_between() {
        assert_eq!(verdict(&["a/b", "a!", "a-b", "a"]), Err("FILE_IS_DIRECTORY"));
        assert_eq!(verdict(&["a", "a.b/c", "a/b/c"]), Err("FILE_IS_DIRECTORY"));
        assert_eq!(verdict(&["a", "a/"]), Err("FILE_IS_DIRECTORY"));
        assert_eq!(verdict(&["a", "b", "a"]), Err("DUPLICATE_PATH"));
        assert_eq!(verdict(&["a/", "b", "a/"]), Err("DUPLICATE_PATH"));
        assert_eq!(verdict(&["a/", "a/b", "a/b.c", "ab", "A"]), Ok(()));
    }

    #[test]
    fn case_collisions_are_counted_and_bounded() {
        let paths = ["struct.Foo.html", "b", "struct.foo.html", "B", "É", "é"];
        assert_eq!(case_collisions(paths.into_iter(), 9).len(), 3);
        assert_eq!(case_collisions(paths.into_iter(), 1).len(), 1);
        assert!(case_collisions(["a", "b"].into_iter(), 9).is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_the_quadratic_definition(
            names in proptest::collection::vec("[ab.-]{1,2}(/[ab.-]{1,2}){0,2}", 0..12),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let unique: HashSet<_> = names.iter().collect();
            let clash = names.iter().any(|file| {
                names.iter().any(|other| other.starts_with(&format!("{file}/")))
            });
            prop_assert_eq!(verdict(&names).is_ok(), unique.len() == names.len() && !clash);
        }
    }
}
