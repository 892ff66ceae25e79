//! What an entry is: only regular files and directories are deployed.

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::path::EntryKind;
use super::record::flag;

/// How the content of an entry is packed (4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflate,
}

impl Method {
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflate => 8,
        }
    }
}

/// Refuses encryption and other features that `flags` announce (4.4.4).
pub(super) fn check_flags(name: &[u8], flags: u16) -> Result<(), ArchiveError> {
    if flags & (flag::ENCRYPTED | flag::STRONG_ENCRYPTION | flag::MASKED_HEADERS) != 0 {
        return Err(Refusal::entry(RefusalKind::Encrypted, name, "is encrypted"));
    }
    if flags & flag::PATCHED != 0 {
        return Err(Refusal::entry(
            RefusalKind::UnsupportedMethod,
            name,
            "holds a patch instead of content",
        ));
    }
    Ok(())
}

/// Decodes the compression `method` (4.4.5), or refuses it by name.
pub(super) fn method(name: &[u8], method: u16) -> Result<Method, ArchiveError> {
    let refused = match method {
        0 => return Ok(Method::Stored),
        8 => return Ok(Method::Deflate),
        99 => return Err(Refusal::entry(RefusalKind::Encrypted, name, "is encrypted with AES")),
        1 => "shrink",
        2..=5 => "reduce",
        6 => "implode",
        9 => "deflate64",
        10 => "PKWARE implode",
        12 => "bzip2",
        14 => "LZMA",
        16 => "IBM CMPSC",
        18 => "IBM TERSE",
        19 => "IBM LZ77",
        20 | 93 => "zstd",
        94 => "MP3",
        95 => "xz",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        _ => "an unknown method",
    };
    Err(Refusal::entry(
        RefusalKind::UnsupportedMethod,
        name,
        format!("is compressed with {refused} (method {method})"),
    ))
}

/// Refuses everything that is neither a regular file nor a directory, and a name that says one
/// where the attributes say the other.
///
/// The Unix mode is the upper half of the attributes (4.4.15). It is believed whatever system the
/// entry claims to come from, since extractors differ in which systems they believe it from.
pub(super) fn check_attributes(
    name: &[u8],
    kind: EntryKind,
    attributes: u32,
) -> Result<(), ArchiveError> {
    const MSDOS_DIRECTORY: u32 = 0x10;
    const TYPE_MASK: u32 = 0o170_000;
    let refuse = |detail| Err(Refusal::entry(RefusalKind::NotARegularFile, name, detail));
    let is_directory = kind == EntryKind::Directory;
    match ((attributes >> 16) & TYPE_MASK, is_directory) {
        (0o100_000, false) | (0o040_000, true) | (0, _) => {}
        (0o100_000, true) => return refuse("is a file by its mode and a directory by its name"),
        (0o040_000, false) => return refuse("is a directory by its mode and a file by its name"),
        (0o120_000, _) => return refuse("is a symbolic link"),
        (0o060_000 | 0o020_000, _) => return refuse("is a device"),
        (0o010_000, _) => return refuse("is a named pipe"),
        (0o140_000, _) => return refuse("is a socket"),
        _ => return refuse("is of an unknown type"),
    }
    if attributes & MSDOS_DIRECTORY != 0 && !is_directory {
        return refuse("is a directory by its attributes and a file by its name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_methods_are_known_and_the_others_are_named() {
        for code in 0..=u16::MAX {
            match method(b"a", code) {
                Ok(known) => assert_eq!(known.code(), code),
                Err(error) => {
                    assert!(!matches!(code, 0 | 8));
                    assert!(code == 99 || error.to_string().contains(&format!("method {code}")));
                }
            }
        }
        assert!(method(b"a", 93).unwrap_err().to_string().contains("zstd"));
        assert!(method(b"a", 9).unwrap_err().to_string().contains("deflate64"));
    }

    #[test]
    fn every_mode_but_file_and_directory_is_refused() {
        for mode in 0..=0o17_u32 {
            let attributes = (mode << 28) | (0o644 << 16);
            let file = check_attributes(b"a", EntryKind::File, attributes).is_ok();
            let directory = check_attributes(b"a/", EntryKind::Directory, attributes).is_ok();
            assert_eq!(file, matches!(mode, 0 | 0o10), "{mode:o}");
            assert_eq!(directory, matches!(mode, 0 | 0o4), "{mode:o}");
        }
        assert!(check_attributes(b"a", EntryKind::File, 0x10).is_err());
    }
}
