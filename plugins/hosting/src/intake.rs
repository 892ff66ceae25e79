//! Takes in an archive: first the verdict on all of it, then its content into the cartridge.
//!
//! Content is unpacked twice, unless it fits in [`HELD_BYTES_MAX`]: once to be checked to the last
//! byte and hashed, once to be stored. Nothing is stored before the first pass is over, so a refused
//! archive leaves no trace; and the second pass skips what the cartridge has.
//!
//! Unpacking and hashing run beside the threads that answer requests. Besides one entry for each file,
//! both passes hold [`HELD_BYTES_MAX`] and a few chunks.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use fazt_sdk::host::Host;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{AppId, Error, ErrorKind, Result};
use futures_util::future::join;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::archive::{
    ArchiveError, ArchiveLimits, ArchivePlan, CHUNK_BYTES, Content, PlannedEntry, inspect,
};
use crate::handover::handover;
use crate::model::{Entry, StoredFile};
use crate::visibility::{Layout, Visibility};

/// The most content that one write stores, and that is held in memory, in bytes.
pub(crate) const HELD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The most files whose content one write stores.
const FILES_PER_WRITE: usize = 256;

/// An archive whose every byte was checked.
pub(crate) struct Intake<R> {
    host: Host,
    plan: Arc<ArchivePlan>,
    /// In the order of the plan.
    files: Arc<Vec<StoredFile>>,
    /// The content of all files, when it was little enough to be held.
    held: Option<Vec<Bytes>>,
    /// Taken out while another thread reads it.
    archive: Option<Buffered<R>>,
}

impl<R: Read + Seek + Send + 'static> Intake<R> {
    /// Unpacks the whole archive and keeps the hashes.
    ///
    /// # Errors
    /// The refusal of the archive, naming the entry; what the spool says.
    pub(crate) async fn check(host: &Host, archive: R, limits: ArchiveLimits) -> Result<Self> {
        let checked = host.blocking(move || -> Result<_> {
            let mut archive = Buffered::new(archive);
            let plan = inspect(&mut archive, &limits).map_err(refused)?;
            let (files, held) = unpack(&plan, &mut archive)?;
            Ok((archive, plan, files, held))
        });
        let (archive, plan, files, held) = checked.await??;
        let (plan, files) = (Arc::new(plan), Arc::new(files));
        Ok(Self { host: host.clone(), plan, files, held, archive: Some(archive) })
    }

    /// The files, in the order of the archive.
    pub(crate) fn files(&self) -> &[StoredFile] {
        &self.files
    }

    /// Stores the content of the files at these positions. All of it survives a loss of power when
    /// this is ready.
    ///
    /// # Errors
    /// What the cartridge says; `Internal` when the archive is not the one that was checked.
    pub(crate) async fn store(
        &mut self,
        app: Option<AppId>,
        mut positions: &[usize],
    ) -> Result<()> {
        while let Some((first, after_first)) = positions.split_first() {
            let count = self.together(positions);
            if count == 0 {
                self.store_large(app, *first).await?;
                positions = after_first;
            } else {
                let (now, later) = positions.split_at(count);
                self.store_small(app, now).await?;
                positions = later;
            }
        }
        Ok(())
    }

    /// How many of the files at the beginning of `positions` are stored in one write; none when the
    /// first of them has several chunks.
    fn together(&self, positions: &[usize]) -> usize {
        let mut left = HELD_BYTES_MAX;
        let fits = |index: &&usize| {
            let size = self.files[**index].entry.size;
            let fits = size <= left && (self.held.is_some() || size <= CHUNK_BYTES as u64);
            left = left.saturating_sub(size);
            fits
        };
        positions.iter().take(FILES_PER_WRITE).take_while(fits).count()
    }

    async fn store_small(&mut self, app: Option<AppId>, positions: &[usize]) -> Result<()> {
        let contents = match &self.held {
            Some(held) => positions.iter().map(|index| held[*index].clone()).collect(),
            None => self.read_small(positions.to_vec()).await?,
        };
        let hashes = self.host.cartridge().put_blobs(app, contents).await?;
        let expected = positions.iter().map(|index| self.files[*index].entry.hash);
        hashes.into_iter().zip(expected).try_for_each(|(hash, expected)| same(hash, expected))
    }

    async fn read_small(&mut self, positions: Vec<usize>) -> Result<Vec<Bytes>> {
        let mut archive = self.archive.take().ok_or_else(lost)?;
        let plan = Arc::clone(&self.plan);
        let read = self.host.blocking(move || -> Result<_> {
            let mut contents = Vec::with_capacity(positions.len());
            for index in positions {
                let mut packed = plan.open_entry(&mut archive, index).map_err(refused)?;
                let mut content = packed.content().map_err(refused)?;
                contents.push(next_chunk(&mut content)?);
            }
            Ok((archive, contents))
        });
        let (archive, contents) = read.await??;
        self.archive = Some(archive);
        Ok(contents)
    }

    /// Stores a file of several chunks: another thread unpacks it, a few chunks ahead of this one.
    async fn store_large(&mut self, app: Option<AppId>, index: usize) -> Result<()> {
        let mut archive = self.archive.take().ok_or_else(lost)?;
        let plan = Arc::clone(&self.plan);
        let (giver, mut chunks) = handover();
        let unpacking = self.host.blocking(move || -> Result<_> {
            let mut packed = plan.open_entry(&mut archive, index).map_err(refused)?;
            let mut content = packed.content().map_err(refused)?;
            loop {
                let chunk = next_chunk(&mut content)?;
                // Who stores no more has a reason of its own to say.
                if chunk.is_empty() || !giver.give(chunk) {
                    break;
                }
            }
            drop(content);
            drop(packed);
            Ok(archive)
        });
        let mut upload = self.host.cartridge().upload(app)?;
        let storing = async move {
            while let Some(chunk) = chunks.next().await {
                upload.push(chunk).await?;
            }
            Ok::<_, Error>(upload)
        };
        let (unpacked, stored) = join(unpacking, storing).await;
        self.archive = Some(unpacked??);
        same(stored?.finish().await?, self.files[index].entry.hash)
    }
}

/// An archive that is read in pieces of 64 KiB, mostly forward.
///
/// Unlike a [`BufReader`], it keeps what it has read when a seek stays within it: the next entry of
/// an archive of small files usually is.
#[derive(Debug)]
struct Buffered<R>(BufReader<R>);

impl<R: Read> Buffered<R> {
    fn new(archive: R) -> Self {
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

/// Reads every byte; returns the files, and their contents when they are little enough to be held.
fn unpack<R: Read + Seek>(
    plan: &ArchivePlan,
    archive: &mut R,
) -> Result<(Vec<StoredFile>, Option<Vec<Bytes>>)> {
    let mut held = (plan.total_bytes() <= HELD_BYTES_MAX).then(Vec::new);
    let mut files = Vec::with_capacity(plan.entries().len());
    let mut buffer = vec![0; CHUNK_BYTES];
    for (index, entry) in plan.entries().iter().enumerate() {
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
            if held.is_some() {
                kept.extend_from_slice(&buffer[..count]);
            }
        }
        files.push(file(entry, hasher.finalize().into()));
        if let Some(held) = &mut held {
            held.push(Bytes::from(kept));
        }
    }
    Ok((files, held))
}

fn file(entry: &PlannedEntry, hash: [u8; 32]) -> StoredFile {
    let path = entry.path();
    // What the app's manifest changes about it is decided at the end of every deploy.
    let visibility = Visibility::of(path, Layout::default());
    StoredFile::new(path, Entry::new(path, hash, entry.size_bytes(), visibility))
}

/// The next [`CHUNK_BYTES`] of content; less only at its end, nothing after it.
fn next_chunk<R: Read>(content: &mut Content<'_, R>) -> Result<Bytes> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut filled = 0;
    while filled < chunk.len() {
        match content.read(&mut chunk[filled..]).map_err(refused)? {
            0 => break,
            count => filled += count,
        }
    }
    chunk.truncate(filled);
    Ok(Bytes::from(chunk))
}

fn lost() -> Error {
    Error::internal("the archive was lost by another thread")
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
