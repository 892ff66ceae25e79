//! The archive's rules about names and sizes, for a list of files without an archive around it.

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::limits::ArchiveLimits;
use super::names;
use super::path::{self, EntryKind};

/// Checks paths and sizes of the files of a deployment; returns the bytes of all of them together.
///
/// # Errors
/// [`ArchiveError::Refused`] with the file and the rule that it breaks.
pub fn check_list(files: &[(&str, u64)], limits: &ArchiveLimits) -> Result<u64, ArchiveError> {
    if files.is_empty() {
        return Err(Refusal::archive(RefusalKind::Empty, "has no file in it"));
    }
    let count = files.len() as u64;
    if count > limits.entries_max {
        let detail = format!("has {count} files, the cap is {}", limits.entries_max);
        return Err(Refusal::archive(RefusalKind::TooManyEntries, detail));
    }
    let mut total: u64 = 0;
    let mut entries = Vec::with_capacity(files.len());
    for &(name, size) in files {
        let (path, kind) = path::canonical(name.as_bytes())?;
        if kind == EntryKind::Directory {
            let detail = "names a directory, not a file";
            return Err(Refusal::entry(RefusalKind::PathNotCanonical, name.as_bytes(), detail));
        }
        if size > limits.file_bytes() {
            let detail = format!("has {size} bytes, the cap is {}", limits.file_bytes());
            return Err(Refusal::entry(RefusalKind::FileTooLarge, name.as_bytes(), detail));
        }
        total = total.saturating_add(size);
        entries.push((path, kind));
    }
    if total > limits.total_bytes_max {
        let detail = format!("has {total} bytes, the cap is {}", limits.total_bytes_max);
        return Err(Refusal::archive(RefusalKind::TotalTooLarge, detail));
    }
    names::check(&entries)?;
    Ok(total)
}

/// Pairs of paths that differ only by case, at most `count_max`: both are served, each under its exact
/// name, which may surprise.
pub fn case_collisions<'a>(
    paths: impl Iterator<Item = &'a str>,
    count_max: usize,
) -> Vec<(&'a str, &'a str)> {
    names::case_collisions(paths, count_max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(files: &[(&str, u64)], limits: &ArchiveLimits) -> &'static str {
        check_list(files, limits).map_or_else(|error| error.code(), |_| "")
    }

    #[test]
    fn a_list_obeys_the_rules_of_archives() {
        let limits = ArchiveLimits {
            entries_max: 3,
            file_bytes_max: 10,
            total_bytes_max: 15,
            ..ArchiveLimits::default()
        };
        assert_eq!(check_list(&[("a", 10), ("b/c", 5)], &limits).ok(), Some(15));
        type Case<'a> = (&'a str, &'a [(&'a str, u64)]);
        let cases: [Case<'_>; 12] = [
            ("EMPTY_ARCHIVE", &[]),
            ("TOO_MANY_ENTRIES", &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]),
            ("FILE_TOO_LARGE", &[("a", 11)]),
            ("TOTAL_TOO_LARGE", &[("a", 10), ("b", 6)]),
            ("FILE_TOO_LARGE", &[("a", u64::MAX), ("b", u64::MAX)]),
            ("PATH_NOT_CANONICAL", &[("../x", 1)]),
            ("PATH_NOT_CANONICAL", &[("/abs", 1)]),
            ("PATH_NOT_CANONICAL", &[("..\\x", 1)]),
            ("PATH_NOT_CANONICAL", &[("C:\\x", 1)]),
            ("PATH_NOT_CANONICAL", &[("a/", 0)]),
            ("DUPLICATE_PATH", &[("a", 1), ("a", 1)]),
            ("FILE_IS_DIRECTORY", &[("a", 1), ("a/b", 1)]),
        ];
        for (expected, files) in cases {
            assert_eq!(code(files, &limits), expected, "{files:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_written_to_a_disk(
            names in proptest::collection::vec("[a-c./\\\\]{0,6}", 1..8),
        ) {
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
            if check_list(&files, &ArchiveLimits::default()).is_ok() {
                let root = tempfile::tempdir()?;
                for name in &names {
                    let path = root.path().join(name);
                    prop_assert!(path.starts_with(root.path()));
                    let parent = path.parent().unwrap_or(root.path());
                    std::fs::create_dir_all(parent)?;
                    prop_assert!(!path.exists());
                    std::fs::write(&path, "x")?;
                }
            }
        }
    }
}
