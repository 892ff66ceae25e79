//! Why an archive was refused, in words for a person and a code for a program.

use std::{error, fmt, io};

/// Why [`inspect`](super::inspect) or [`read_entry`](super::ArchivePlan::read_entry) stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive breaks a rule. The whole archive is refused; sending it again cannot help.
    Refused(Box<Refusal>),
    /// The archive could not be read from where it is kept. Says nothing about the archive.
    Source(io::Error),
    /// The caller's sink failed. Says nothing about the archive.
    Sink(io::Error),
}

impl ArchiveError {
    /// A stable code in `UPPER_SNAKE`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.kind.code(),
            Self::Source(_) | Self::Sink(_) => "STORAGE_FAILED",
        }
    }

    /// The HTTP status that tells it: 400 for a malformed or hostile archive, 413 for one over a
    /// cap, 500 when the archive is not to blame.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.kind.status(),
            Self::Source(_) | Self::Sink(_) => 500,
        }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Source(_) => f.write_str("read the uploaded archive"),
            Self::Sink(_) => f.write_str("store a file of the archive"),
        }
    }
}

impl error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Source(source) | Self::Sink(source) => Some(source),
        }
    }
}

/// A rule that the archive breaks, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    entry: Option<Box<str>>,
    detail: Box<str>,
}

impl Refusal {
    /// A refusal of the archive as a whole.
    pub(super) fn archive(kind: RefusalKind, detail: impl Into<String>) -> ArchiveError {
        Self::boxed(kind, None, detail.into())
    }

    /// A refusal because of the entry called `name`, as the archive spells it.
    pub(super) fn entry(kind: RefusalKind, name: &[u8], detail: impl Into<String>) -> ArchiveError {
        Self::boxed(kind, Some(printable(name)), detail.into())
    }

    fn boxed(kind: RefusalKind, entry: Option<Box<str>>, detail: String) -> ArchiveError {
        ArchiveError::Refused(Box::new(Self { kind, entry, detail: detail.into() }))
    }

    /// Which rule.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// What is wrong, as what follows the name of the entry.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The entry that breaks it, escaped for printing and shortened; `None` when it is the archive.
    pub fn entry_name(&self) -> Option<&str> {
        self.entry.as_deref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "archive refused: entry \"{entry}\" {}", self.detail)?,
            None => write!(f, "archive refused: it {}", self.detail)?,
        }
        write!(f, "; {}", self.kind.advice())
    }
}

/// The rules of the archive policy, one variant per thing that a person can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// No end record: not a ZIP file.
    NotAZip,
    /// The end record promises more bytes than there are.
    Truncated,
    /// No file in it.
    Empty,
    /// Two end records: two programs could see two archives.
    MultipleEndRecords,
    /// Too many bytes that belong to no entry.
    Junk,
    /// A record between the entries that the central directory does not list.
    UnlistedRecord,
    /// One part of several.
    Split,
    /// ZIP64 records that disagree with the classic ones or with themselves.
    Zip64Inconsistent,
    /// A central directory that is not what the end record says.
    DirectoryInconsistent,
    /// A record outside the file.
    OutOfBounds,
    /// Two records over the same bytes.
    Overlap,
    /// A local header that disagrees with the central directory.
    HeaderMismatch,
    /// A data descriptor that disagrees with the central directory.
    DescriptorMismatch,
    /// An extra field that cannot be parsed or contradicts the header.
    ExtraField,
    /// A name that is not UTF-8.
    PathNotUtf8,
    /// A name that is not already in the one form that is served.
    PathNotCanonical,
    /// A name over the limit.
    PathTooLong,
    /// The same name twice.
    DuplicatePath,
    /// A name that is a file and also a directory.
    FileIsDirectory,
    /// A link, a device, a pipe, a socket, or a directory that carries data.
    NotARegularFile,
    /// Encrypted content or names.
    Encrypted,
    /// A compression method other than stored and deflate.
    UnsupportedMethod,
    /// Compressed data that does not decompress, or does not end where it should.
    DataCorrupt,
    /// Content whose CRC-32 is not the one recorded.
    CrcMismatch,
    /// Content whose length is not the one recorded.
    SizeMismatch,
    /// Over the cap on entries.
    TooManyEntries,
    /// Over the cap on one file.
    FileTooLarge,
    /// Over the cap on all files.
    TotalTooLarge,
    /// Over the cap on the ratio.
    RatioTooHigh,
    /// Over the cap on the central directory.
    DirectoryTooLarge,
}

impl RefusalKind {
    /// A stable code in `UPPER_SNAKE`.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status: 413 over a cap, otherwise 400.
    pub fn status(self) -> u16 {
        match self {
            Self::TooManyEntries
            | Self::FileTooLarge
            | Self::TotalTooLarge
            | Self::RatioTooHigh
            | Self::DirectoryTooLarge => 413,
            _ => 400,
        }
    }

    /// What the person who made the archive can do.
    pub fn advice(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        const AGAIN: &str = "pack it again with a standard tool and upload the result unchanged";
        match self {
            Self::NotAZip => ("NOT_A_ZIP", "send a ZIP file"),
            Self::Truncated => ("TRUNCATED_ARCHIVE", "upload it again, whole"),
            Self::Empty => ("EMPTY_ARCHIVE", "pack at least one file"),
            Self::MultipleEndRecords => ("MULTIPLE_END_RECORDS", AGAIN),
            Self::Junk => ("JUNK_AROUND_ARCHIVE", AGAIN),
            Self::UnlistedRecord => ("UNLISTED_RECORD", "upload it again, whole, or pack it again"),
            Self::Split => ("SPLIT_ARCHIVE", "pack it as one file"),
            Self::Zip64Inconsistent => ("ZIP64_INCONSISTENT", AGAIN),
            Self::DirectoryInconsistent => ("DIRECTORY_INCONSISTENT", AGAIN),
            Self::OutOfBounds => ("OFFSET_OUT_OF_BOUNDS", AGAIN),
            Self::Overlap => ("OVERLAPPING_ENTRIES", AGAIN),
            Self::HeaderMismatch => ("HEADER_MISMATCH", AGAIN),
            Self::DescriptorMismatch => ("DESCRIPTOR_MISMATCH", AGAIN),
            Self::ExtraField => ("EXTRA_FIELD_INVALID", AGAIN),
            Self::PathNotUtf8 => ("PATH_NOT_UTF8", "rename it, or pack with UTF-8 names"),
            Self::PathNotCanonical => (
                "PATH_NOT_CANONICAL",
                "use relative names with `/` between segments, such as `assets/app.js`",
            ),
            Self::PathTooLong => ("PATH_TOO_LONG", "shorten the name"),
            Self::DuplicatePath => ("DUPLICATE_PATH", "keep one of them"),
            Self::FileIsDirectory => ("FILE_IS_DIRECTORY", "rename one of them"),
            Self::NotARegularFile => {
                ("NOT_A_REGULAR_FILE", "pack files and directories only, with links followed")
            }
            Self::Encrypted => ("ENCRYPTED_ENTRY", "pack without a password"),
            Self::UnsupportedMethod => ("UNSUPPORTED_METHOD", "pack with deflate or stored"),
            Self::DataCorrupt => ("DATA_CORRUPT", AGAIN),
            Self::CrcMismatch => ("CRC_MISMATCH", AGAIN),
            Self::SizeMismatch => ("SIZE_MISMATCH", AGAIN),
            Self::TooManyEntries => {
                ("TOO_MANY_ENTRIES", "deploy fewer files, or raise hosting.archive_entries_max")
            }
            Self::FileTooLarge => {
                ("FILE_TOO_LARGE", "shrink the file, or raise hosting.archive_file_bytes_max")
            }
            Self::TotalTooLarge => (
                "TOTAL_TOO_LARGE",
                "deploy fewer or smaller files, or raise hosting.archive_total_bytes_max",
            ),
            Self::RatioTooHigh => {
                ("RATIO_TOO_HIGH", "leave out files that are almost entirely padding")
            }
            Self::DirectoryTooLarge => {
                ("DIRECTORY_TOO_LARGE", "pack without comments and extra fields")
            }
        }
    }
}

/// `name` with everything escaped that could forge a line or reorder text, and at most 120
/// characters of it.
fn printable(name: &[u8]) -> Box<str> {
    const CHARS_MAX: usize = 120;
    let text = String::from_utf8_lossy(&name[..name.len().min(4 * CHARS_MAX)]);
    let mut shown = String::new();
    for (at, char) in text.chars().enumerate() {
        if at == CHARS_MAX {
            shown.push('…');
            break;
        }
        if is_text_direction(char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.extend(char.escape_debug());
        }
    }
    shown.into()
}

fn is_text_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_entry_the_reason_and_the_way_out() {
        let error = Refusal::entry(RefusalKind::Encrypted, b"a.txt", "is encrypted");
        assert_eq!(
            error.to_string(),
            "archive refused: entry \"a.txt\" is encrypted; pack without a password"
        );
        assert_eq!((error.code(), error.status()), ("ENCRYPTED_ENTRY", 400));
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_line_or_flood_a_log() {
        let mut name = b"a\r\nSet-Cookie: x\x1b[2J\xff\xe2\x80\xae".to_vec();
        name.extend(vec![b'x'; 60_000]);
        let shown = printable(&name);
        assert!(!shown.chars().any(|c| c.is_control() || is_text_direction(c)), "{shown}");
        assert!(shown.chars().count() < 200);
    }
}
