//! Where each entry lies in the file: local headers, data descriptors, and the bytes between.
//!
//! The central directory says where to look; everything found there must agree with it, and no
//! byte may mean two things.

use std::io::{Read, Seek};
use std::ops::Range;

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::extra::{self, Extent};
use super::limits::ArchiveLimits;
use super::locate::{self, Directory};
use super::plan::DirectoryEntry;
use super::record::{
    CentralHeader, DESCRIPTOR_SIGNATURE, EndRecord, Fields, LocalHeader, Source, flag,
};

/// Where the packed bytes of an entry are, from the first byte of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// Everything that an entry occupies outside the central directory.
pub(super) struct Occupied {
    start: u64,
    end: u64,
    pub(super) packed: Packed,
    /// Which entry, for messages.
    index: usize,
}

/// Reads the local header of `entry` (4.3.7) and its data descriptor (4.3.9), holds both against
/// the central directory, and returns what the entry occupies.
pub(super) fn read_local<R: Read + Seek>(
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
pub(super) fn check_ranges(
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
pub(super) fn check_gaps<R: Read + Seek>(
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
pub(super) fn check_rivals(directory: &Directory, ranges: &[Occupied]) -> Result<(), ArchiveError> {
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
