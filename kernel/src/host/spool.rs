//! Scratch files: without a name, beside the cartridge, where the space is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi_stable::std_types::{RResult, RSlice, RVec};
use fazt_abi::error::RawError;
use fazt_abi::host::{RawSpool, Spool};
use fazt_sdk::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::to_raw;

/// A file that has no name, and is gone when it is closed.
struct ScratchFile {
    file: File,
    size: AtomicU64,
}

/// The most that one read returns.
const READ_BYTES_MAX: u32 = 1024 * 1024;

pub(super) fn create(cartridge: &Path) -> Result<RawSpool> {
    let directory = cartridge
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let file = unnamed(directory)
        .map_err(|error| failed(&format!("make, in {},", directory.display()), &error))?;
    Ok(RawSpool::new(Arc::new(ScratchFile { file, size: AtomicU64::new(0) })))
}

#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> std::io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        // Some file systems (overlay, NFS) have no unnamed files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => named_and_removed(directory),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn unnamed(directory: &Path) -> std::io::Result<File> {
    named_and_removed(directory)
}

fn named_and_removed(directory: &Path) -> std::io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".fazt-scratch-{}-{number}", std::process::id()));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let descriptor = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
    std::fs::remove_file(&path)?;
    Ok(File::from(descriptor))
}

fn failed(doing: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::full("the disk is full; free some space and try again");
    }
    Error::internal(format!("{doing} a scratch file: {error}"))
}

impl Spool for ScratchFile {
    fn append(self: &Arc<Self>, content: RSlice<'_, u8>) -> RResult<(), RawError> {
        let at = self.size.fetch_add(content.len() as u64, Ordering::AcqRel);
        to_raw(self.file.write_all_at(&content, at).map_err(|error| failed("write to", &error)))
    }

    fn read_at(self: &Arc<Self>, offset: u64, len: u32) -> RResult<RVec<u8>, RawError> {
        let mut buffer = vec![0; len.min(READ_BYTES_MAX) as usize];
        let read = self.file.read_at(&mut buffer, offset).map_err(|error| failed("read", &error));
        to_raw(read.map(|read| {
            buffer.truncate(read);
            RVec::from(buffer)
        }))
    }

    fn size(self: &Arc<Self>) -> u64 {
        self.size.load(Ordering::Acquire)
    }
}
