//! Streams the content of one entry, in bounded memory, and believes nothing that it is told.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zip::read::{ZipFile, read_zipfile_from_stream};

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::limits::ArchiveLimits;
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
    /// As [`Content::read`]; [`ArchiveError::Sink`] if `sink` failed.
    pub fn read_entry<R: Read + Seek>(
        &self,
        reader: R,
        index: usize,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let mut packed = self.open_entry(reader, index)?;
        let mut content = packed.content()?;
        // One byte more than expected, so that too much is seen as soon as it is there.
        let size = self.entries()[index].size_bytes();
        let mut buffer = vec![0; (size + 1).min(CHUNK_BYTES as u64) as usize];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(()),
                count => sink(&buffer[..count]).map_err(ArchiveError::Sink)?,
            }
        }
    }

    /// Opens the entry at `index` of [`entries`](ArchivePlan::entries), to be read bit by bit.
    ///
    /// # Errors
    /// [`ArchiveError::Source`] if `reader` cannot seek there or `index` is out of range.
    pub fn open_entry<R: Read + Seek>(
        &self,
        mut reader: R,
        index: usize,
    ) -> Result<PackedEntry<'_, R>, ArchiveError> {
        let entry = self.entries().get(index).ok_or_else(|| {
            ArchiveError::Source(io::Error::new(io::ErrorKind::NotFound, "no such entry"))
        })?;
        reader.seek(SeekFrom::Start(entry.packed.start)).map_err(ArchiveError::Source)?;
        let progress = Arc::new(Progress::default());
        let source = EntrySource {
            header: header_for(entry),
            header_read: 0,
            content: reader,
            left: entry.packed.bytes,
            progress: Arc::clone(&progress),
        };
        Ok(PackedEntry { entry, limits: self.limits, source, progress })
    }

    /// Unpacks every entry and keeps nothing: the verdict on the whole archive.
    ///
    /// # Errors
    /// As [`read_entry`](ArchivePlan::read_entry), for the first entry that fails.
    pub fn verify<R: Read + Seek>(&self, mut reader: R) -> Result<(), ArchiveError> {
        (0..self.entries().len())
            .try_for_each(|index| self.read_entry(&mut reader, index, |_| Ok(())))
    }
}

/// An entry whose packed bytes are at hand.
pub struct PackedEntry<'p, R> {
    entry: &'p PlannedEntry,
    limits: ArchiveLimits,
    source: EntrySource<R>,
    progress: Arc<Progress>,
}

impl<R> fmt::Debug for PackedEntry<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedEntry").field("entry", self.entry).finish_non_exhaustive()
    }
}

impl<R: Read> PackedEntry<'_, R> {
    /// Starts to unpack. Of use once.
    ///
    /// # Errors
    /// As [`Content::read`].
    pub fn content(&mut self) -> Result<Content<'_, R>, ArchiveError> {
        let Self { entry, limits, source, progress } = self;
        let opened = read_zipfile_from_stream(source);
        match (progress.take_error(), opened) {
            (Some(error), _) => Err(ArchiveError::Source(error)),
            (None, Ok(Some(file))) => {
                Ok(Content { entry, limits: *limits, file, progress, unpacked: 0 })
            }
            (None, Ok(None) | Err(_)) => Err(corrupt(entry)),
        }
    }
}

/// The content of an entry, on its way out of the archive.
pub struct Content<'s, R: Read> {
    entry: &'s PlannedEntry,
    limits: ArchiveLimits,
    file: ZipFile<'s, EntrySource<R>>,
    progress: &'s Progress,
    unpacked: u64,
}

impl<R: Read> fmt::Debug for Content<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("entry", self.entry).finish_non_exhaustive()
    }
}

impl<R: Read> Content<'_, R> {
    /// Unpacks the next bytes into `buffer`, which is not empty; 0 at the end.
    ///
    /// What came out is unverified until this has returned `Ok(0)`: keep nothing before. Blocks for
    /// as long as the reader does and for the time that unpacking `buffer` takes.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] if the content is not exactly what the plan says: its length, its
    /// CRC-32, its ratio, or the end of its packed bytes. Refuse the whole archive.
    /// [`ArchiveError::Source`] if the reader failed or is not the inspected archive any more.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let outcome = self.read_checked(buffer);
        // A failing source looks like bad content from the inside.
        match self.progress.take_error() {
            Some(error) => Err(ArchiveError::Source(error)),
            None => outcome,
        }
    }

    fn read_checked(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let expected = self.entry.size_bytes();
        let count = loop {
            match self.file.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(self.entry, &error, self.unpacked)),
            }
        };
        if count == 0 {
            return self.end();
        }
        self.unpacked += count as u64;
        if self.unpacked > expected {
            return Err(Refusal::entry(
                RefusalKind::SizeMismatch,
                self.entry.path().as_bytes(),
                format!("unpacks to more than the {expected} bytes that it states"),
            ));
        }
        if self.limits.exceeds_ratio(self.unpacked, self.progress.consumed()) {
            return Err(Refusal::entry(
                RefusalKind::RatioTooHigh,
                self.entry.path().as_bytes(),
                format!("unpacks more than {} to 1, which is the cap", self.limits.ratio_max),
            ));
        }
        Ok(count)
    }

    fn end(&self) -> Result<usize, ArchiveError> {
        let (entry, unpacked) = (self.entry, self.unpacked);
        if unpacked < entry.size_bytes() {
            return Err(Refusal::entry(
                RefusalKind::SizeMismatch,
                entry.path().as_bytes(),
                format!("unpacks to {unpacked} bytes and states {}", entry.size_bytes()),
            ));
        }
        if self.progress.consumed() < entry.packed.bytes {
            return Err(Refusal::entry(
                RefusalKind::DataCorrupt,
                entry.path().as_bytes(),
                "has bytes after the end of its compressed data",
            ));
        }
        Ok(0)
    }
}

/// Stops the crate from reading the rest of the entry when it is dropped early.
impl<R: Read> Drop for Content<'_, R> {
    fn drop(&mut self) {
        self.progress.stop();
    }
}

/// What the source of an entry tells while the crate owns it.
#[derive(Default)]
struct Progress {
    /// Packed bytes handed out.
    consumed: AtomicU64,
    is_stopped: AtomicBool,
    source_error: Mutex<Option<io::Error>>,
}

impl Progress {
    fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn take_error(&self) -> Option<io::Error> {
        self.source_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A local header written here, then the packed bytes of the entry.
struct EntrySource<R> {
    header: [u8; LocalHeader::BYTES],
    header_read: usize,
    content: R,
    left: u64,
    progress: Arc<Progress>,
}

impl<R: Read> Read for EntrySource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.header_read < self.header.len() {
            let count = (&self.header[self.header_read..]).read(buffer)?;
            self.header_read += count;
            return Ok(count);
        }
        if self.left == 0 || buffer.is_empty() || self.progress.is_stopped.load(Ordering::Relaxed) {
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
                self.progress.consumed.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl<R> EntrySource<R> {
    /// Keeps `error` for the caller and stops; what is returned only ends the crate's work.
    fn fail(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.progress.stop();
        *self.progress.source_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
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
