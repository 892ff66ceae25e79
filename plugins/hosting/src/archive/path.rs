//! The one spelling of a path that is stored and served.

use super::error::{ArchiveError, Refusal, RefusalKind};

/// The longest path of an entry, in bytes of UTF-8.
///
/// Generous for a site, and short enough that 50,000 of them stay small in memory.
pub const PATH_BYTES_MAX: usize = 512;

/// The longest segment of a path, in bytes of UTF-8: what common file systems can hold, so that a
/// deployment can be written back to a disk.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// Whether an entry names a file or a directory: a directory ends in `/` (4.3.8, 4.4.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
}

/// Checks the `name` of an entry and returns its path without the trailing `/` of a directory.
pub(super) fn canonical(name: &[u8]) -> Result<(&str, EntryKind), ArchiveError> {
    let refuse = |detail: &str| Refusal::entry(RefusalKind::PathNotCanonical, name, detail);
    let Ok(text) = str::from_utf8(name) else {
        return Err(Refusal::entry(
            RefusalKind::PathNotUtf8,
            name,
            "has a name that is not valid UTF-8",
        ));
    };
    let (path, kind) = match text.strip_suffix('/') {
        Some(path) => (path, EntryKind::Directory),
        None => (text, EntryKind::File),
    };
    if text.is_empty() {
        return Err(refuse("has no name"));
    }
    if text.starts_with('/') {
        return Err(refuse("has an absolute name"));
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Refusal::entry(
            RefusalKind::PathTooLong,
            name,
            format!("has a name of {} bytes, the limit is {PATH_BYTES_MAX}", path.len()),
        ));
    }
    if text.contains('\\') {
        return Err(refuse("has a backslash in its name"));
    }
    if text.contains(char::is_control) {
        return Err(refuse("has a control character in its name"));
    }
    if let [letter, b':', ..] = path.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        return Err(refuse("has a name that starts with a drive letter"));
    }
    for segment in path.split('/') {
        match segment {
            "" => return Err(refuse("has an empty segment in its name")),
            "." | ".." => return Err(refuse("has a `.` or `..` segment in its name")),
            _ if segment.len() > SEGMENT_BYTES_MAX => {
                return Err(Refusal::entry(
                    RefusalKind::PathTooLong,
                    name,
                    format!(
                        "has a segment of {} bytes, the limit is {SEGMENT_BYTES_MAX}",
                        segment.len()
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok((path, kind))
}

/// Whether `path` could be the path of a file in an archive: canonical, relative, not too long.
pub fn is_file_path(path: &str) -> bool {
    matches!(canonical(path.as_bytes()), Ok((_, EntryKind::File)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_are_canonical() {
        for name in ["a", "a/b.js", ".well-known/x", "…/日本.html", "a b/c+d,%2f", "xy:z", "..."]
        {
            assert_eq!(canonical(name.as_bytes()).unwrap(), (name, EntryKind::File));
        }
        assert_eq!(canonical(b"a/b/").unwrap(), ("a/b", EntryKind::Directory));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let hostile: &[&[u8]] = &[
            b"",
            b"/",
            b"//",
            b"/a",
            b"../a",
            b"a/../b",
            b"a/..",
            b"./a",
            b"a/.",
            b".",
            b"..",
            b"a//b",
            b"a//",
            b"..\\a",
            b"a\\b",
            b"C:\\a",
            b"C:/a",
            b"c:a",
            b"a:",
            b"a\0b",
            b"a\nb",
            b"a\x7f",
            b"a\xc2\x85",
            b"a\xff",
            b"\xc0\xae\xc0\xae/a",
            b"\xed\xa0\x80",
        ];
        for name in hostile {
            let error = canonical(name).expect_err(&format!("{name:?} is accepted"));
            assert_eq!(error.status(), 400);
        }
    }

    #[test]
    fn length_limits_hold_at_the_edge() {
        let segment = "s".repeat(SEGMENT_BYTES_MAX);
        assert!(canonical(segment.as_bytes()).is_ok());
        assert!(canonical(format!("{segment}s").as_bytes()).is_err());
        let longest = format!("{segment}/{segment}/b");
        assert_eq!(longest.len(), PATH_BYTES_MAX + 1);
        assert!(canonical(longest.as_bytes()).is_err());
        assert!(canonical(&longest.as_bytes()[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_cannot_leave_its_root(name in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(b'\\'), Just(b':'), Just(b'a'), any::<u8>()],
            0..24,
        )) {
            if let Ok((path, _)) = canonical(&name) {
                let mut components = std::path::Path::new(path).components();
                prop_assert!(components.all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert!(!path.starts_with('/') && !path.ends_with('/'));
                prop_assert_eq!(path.split('/').filter(|s| s.is_empty()).count(), 0);
            }
        }
    }
}
