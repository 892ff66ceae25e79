//! What an archive will unpack to, once its records have been checked against each other.

use std::io::{BufReader, Read, Seek};
use std::ops::Range;

use super::entry_type::{self, Method};
use super::error::{ArchiveError, Refusal, RefusalKind};
use super::extra::{self, Extent};
use super::limits::ArchiveLimits;
use super::locate::{self, Directory};
use super::names;
use super::path::{self, EntryKind};
use super::record::{
    CentralHeader, DESCRIPTOR_SIGNATURE, EndRecord, Fields, LocalHeader, Source, flag,
};

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
        ranges.push(read_local(&mut source, entry, &directory)?);
    }
    let packed_ranges: Vec<Packed> = ranges.iter().map(|range| range.packed).collect();
    let gaps = check_ranges(&mut ranges, &entries, &directory, limits)?;
    check_rivals(&directory, &ranges)?;
    check_gaps(&mut source, &gaps)?;

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
    unpacked_bytes: u64,
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

/// Where the packed bytes of an entry are, from the first byte of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// An entry as the central directory has it.
struct DirectoryEntry {
    entry: PlannedEntry,
    kind: EntryKind,
    flags: u16,
    /// Where the archive says that the local header is.
    local_offset: u64,
}

impl DirectoryEntry {
    /// The name as the archive spells it.
    fn name(&self) -> String {
        match self.kind {
            EntryKind::File => self.entry.path.to_string(),
            EntryKind::Directory => format!("{}/", self.entry.path),
        }
    }

    fn refuse(&self, kind: RefusalKind, detail: &str) -> ArchiveError {
        Refusal::entry(kind, self.name().as_bytes(), detail)
    }
}

/// Everything that an entry occupies outside the central directory.
struct Occupied {
    start: u64,
    end: u64,
    packed: Packed,
    /// Which entry, for messages.
    index: usize,
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

/// Reads the local header of `entry` (4.3.7) and its data descriptor (4.3.9), holds both against
/// the central directory, and returns what the entry occupies.
fn read_local<R: Read + Seek>(
    source: &mut Source<'_, R>,
    entry: &DirectoryEntry,
    directory: &Directory,
) -> Result<Occupied, ArchiveError> {
    let mismatch = |detail: &str| Err(entry.refuse(RefusalKind::HeaderMismatch, detail));
    let outside = || entry.refuse(RefusalKind::OutOfBounds, "lies outside the archive");
    let place = |at: Option<u64>| at.filter(|at| *at <= directory.start).ok_or_else(outside);

    let start = place(entry.local_offset.checked_add(directory.prefix_bytes))?;
    let name_at = place(start.checked_add(LocalHeader::BYTES as u64))?;
    let fixed = source.array_at::<{ LocalHeader::BYTES }>(start)?;
    let Some(header) = LocalHeader::decode(&fixed) else {
        return mismatch("has no local header where the central directory says");
    };
    let name_bytes = usize::from(header.name_bytes);
    let mut variable = vec![0; name_bytes + usize::from(header.extra_bytes)];
    let data_at = place(name_at.checked_add(variable.len() as u64))?;
    source.read_at(name_at, &mut variable)?;
    let (name, extra) = variable.split_at(name_bytes);

    if name != entry.name().as_bytes() {
        return mismatch("has another name in its local header");
    }
    if header.method != entry.entry.method.code() {
        return mismatch("has another compression method in its local header");
    }
    let mut flags_that_count =
        flag::ENCRYPTED | flag::DESCRIPTOR | flag::PATCHED | flag::STRONG_ENCRYPTION;
    flags_that_count |= flag::MASKED_HEADERS;
    if !name.is_ascii() {
        flags_that_count |= flag::UTF8;
    }
    if (header.flags ^ entry.flags) & flags_that_count != 0 {
        return mismatch("has other flags in its local header");
    }
    let extent = extra::apply(
        name,
        extra,
        Extent {
            unpacked_bytes: header.unpacked_bytes.into(),
            packed_bytes: header.packed_bytes.into(),
            local_offset: None,
            disk: 0,
            is_zip64: false,
        },
    )?;
    let has_descriptor = header.flags & flag::DESCRIPTOR != 0;
    let agrees = |local: u64, central: u64| local == central || (has_descriptor && local == 0);
    if !agrees(extent.unpacked_bytes, entry.entry.unpacked_bytes)
        || !agrees(extent.packed_bytes, entry.entry.packed.bytes)
    {
        return mismatch("has another size in its local header");
    }
    if !agrees(header.crc32.into(), entry.entry.crc32.into()) {
        return mismatch("has another CRC-32 in its local header");
    }

    let packed = Packed { start: data_at, bytes: entry.entry.packed.bytes };
    let data_end = place(data_at.checked_add(packed.bytes))?;
    let mut end = data_end;
    if has_descriptor {
        end += read_descriptor(source, entry, data_end, directory.start)?;
    }
    Ok(Occupied { start, end, packed, index: 0 })
}

/// The length of the data descriptor at `at`, which must repeat what the central directory says.
///
/// Its signature is optional and its sizes have 4 or 8 bytes (4.3.9.2, 4.3.9.3). Nothing says
/// which, so the longest form that fits is taken.
fn read_descriptor<R: Read + Seek>(
    source: &mut Source<'_, R>,
    entry: &DirectoryEntry,
    at: u64,
    limit: u64,
) -> Result<u64, ArchiveError> {
    let mut buffer = [0; 24];
    let available = (limit - at).min(buffer.len() as u64) as usize;
    let bytes = &mut buffer[..available];
    source.read_at(at, bytes)?;
    let planned = &entry.entry;
    let reads_as = |has_signature: bool, is_wide: bool| -> Option<bool> {
        let mut fields = Fields(bytes);
        if has_signature && fields.take(4)? != DESCRIPTOR_SIGNATURE {
            return Some(false);
        }
        let mut agrees = fields.u32()? == planned.crc32;
        for size in [planned.packed.bytes, planned.unpacked_bytes] {
            let stated = if is_wide { fields.u64()? } else { fields.u32()?.into() };
            agrees &= stated == size;
        }
        Some(agrees)
    };
    for (has_signature, is_wide, length) in
        [(true, true, 24), (false, true, 20), (true, false, 16), (false, false, 12)]
    {
        if reads_as(has_signature, is_wide) == Some(true) {
            return Ok(length);
        }
    }
    Err(entry.refuse(
        RefusalKind::DescriptorMismatch,
        "has a data descriptor that disagrees with the central directory",
    ))
}

/// No two entries share a byte, and few bytes belong to none. Returns where those are.
fn check_ranges(
    ranges: &mut [Occupied],
    entries: &[DirectoryEntry],
    directory: &Directory,
    limits: &ArchiveLimits,
) -> Result<Vec<Range<u64>>, ArchiveError> {
    for (index, range) in ranges.iter_mut().enumerate() {
        range.index = index;
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut covered = 0;
    let mut gaps = vec![directory.trailing.clone()];
    for range in ranges.iter() {
        if range.start < covered {
            return Err(entries[range.index]
                .refuse(RefusalKind::Overlap, "shares bytes of the archive with another entry"));
        }
        gaps.push(covered..range.start);
        covered = range.end;
    }
    gaps.push(covered..directory.start);
    gaps.retain(|gap| !gap.is_empty());
    let junk: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
    if junk > limits.junk_bytes_max {
        return Err(Refusal::archive(
            RefusalKind::Junk,
            format!(
                "has {junk} bytes that belong to no entry, {} are tolerated",
                limits.junk_bytes_max
            ),
        ));
    }
    Ok(gaps)
}

/// What belongs to no entry must not look like one: a program that reads forwards would see it.
///
/// This also tells a truncated archive from the whole one that it has in it as its last file.
fn check_gaps<R: Read + Seek>(
    source: &mut Source<'_, R>,
    gaps: &[Range<u64>],
) -> Result<(), ArchiveError> {
    let mut bytes = Vec::new();
    for gap in gaps {
        bytes.resize((gap.end - gap.start) as usize, 0);
        source.read_at(gap.start, &mut bytes)?;
        let is_record = |at: &[u8]| {
            at == LocalHeader::SIGNATURE
                || at == CentralHeader::SIGNATURE
                || at == EndRecord::SIGNATURE
        };
        if bytes.windows(4).any(is_record) {
            return Err(Refusal::archive(
                RefusalKind::UnlistedRecord,
                "has a record that its central directory does not list",
            ));
        }
    }
    Ok(())
}

/// Every other end record must be the content of an entry. `ranges` are sorted by their start.
fn check_rivals(directory: &Directory, ranges: &[Occupied]) -> Result<(), ArchiveError> {
    for rival in &directory.rivals {
        let after = ranges.partition_point(|range| range.start <= *rival);
        let is_content = after.checked_sub(1).is_some_and(|index| {
            let packed = ranges[index].packed;
            *rival >= packed.start && *rival < packed.start + packed.bytes
        });
        if !is_content {
            return Err(locate::multiple_ends());
        }
    }
    Ok(())
}

const DIRECTORY_BUFFER_BYTES: usize = 64 * 1024;
const WARNINGS_MAX: usize = 100;
