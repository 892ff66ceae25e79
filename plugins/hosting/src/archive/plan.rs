//! What an archive will unpack to, once its records have been checked against each other.

use std::io::{BufReader, Read, Seek};

use super::entry_type::{self, Method};
use super::error::{ArchiveError, Refusal, RefusalKind};
use super::extra::{self, Extent};
use super::limits::ArchiveLimits;
use super::locate::{self, Directory};
use super::names;
use super::path::{self, EntryKind};
use super::placement::{self, Packed};
use super::record::{CentralHeader, Source};

/// Reads the records of a ZIP archive and checks everything that does not need its content.
///
/// Blocks for as long as `reader` does: it reads the central directory once and each local header
/// once. Memory is bounded by the caps on entries and on their names, not by the archive.
///
/// # Errors
/// [`ArchiveError::Refused`] if the archive breaks a rule: refuse it whole and show the message.
/// [`ArchiveError::Source`] if `reader` failed: the upload may be tried again.
pub fn inspect<R: Read + Seek>(
    mut reader: R,
    limits: &ArchiveLimits,
) -> Result<ArchivePlan, ArchiveError> {
    let mut source = Source::new(&mut reader)?;
    let directory = locate::locate(&mut source, limits)?;
    let entries = read_directory(&mut source, &directory, limits)?;
    let archive_bytes = source.bytes();

    let names: Vec<_> = entries.iter().map(|entry| (&*entry.entry.path, entry.kind)).collect();
    names::check(&names)?;
    drop(names);

    let total_bytes = check_caps(&entries, archive_bytes, limits)?;
    let mut ranges = Vec::with_capacity(entries.len());
    for entry in &entries {
        ranges.push(placement::read_local(&mut source, entry, &directory)?);
    }
    let packed_ranges: Vec<Packed> = ranges.iter().map(|range| range.packed).collect();
    let gaps = placement::check_ranges(&mut ranges, &entries, &directory, limits)?;
    placement::check_rivals(&directory, &ranges)?;
    placement::check_gaps(&mut source, &gaps)?;

    let mut files = Vec::with_capacity(entries.len());
    for (entry, packed) in entries.into_iter().zip(packed_ranges) {
        if entry.kind == EntryKind::File {
            files.push(PlannedEntry { packed, ..entry.entry });
        }
    }
    if files.is_empty() {
        return Err(Refusal::archive(RefusalKind::Empty, "has no file in it"));
    }
    let collisions = names::case_collisions(files.iter().map(PlannedEntry::path), WARNINGS_MAX);
    let warnings = collisions
        .into_iter()
        .map(|(first, second)| Warning::CaseCollision {
            first: first.into(),
            second: second.into(),
        })
        .collect();
    Ok(ArchivePlan { entries: files, warnings, total_bytes, limits: *limits })
}

/// The files of an archive that [`inspect`] accepted, in the order of its central directory.
#[derive(Debug)]
pub struct ArchivePlan {
    entries: Vec<PlannedEntry>,
    warnings: Vec<Warning>,
    total_bytes: u64,
    pub(super) limits: ArchiveLimits,
}

impl ArchivePlan {
    /// The files. Directories are left out.
    pub fn entries(&self) -> &[PlannedEntry] {
        &self.entries
    }

    /// Bytes of all files together, unpacked.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// What the person who deploys should know, at most 100 of them.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedEntry {
    path: Box<str>,
    pub(super) unpacked_bytes: u64,
    pub(super) crc32: u32,
    pub(super) method: Method,
    pub(super) packed: Packed,
}

impl PlannedEntry {
    /// The canonical path: relative, UTF-8, `/` between segments.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Unpacked bytes. [`ArchivePlan::read_entry`] yields exactly this many or fails.
    pub fn size_bytes(&self) -> u64 {
        self.unpacked_bytes
    }
}

/// Something legal that may surprise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Two paths differ only by case. Both are served, each under its exact name.
    CaseCollision {
        /// One path.
        first: Box<str>,
        /// The other.
        second: Box<str>,
    },
}

/// An entry as the central directory has it.
pub(super) struct DirectoryEntry {
    pub(super) entry: PlannedEntry,
    kind: EntryKind,
    pub(super) flags: u16,
    /// Where the archive says that the local header is.
    pub(super) local_offset: u64,
}

impl DirectoryEntry {
    /// The name as the archive spells it.
    pub(super) fn name(&self) -> String {
        match self.kind {
            EntryKind::File => self.entry.path.to_string(),
            EntryKind::Directory => format!("{}/", self.entry.path),
        }
    }

    pub(super) fn refuse(&self, kind: RefusalKind, detail: &str) -> ArchiveError {
        Refusal::entry(kind, self.name().as_bytes(), detail)
    }
}

/// Reads the central directory (4.3.12), which must be exactly as long as announced.
fn read_directory<R: Read + Seek>(
    source: &mut Source<'_, R>,
    directory: &Directory,
    limits: &ArchiveLimits,
) -> Result<Vec<DirectoryEntry>, ArchiveError> {
    let wrong = |detail| Refusal::archive(RefusalKind::DirectoryInconsistent, detail);
    let mut left = directory.end - directory.start;
    let mut reader = BufReader::with_capacity(
        DIRECTORY_BUFFER_BYTES,
        source.part(directory.start, directory.end)?,
    );
    let mut entries = Vec::with_capacity(directory.entries.min(limits.entries_max) as usize);
    let mut variable = Vec::new();
    let mut fill = |buffer: &mut [u8]| {
        let count = buffer.len() as u64;
        left = left.checked_sub(count).ok_or_else(|| {
            wrong("has a central directory that is shorter than its entries need")
        })?;
        reader.read_exact(buffer).map_err(ArchiveError::Source)?;
        Ok(left)
    };
    let mut rest = directory.end - directory.start;
    for _ in 0..directory.entries {
        let mut fixed = [0; CentralHeader::BYTES];
        fill(&mut fixed)?;
        let header = CentralHeader::decode(&fixed)
            .ok_or_else(|| wrong("has something other than an entry in its central directory"))?;
        let name_bytes = usize::from(header.name_bytes);
        let extra_bytes = usize::from(header.extra_bytes);
        variable.resize(name_bytes + extra_bytes + usize::from(header.comment_bytes), 0);
        rest = fill(&mut variable)?;
        let (name, after_name) = variable.split_at(name_bytes);
        entries.push(decode_entry(&header, name, &after_name[..extra_bytes])?);
    }
    if rest != 0 {
        return Err(wrong("has more in its central directory than its entries"));
    }
    Ok(entries)
}

fn decode_entry(
    header: &CentralHeader,
    name: &[u8],
    extra: &[u8],
) -> Result<DirectoryEntry, ArchiveError> {
    let (path, kind) = path::canonical(name)?;
    entry_type::check_flags(name, header.flags)?;
    entry_type::check_attributes(name, kind, header.external_attributes)?;
    let method = entry_type::method(name, header.method)?;
    let extent = extra::apply(
        name,
        extra,
        Extent {
            unpacked_bytes: header.unpacked_bytes.into(),
            packed_bytes: header.packed_bytes.into(),
            local_offset: Some(header.local_offset.into()),
            disk: header.disk,
            is_zip64: false,
        },
    )?;
    if extent.disk != 0 {
        return Err(Refusal::entry(RefusalKind::Split, name, "is in another part of the archive"));
    }
    if kind == EntryKind::Directory && extent.unpacked_bytes != 0 {
        return Err(Refusal::entry(
            RefusalKind::NotARegularFile,
            name,
            "is a directory and has content",
        ));
    }
    if method == Method::Stored && extent.packed_bytes != extent.unpacked_bytes {
        return Err(Refusal::entry(
            RefusalKind::SizeMismatch,
            name,
            "is stored and has two different sizes",
        ));
    }
    Ok(DirectoryEntry {
        entry: PlannedEntry {
            path: path.into(),
            unpacked_bytes: extent.unpacked_bytes,
            crc32: header.crc32,
            method,
            packed: Packed { start: 0, bytes: extent.packed_bytes },
        },
        kind,
        flags: header.flags,
        local_offset: extent.local_offset.unwrap_or(0),
    })
}

/// Holds the sizes that the archive states against the caps; returns their sum.
///
/// The caps hold for the real bytes too, since `read_entry` refuses one byte more than stated.
fn check_caps(
    entries: &[DirectoryEntry],
    archive_bytes: u64,
    limits: &ArchiveLimits,
) -> Result<u64, ArchiveError> {
    let mut total: u64 = 0;
    for entry in entries {
        let (unpacked, packed) = (entry.entry.unpacked_bytes, entry.entry.packed.bytes);
        if unpacked > limits.file_bytes() {
            return Err(entry.refuse(
                RefusalKind::FileTooLarge,
                &format!("unpacks to {unpacked} bytes, the cap is {}", limits.file_bytes()),
            ));
        }
        total = total.saturating_add(unpacked);
        if total > limits.total_bytes_max {
            return Err(Refusal::archive(
                RefusalKind::TotalTooLarge,
                format!("unpacks to more than the cap of {} bytes", limits.total_bytes_max),
            ));
        }
        if limits.exceeds_ratio(unpacked, packed) {
            return Err(entry.refuse(
                RefusalKind::RatioTooHigh,
                &format!(
                    "unpacks from {packed} to {unpacked} bytes, the cap is {} to 1",
                    limits.ratio_max
                ),
            ));
        }
    }
    if limits.exceeds_ratio(total, archive_bytes) {
        return Err(Refusal::archive(
            RefusalKind::RatioTooHigh,
            format!(
                "unpacks from {archive_bytes} to {total} bytes, the cap is {} to 1",
                limits.ratio_max
            ),
        ));
    }
    Ok(total)
}

const DIRECTORY_BUFFER_BYTES: usize = 64 * 1024;
const WARNINGS_MAX: usize = 100;
