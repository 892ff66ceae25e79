//! Takes in an archive: first the verdict on all of it, then its content into the cartridge.
//!
//! Content is unpacked twice, unless it fits in [`HELD_BYTES_MAX`]: once to be checked to the last
//! byte and hashed, once to be stored. Nothing is stored before the first pass is over, so a refused
//! archive leaves no trace; and the second pass skips what the cartridge has.
//!
//! Both passes give way to other work after every chunk. Besides one entry for each file, they hold
//! [`HELD_BYTES_MAX`] and a chunk.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{AppId, Error, ErrorKind, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::archive::{ArchiveError, ArchivePlan, CHUNK_BYTES, Content};
use crate::model::{Entry, StoredFile};
use crate::visibility::{Layout, Visibility};

/// The most content that one write stores, and that is held in memory, in bytes.
pub(crate) const HELD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The most files whose content one write stores.
const FILES_PER_WRITE: usize = 256;

/// An archive whose every byte was checked.
pub(crate) struct Checked {
    /// In the order of the plan.
    pub(crate) files: Vec<StoredFile>,
    /// The content of all files, when it was little enough to be held.
    held: Option<Vec<Bytes>>,
}

/// An archive that is read in pieces of 64 KiB, mostly forward.
///
/// Unlike a [`BufReader`], it keeps what it has read when a seek stays within it: the next entry of
/// an archive of small files usually is.
#[derive(Debug)]
pub(crate) struct Buffered<R>(BufReader<R>);

impl<R: Read> Buffered<R> {
    pub(crate) fn new(archive: R) -> Self {
        Self(BufReader::with_capacity(64 * 1024, archive))
    }
}

impl<R: Read> Read for Buffered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Seek> Seek for Buffered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let SeekFrom::Start(target) = to {
            let here = self.0.stream_position()?;
            if let (Ok(target), Ok(here)) = (i64::try_from(target), i64::try_from(here)) {
                self.0.seek_relative(target - here)?;
                return Ok(target.unsigned_abs());
            }
        }
        self.0.seek(to)
    }
}

/// Unpacks the whole archive and keeps the hashes.
///
/// # Errors
/// The refusal of the archive, naming the entry; what the spool says.
pub(crate) async fn check<R>(plan: &ArchivePlan, archive: &mut R) -> Result<Checked>
where
    R: Read + Seek + Send,
{
    let holds_all = plan.total_bytes() <= HELD_BYTES_MAX;
    let mut held = holds_all.then(Vec::new);
    let mut hashes = Vec::with_capacity(plan.entries().len());
    let mut buffer = vec![0; CHUNK_BYTES];
    for index in 0..plan.entries().len() {
        let mut kept = Vec::new();
        let mut hasher = Sha256::new();
        let mut packed = plan.open_entry(&mut *archive, index).map_err(refused)?;
        let mut content = packed.content().map_err(refused)?;
        loop {
            let count = content.read(&mut buffer).map_err(refused)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            if holds_all {
                kept.extend_from_slice(&buffer[..count]);
            }
            give_way().await;
        }
        hashes.push(<[u8; 32]>::from(hasher.finalize()));
        if let Some(held) = &mut held {
            held.push(Bytes::from(kept));
        }
    }
    let file = |(entry, hash): (&crate::archive::PlannedEntry, _)| {
        let path = entry.path();
        // What the app's manifest changes about it is decided at the end of every deploy.
        let visibility = Visibility::of(path, Layout::default());
        StoredFile::new(path, Entry::new(path, hash, entry.size_bytes(), visibility))
    };
    let files = plan.entries().iter().zip(hashes).map(file).collect();
    Ok(Checked { files, held })
}

/// Stores the content of the files at these positions. All of it survives a loss of power when this
/// is ready.
///
/// # Errors
/// What the cartridge says; `Internal` when the archive is not the one that was checked.
pub(crate) async fn store_content<R>(
    cartridge: &Cartridge,
    app: Option<AppId>,
    plan: &ArchivePlan,
    checked: &Checked,
    archive: &mut R,
    positions: &[usize],
) -> Result<()>
where
    R: Read + Seek + Send,
{
    let mut batch = Batch { cartridge, app, contents: Vec::new(), expected: Vec::new(), bytes: 0 };
    for &index in positions {
        let entry = &checked.files[index].entry;
        if let Some(held) = &checked.held {
            batch.add(held[index].clone(), entry.hash).await?;
            continue;
        }
        let mut packed = plan.open_entry(&mut *archive, index).map_err(refused)?;
        let mut content = packed.content().map_err(refused)?;
        if entry.size <= CHUNK_BYTES as u64 {
            batch.add(next_chunk(&mut content).await?, entry.hash).await?;
            continue;
        }
        let mut upload = cartridge.upload(app)?;
        loop {
            let chunk = next_chunk(&mut content).await?;
            if chunk.is_empty() {
                break;
            }
            upload.push(chunk).await?;
        }
        same(upload.finish().await?, entry.hash)?;
    }
    batch.flush().await
}

/// Small contents on their way into one write.
struct Batch<'a> {
    cartridge: &'a Cartridge,
    app: Option<AppId>,
    contents: Vec<Bytes>,
    /// The hashes that they were found to have.
    expected: Vec<[u8; 32]>,
    bytes: u64,
}

impl Batch<'_> {
    async fn add(&mut self, content: Bytes, expected: [u8; 32]) -> Result<()> {
        let bytes = content.len() as u64;
        if self.bytes + bytes > HELD_BYTES_MAX || self.contents.len() >= FILES_PER_WRITE {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.contents.push(content);
        self.expected.push(expected);
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if self.contents.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let contents = std::mem::take(&mut self.contents);
        let hashes = self.cartridge.put_blobs(self.app, contents).await?;
        hashes
            .into_iter()
            .zip(self.expected.drain(..))
            .try_for_each(|(hash, expected)| same(hash, expected))
    }
}

/// The next [`CHUNK_BYTES`] of content; less only at its end, nothing after it.
async fn next_chunk<R: Read + Send>(content: &mut Content<'_, R>) -> Result<Bytes> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut filled = 0;
    while filled < chunk.len() {
        match content.read(&mut chunk[filled..]).map_err(refused)? {
            0 => break,
            count => filled += count,
        }
    }
    chunk.truncate(filled);
    give_way().await;
    Ok(Bytes::from(chunk))
}

fn same(hash: [u8; 32], expected: [u8; 32]) -> Result<()> {
    if hash == expected {
        Ok(())
    } else {
        Err(Error::internal("the uploaded archive changed between its two readings"))
    }
}

/// The error that tells a client why its archive was refused.
pub(crate) fn refused(error: ArchiveError) -> Error {
    let code = error.code();
    match &error {
        ArchiveError::Refused(refusal) => {
            let kind = if error.status() == 413 { ErrorKind::TooLarge } else { ErrorKind::Invalid };
            let refused = Error::new(kind, error.to_string()).with_code(code);
            match refusal.entry_name() {
                Some(entry) => refused.with_details(json!({ "entry": entry })),
                None => refused,
            }
        }
        ArchiveError::Source(source) | ArchiveError::Sink(source) => {
            Error::internal(format!("{error}: {source}")).with_code(code)
        }
    }
}

/// Lets other tasks of the same thread run.
async fn give_way() {
    GiveWay { has_waited: false }.await;
}

struct GiveWay {
    has_waited: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_waited {
            return Poll::Ready(());
        }
        self.has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
