//! ZIP deploy archives: refused whole, or unpacked exactly as they say.
//!
//! [`inspect`] reads the archive's own records and checks everything that can be known before a
//! byte is decompressed. What it accepts is an [`ArchivePlan`]; [`ArchivePlan::read_entry`] then
//! streams one file at a time, checking the size, the ratio and the CRC-32 of the real bytes.
//! Nothing may be kept before every entry has been read to its end: bad content is found late.
//!
//! # Two readers, one meaning
//!
//! A ZIP file says most things twice, and programs differ in which copy they believe. The records
//! are therefore read here, in full, and an archive whose copies disagree is refused: the end
//! record against the rest of the file, ZIP64 against the classic fields, the central directory
//! against each local header, the data descriptor against both. The `zip` crate only inflates: it
//! is handed a header written here, so it cannot see anything that was not checked.
//!
//! # What is deliberately accepted
//!
//! * Names that differ only by case: a [`Warning`], because rustdoc writes such.
//! * Names in any Unicode normal form. Checking for NFC needs tables that nothing else here needs.
//! * UTF-8 names without the UTF-8 flag (general purpose bit 11): macOS writes such.
//! * Directory entries: checked like files, then ignored. Directories follow from the files.
//! * Up to 64 KiB of bytes that belong to no entry, such as a script before the archive,
//!   unless something in them looks like a record.
//!
//! Nothing is stripped: an archive with everything in one folder is served from that folder.
//!
//! Section numbers in this module are those of PKWARE's APPNOTE.TXT 6.3.10.

mod entry_type;
mod error;
mod extra;
mod limits;
mod list;
mod locate;
mod names;
mod path;
mod placement;
mod plan;
mod record;
mod unpack;

pub use error::{ArchiveError, Refusal, RefusalKind};
pub use limits::ArchiveLimits;
pub use list::{case_collisions, check_list};
pub use path::{PATH_BYTES_MAX, SEGMENT_BYTES_MAX, is_file_path};
pub use plan::{ArchivePlan, PlannedEntry, Warning, inspect};
pub use unpack::{CHUNK_BYTES, Content, PackedEntry};
