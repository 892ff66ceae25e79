//! Where the central directory is: the end records, classic and ZIP64.
//!
//! The end record is found by its signature, and a signature can be planted. The last one that
//! fits is used, as every common program does; any other one near the end of the file is returned
//! as a [`Directory::rivals`] and must turn out to be the content of an entry, such as a ZIP file
//! that a site offers for download. One that claims to reach the end of the file is refused even
//! there, because a program that searches forwards would believe it.

use std::io::{Read, Seek};
use std::ops::Range;

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::limits::ArchiveLimits;
use super::record::{CentralHeader, EndRecord, Source, Zip64EndRecord, Zip64Locator};

/// The central directory, with offsets counted from the first byte of the file.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) entries: u64,
    /// Bytes before the archive: added to every offset that the archive states.
    pub(super) prefix_bytes: u64,
    /// Where other end records start.
    pub(super) rivals: Vec<u64>,
    /// What follows the end record and its comment.
    pub(super) trailing: Range<u64>,
}

/// What the end records say together.
struct Claim {
    entries: u64,
    directory_bytes: u64,
    directory_offset: u64,
    /// Where the directory ends: the first end record starts there.
    directory_end: u64,
    /// Set when the ZIP64 record was found at an offset other than the stated one.
    prefix_bytes: Option<u64>,
}

pub(super) fn locate<R: Read + Seek>(
    source: &mut Source<'_, R>,
    limits: &ArchiveLimits,
) -> Result<Directory, ArchiveError> {
    if source.bytes() == 0 {
        return Err(Refusal::archive(RefusalKind::Empty, "is empty"));
    }
    let (end_at, end, rivals) = find_end(source, limits)?;
    let comment_end = end_at + EndRecord::BYTES as u64 + u64::from(end.comment_bytes);
    let trailing_bytes = source.bytes() - comment_end;
    let claim = match zip64(source, end_at, &end)? {
        Some(claim) => claim,
        None => classic(end_at, &end)?,
    };
    if claim.entries > limits.entries_max {
        return Err(Refusal::archive(
            RefusalKind::TooManyEntries,
            format!("has {} entries, the cap is {}", claim.entries, limits.entries_max),
        ));
    }
    if claim.directory_bytes > limits.directory_bytes_max {
        return Err(Refusal::archive(
            RefusalKind::DirectoryTooLarge,
            format!(
                "has a central directory of {} bytes, the cap is {}",
                claim.directory_bytes, limits.directory_bytes_max
            ),
        ));
    }
    let start = claim.directory_end.checked_sub(claim.directory_bytes);
    let prefix = start.and_then(|start| start.checked_sub(claim.directory_offset));
    let (Some(start), Some(prefix_bytes)) = (start, prefix) else {
        return Err(Refusal::archive(
            RefusalKind::OutOfBounds,
            "has a central directory that does not fit before its end record",
        ));
    };
    if claim.prefix_bytes.is_some_and(|prefix| prefix != prefix_bytes) {
        return Err(inconsistent("has a ZIP64 record where none is announced"));
    }
    if prefix_bytes > limits.junk_bytes_max {
        return Err(junk(prefix_bytes, "before it", limits));
    }
    if trailing_bytes > limits.junk_bytes_max {
        return Err(junk(trailing_bytes, "after it", limits));
    }
    // A program that takes offsets literally must not find another directory there.
    if prefix_bytes > 0
        && claim.entries > 0
        && source.array_at(claim.directory_offset)? == CentralHeader::SIGNATURE
    {
        return Err(Refusal::archive(
            RefusalKind::DirectoryInconsistent,
            "has a second central directory",
        ));
    }
    Ok(Directory {
        start,
        end: claim.directory_end,
        entries: claim.entries,
        prefix_bytes,
        rivals,
        trailing: comment_end..source.bytes(),
    })
}

/// The last end record that fits, where it is, and where the other signatures are.
fn find_end<R: Read + Seek>(
    source: &mut Source<'_, R>,
    limits: &ArchiveLimits,
) -> Result<(u64, EndRecord, Vec<u64>), ArchiveError> {
    let window = EndRecord::BYTES as u64 + u64::from(u16::MAX) + limits.junk_bytes_max;
    let window_at = source.bytes().saturating_sub(window);
    let mut tail = Vec::new();
    source.part(window_at, source.bytes())?.read_to_end(&mut tail).map_err(ArchiveError::Source)?;

    let mut chosen = None;
    let mut rivals = Vec::new();
    let signature = EndRecord::SIGNATURE;
    let places = tail.windows(signature.len()).enumerate().filter(|(_, at)| **at == signature);
    for (at, _) in places {
        let fitting = EndRecord::decode(&tail[at..])
            .filter(|end| at + EndRecord::BYTES + usize::from(end.comment_bytes) <= tail.len());
        rivals.push(window_at + at as u64);
        if let Some(end) = fitting {
            chosen = Some((window_at + at as u64, end));
        }
    }
    let Some((end_at, end)) = chosen else {
        return Err(if rivals.is_empty() && !starts_like_a_zip(source)? {
            Refusal::archive(RefusalKind::NotAZip, "is not a ZIP file")
        } else {
            Refusal::archive(RefusalKind::Truncated, "has no complete end record")
        });
    };
    rivals.retain(|at| *at != end_at);
    for at in &rivals {
        let rival = tail.get((at - window_at) as usize..).and_then(EndRecord::decode);
        if rival.is_some_and(|rival| {
            at + EndRecord::BYTES as u64 + u64::from(rival.comment_bytes) == source.bytes()
        }) {
            return Err(multiple_ends());
        }
    }
    Ok((end_at, end, rivals))
}

fn starts_like_a_zip<R: Read + Seek>(source: &mut Source<'_, R>) -> Result<bool, ArchiveError> {
    Ok(source.bytes() >= 4 && source.array_at(0)? == *b"PK\x03\x04")
}

/// What the classic end record says when there is no ZIP64 record.
fn classic(end_at: u64, end: &EndRecord) -> Result<Claim, ArchiveError> {
    if end.disk != 0 || end.directory_disk != 0 || end.entries_on_disk != end.entries {
        return Err(split());
    }
    Ok(Claim {
        entries: end.entries.into(),
        directory_bytes: end.directory_bytes.into(),
        directory_offset: end.directory_offset.into(),
        directory_end: end_at,
        prefix_bytes: None,
    })
}

/// What the ZIP64 records say (4.3.14, 4.3.15), if there are any or the classic record needs them.
fn zip64<R: Read + Seek>(
    source: &mut Source<'_, R>,
    end_at: u64,
    end: &EndRecord,
) -> Result<Option<Claim>, ArchiveError> {
    // Only sizes and offsets force ZIP64: exactly 65,535 entries are valid without it.
    let is_needed = end.directory_bytes == u32::MAX || end.directory_offset == u32::MAX;
    let locator_at = end_at.checked_sub(Zip64Locator::BYTES as u64);
    let locator = match locator_at {
        Some(at) => Zip64Locator::decode(&source.array_at::<{ Zip64Locator::BYTES }>(at)?),
        None => None,
    };
    let (Some(locator), Some(locator_at)) = (locator, locator_at) else {
        return if is_needed {
            Err(inconsistent("announces ZIP64 records and has none"))
        } else {
            Ok(None)
        };
    };
    if locator.end_disk != 0 || locator.disks > 1 {
        return Err(split());
    }
    let (record_at, record) = zip64_end(source, locator_at, locator.end_offset)?;
    let record_end = record.remaining_bytes.checked_add(record_at + 12);
    if record_end != Some(locator_at) {
        return Err(inconsistent("has a ZIP64 end record of the wrong size"));
    }
    if record.disk != 0 || record.directory_disk != 0 || record.entries_on_disk != record.entries {
        return Err(split());
    }
    let agrees = agrees16(end.disk, record.disk.into())
        && agrees16(end.directory_disk, record.directory_disk.into())
        && agrees16(end.entries_on_disk, record.entries_on_disk)
        && agrees16(end.entries, record.entries)
        && agrees32(end.directory_bytes, record.directory_bytes)
        && agrees32(end.directory_offset, record.directory_offset);
    if !agrees {
        return Err(inconsistent("has end records that disagree"));
    }
    Ok(Some(Claim {
        entries: record.entries,
        directory_bytes: record.directory_bytes,
        directory_offset: record.directory_offset,
        directory_end: record_at,
        prefix_bytes: Some(record_at - locator.end_offset),
    }))
}

/// The ZIP64 end record: where the locator says or, when bytes were put before the archive,
/// directly before the locator.
fn zip64_end<R: Read + Seek>(
    source: &mut Source<'_, R>,
    locator_at: u64,
    stated_at: u64,
) -> Result<(u64, Zip64EndRecord), ArchiveError> {
    let adjacent_at = locator_at.checked_sub(Zip64EndRecord::BYTES as u64);
    let last_at = adjacent_at.filter(|last| stated_at <= *last);
    let Some(last_at) = last_at else {
        return Err(inconsistent("has a ZIP64 locator that points past it"));
    };
    for at in [stated_at, last_at] {
        let bytes = source.array_at::<{ Zip64EndRecord::BYTES }>(at)?;
        if let Some(record) = Zip64EndRecord::decode(&bytes) {
            return Ok((at, record));
        }
    }
    Err(inconsistent("has a ZIP64 locator that points at no ZIP64 end record"))
}

fn agrees16(classic: u16, zip64: u64) -> bool {
    classic == u16::MAX || u64::from(classic) == zip64
}

fn agrees32(classic: u32, zip64: u64) -> bool {
    classic == u32::MAX || u64::from(classic) == zip64
}

/// The refusal for an end record beside the one in use.
pub(super) fn multiple_ends() -> ArchiveError {
    Refusal::archive(RefusalKind::MultipleEndRecords, "has more than one end record")
}

fn inconsistent(detail: &str) -> ArchiveError {
    Refusal::archive(RefusalKind::Zip64Inconsistent, detail)
}

fn split() -> ArchiveError {
    Refusal::archive(RefusalKind::Split, "is one part of a split archive")
}

fn junk(bytes: u64, place: &str, limits: &ArchiveLimits) -> ArchiveError {
    Refusal::archive(
        RefusalKind::Junk,
        format!(
            "has {bytes} bytes {place} that belong to nothing, {} are tolerated",
            limits.junk_bytes_max
        ),
    )
}
