//! A scratch file for one large upload: unnamed, private, gone when it is dropped.

use std::io::{self, Read, Seek, SeekFrom, Write};

use abi_stable::std_types::{RResult, RSlice};
use fazt_abi::abi_stable;
use fazt_abi::host::RawSpool;

/// A scratch file. Writing appends; reading has a position of its own. Blocks on the disk.
#[derive(Debug)]
pub struct Spool {
    raw: RawSpool,
    position: u64,
}

/// The most that one read takes across the boundary.
const READ_BYTES_MAX: usize = 64 * 1024;

impl Spool {
    pub(crate) fn new(raw: RawSpool) -> Self {
        Self { raw, position: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.raw.size()
    }
}

impl Write for Spool {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        match self.raw.append(RSlice::from_slice(content)) {
            RResult::ROk(()) => Ok(content.len()),
            RResult::RErr(error) => Err(io::Error::other(error.message.into_string())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = u32::try_from(buffer.len().min(READ_BYTES_MAX)).unwrap_or(u32::MAX);
        match self.raw.read_at(self.position, want) {
            RResult::ROk(bytes) => {
                let len = bytes.len().min(buffer.len());
                buffer[..len].copy_from_slice(&bytes[..len]);
                self.position += len as u64;
                Ok(len)
            }
            RResult::RErr(error) => Err(io::Error::other(error.message.into_string())),
        }
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the start")
        })?;
        Ok(self.position)
    }
}
