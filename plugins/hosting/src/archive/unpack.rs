//! Streams the content of one entry, in bounded memory, and believes nothing that it is told.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Seek, SeekFrom};

use zip::read::read_zipfile_from_stream;

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::plan::{ArchivePlan, PlannedEntry};
use super::record::LocalHeader;

/// The most bytes that a sink is given at once.
pub const CHUNK_BYTES: usize = 256 * 1024;

impl ArchivePlan {
    /// Unpacks the entry at `index` of [`entries`](ArchivePlan::entries) into `sink`, in chunks of
    /// at most [`CHUNK_BYTES`].
    ///
    /// Blocks for as long as `reader` and `sink` do. Holds one chunk and the 32 KiB window of
    /// deflate. `sink` has seen unverified bytes until this returns `Ok`: keep nothing before.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] if the content is not exactly what the plan says: its length, its
    /// CRC-32, its ratio, or the end of its packed bytes. Refuse the whole archive.
    /// [`ArchiveError::Source`] if `reader` failed, is not the inspected archive any more, or
    /// `index` is out of range; [`ArchiveError::Sink`] if `sink` failed.
    pub fn read_entry<R: Read + Seek>(
        &self,
        mut reader: R,
        index: usize,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let entry = self.entries().get(index).ok_or_else(|| {
            ArchiveError::Source(io::Error::new(io::ErrorKind::NotFound, "no such entry"))
        })?;
        reader.seek(SeekFrom::Start(entry.packed.start)).map_err(ArchiveError::Source)?;
        let progress = Progress::default();
        let mut source = EntrySource {
            header: header_for(entry),
            header_read: 0,
            content: &mut reader,
            left: entry.packed.bytes,
            progress: &progress,
        };
        let opened = read_zipfile_from_stream(&mut source);
        let outcome = match opened {
            Ok(Some(mut file)) => self.copy(entry, &mut file, &progress, &mut sink),
            Ok(None) | Err(_) => Err(corrupt(entry)),
        };
        // A failing source looks like bad content from the inside.
        match progress.source_error.take() {
            Some(error) => Err(ArchiveError::Source(error)),
            None => outcome,
        }
    }

    /// Unpacks every entry and keeps nothing: the verdict on the whole archive.
    ///
    /// # Errors
    /// As [`read_entry`](ArchivePlan::read_entry), for the first entry that fails.
    pub fn verify<R: Read + Seek>(&self, mut reader: R) -> Result<(), ArchiveError> {
        (0..self.entries().len())
            .try_for_each(|index| self.read_entry(&mut reader, index, |_| Ok(())))
    }

    fn copy(
        &self,
        entry: &PlannedEntry,
        file: &mut impl Read,
        progress: &Progress,
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        // Stops the crate from reading the rest of the entry when it is dropped early.
        let _stop = StopOnDrop(progress);
        let expected = entry.size_bytes();
        // One byte more than expected, so that too much is seen as soon as it is there.
        let mut buffer = vec![0; (expected + 1).min(CHUNK_BYTES as u64) as usize];
        let mut unpacked: u64 = 0;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(entry, &error, unpacked)),
            };
            if count == 0 {
                break;
            }
            unpacked += count as u64;
            if unpacked > expected {
                return Err(Refusal::entry(
                    RefusalKind::SizeMismatch,
                    entry.path().as_bytes(),
                    format!("unpacks to more than the {expected} bytes that it states"),
                ));
            }
            if self.limits.exceeds_ratio(unpacked, progress.consumed.get()) {
                return Err(Refusal::entry(
                    RefusalKind::RatioTooHigh,
                    entry.path().as_bytes(),
                    format!("unpacks more than {} to 1, which is the cap", self.limits.ratio_max),
                ));
            }
            sink(&buffer[..count]).map_err(ArchiveError::Sink)?;
        }
        if unpacked < expected {
            return Err(Refusal::entry(
                RefusalKind::SizeMismatch,
                entry.path().as_bytes(),
                format!("unpacks to {unpacked} bytes and states {expected}"),
            ));
        }
        if progress.consumed.get() < entry.packed.bytes {
            return Err(Refusal::entry(
                RefusalKind::DataCorrupt,
                entry.path().as_bytes(),
                "has bytes after the end of its compressed data",
            ));
        }
        Ok(())
    }
}

/// What the source of an entry tells while the crate owns it.
#[derive(Default)]
struct Progress {
    /// Packed bytes handed out.
    consumed: Cell<u64>,
    is_stopped: Cell<bool>,
    source_error: RefCell<Option<io::Error>>,
}

struct StopOnDrop<'a>(&'a Progress);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.is_stopped.set(true);
    }
}

/// A local header written here, then the packed bytes of the entry.
struct EntrySource<'a, R> {
    header: [u8; LocalHeader::BYTES],
    header_read: usize,
    content: &'a mut R,
    left: u64,
    progress: &'a Progress,
}

impl<R: Read> Read for EntrySource<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.header_read < self.header.len() {
            let count = (&self.header[self.header_read..]).read(buffer)?;
            self.header_read += count;
            return Ok(count);
        }
        if self.left == 0 || buffer.is_empty() || self.progress.is_stopped.get() {
            return Ok(0);
        }
        // The last byte comes alone: a decompressor that is done before it never asks for it,
        // which is how content hidden behind the end of the stream is noticed.
        let most = if self.left > 1 { self.left - 1 } else { 1 };
        let most = most.min(buffer.len() as u64) as usize;
        match self.content.read(&mut buffer[..most]) {
            Ok(0) => Err(self.fail(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.left -= count as u64;
                self.progress.consumed.set(self.progress.consumed.get() + count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl<R> EntrySource<'_, R> {
    /// Keeps `error` for the caller and stops; what is returned only ends the crate's work.
    fn fail(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.progress.is_stopped.set(true);
        self.progress.source_error.replace(Some(error));
        kind.into()
    }
}

/// A local header (4.3.7) without name, flags or extra fields, from what was checked.
///
/// It leaves out the size: the length is checked here, and told apart from other damage.
fn header_for(entry: &PlannedEntry) -> [u8; LocalHeader::BYTES] {
    let size = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX - 1).to_le_bytes();
    let mut header = [0; LocalHeader::BYTES];
    header[..4].copy_from_slice(&LocalHeader::SIGNATURE);
    header[8..10].copy_from_slice(&entry.method.code().to_le_bytes());
    header[14..18].copy_from_slice(&entry.crc32.to_le_bytes());
    header[18..22].copy_from_slice(&size(entry.packed.bytes));
    header[22..26].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    header
}

/// Tells a wrong CRC-32 from broken compression: the crate checks the former last, and reports it
/// as invalid data, the latter as invalid input or an early end.
fn unreadable(entry: &PlannedEntry, error: &io::Error, unpacked: u64) -> ArchiveError {
    if error.kind() == io::ErrorKind::InvalidData && unpacked == entry.size_bytes() {
        return Refusal::entry(
            RefusalKind::CrcMismatch,
            entry.path().as_bytes(),
            "has content that does not match its CRC-32",
        );
    }
    if error.kind() == io::ErrorKind::InvalidData {
        return Refusal::entry(
            RefusalKind::SizeMismatch,
            entry.path().as_bytes(),
            format!("unpacks to {unpacked} bytes and states {}", entry.size_bytes()),
        );
    }
    corrupt(entry)
}

fn corrupt(entry: &PlannedEntry) -> ArchiveError {
    Refusal::entry(
        RefusalKind::DataCorrupt,
        entry.path().as_bytes(),
        "has compressed data that cannot be unpacked",
    )
}
