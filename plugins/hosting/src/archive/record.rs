//! The fixed-size records of a ZIP file, decoded as they stand.
//!
//! Every integer is little-endian (4.4.1.1). Decoding refuses nothing but a wrong signature: what
//! the fields may say is decided by the callers.

use std::io::{self, Read, Seek, SeekFrom};

use super::error::{ArchiveError, Refusal, RefusalKind};

/// A reader that knows how long its archive is.
pub(super) struct Source<'a, R> {
    reader: &'a mut R,
    bytes: u64,
}

impl<'a, R: Read + Seek> Source<'a, R> {
    pub(super) fn new(reader: &'a mut R) -> Result<Self, ArchiveError> {
        let bytes = reader.seek(SeekFrom::End(0)).map_err(ArchiveError::Source)?;
        Ok(Self { reader, bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `buffer` from `at`. Past the end, the archive is truncated.
    pub(super) fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.reader.seek(SeekFrom::Start(at)).map_err(ArchiveError::Source)?;
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Refusal::archive(RefusalKind::Truncated, "ends in the middle of a record")
            }
            _ => ArchiveError::Source(error),
        })
    }

    pub(super) fn array_at<const N: usize>(&mut self, at: u64) -> Result<[u8; N], ArchiveError> {
        let mut buffer = [0; N];
        self.read_at(at, &mut buffer)?;
        Ok(buffer)
    }

    /// The part of the archive in `start..end`.
    pub(super) fn part(&mut self, start: u64, end: u64) -> Result<io::Take<&mut R>, ArchiveError> {
        self.reader.seek(SeekFrom::Start(start)).map_err(ArchiveError::Source)?;
        Ok(self.reader.by_ref().take(end.saturating_sub(start)))
    }
}

/// Reads fields off the front of a record.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// End of central directory record (4.3.16).
#[derive(Debug, Clone, Copy)]
pub(super) struct EndRecord {
    pub(super) disk: u16,
    pub(super) directory_disk: u16,
    pub(super) entries_on_disk: u16,
    pub(super) entries: u16,
    pub(super) directory_bytes: u32,
    pub(super) directory_offset: u32,
    pub(super) comment_bytes: u16,
}

impl EndRecord {
    pub(super) const SIGNATURE: [u8; 4] = *b"PK\x05\x06";
    pub(super) const BYTES: usize = 22;

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        (fields.take(4)? == Self::SIGNATURE).then_some(())?;
        Some(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_on_disk: fields.u16()?,
            entries: fields.u16()?,
            directory_bytes: fields.u32()?,
            directory_offset: fields.u32()?,
            comment_bytes: fields.u16()?,
        })
    }
}

/// ZIP64 end of central directory locator (4.3.15).
#[derive(Debug, Clone, Copy)]
pub(super) struct Zip64Locator {
    pub(super) end_disk: u32,
    pub(super) end_offset: u64,
    pub(super) disks: u32,
}

impl Zip64Locator {
    pub(super) const SIGNATURE: [u8; 4] = *b"PK\x06\x07";
    pub(super) const BYTES: usize = 20;

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        (fields.take(4)? == Self::SIGNATURE).then_some(())?;
        Some(Self { end_disk: fields.u32()?, end_offset: fields.u64()?, disks: fields.u32()? })
    }
}

/// ZIP64 end of central directory record (4.3.14).
#[derive(Debug, Clone, Copy)]
pub(super) struct Zip64EndRecord {
    /// Bytes of the record after this field.
    pub(super) remaining_bytes: u64,
    pub(super) disk: u32,
    pub(super) directory_disk: u32,
    pub(super) entries_on_disk: u64,
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_offset: u64,
}

impl Zip64EndRecord {
    pub(super) const SIGNATURE: [u8; 4] = *b"PK\x06\x06";
    pub(super) const BYTES: usize = 56;

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        (fields.take(4)? == Self::SIGNATURE).then_some(())?;
        let remaining_bytes = fields.u64()?;
        fields.take(4)?; // the two versions
        Some(Self {
            remaining_bytes,
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_on_disk: fields.u64()?,
            entries: fields.u64()?,
            directory_bytes: fields.u64()?,
            directory_offset: fields.u64()?,
        })
    }
}

/// Central directory header (4.3.12), without its variable part.
#[derive(Debug, Clone, Copy)]
pub(super) struct CentralHeader {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) packed_bytes: u32,
    pub(super) unpacked_bytes: u32,
    pub(super) name_bytes: u16,
    pub(super) extra_bytes: u16,
    pub(super) comment_bytes: u16,
    pub(super) disk: u16,
    pub(super) external_attributes: u32,
    pub(super) local_offset: u32,
}

impl CentralHeader {
    pub(super) const SIGNATURE: [u8; 4] = *b"PK\x01\x02";
    pub(super) const BYTES: usize = 46;

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        (fields.take(4)? == Self::SIGNATURE).then_some(())?;
        fields.take(4)?; // version made by, version needed
        let flags = fields.u16()?;
        let method = fields.u16()?;
        fields.take(4)?; // time and date
        let crc32 = fields.u32()?;
        let packed_bytes = fields.u32()?;
        let unpacked_bytes = fields.u32()?;
        let name_bytes = fields.u16()?;
        let extra_bytes = fields.u16()?;
        let comment_bytes = fields.u16()?;
        let disk = fields.u16()?;
        fields.take(2)?; // internal attributes
        Some(Self {
            flags,
            method,
            crc32,
            packed_bytes,
            unpacked_bytes,
            name_bytes,
            extra_bytes,
            comment_bytes,
            disk,
            external_attributes: fields.u32()?,
            local_offset: fields.u32()?,
        })
    }
}

/// Local file header (4.3.7), without its variable part.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalHeader {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) packed_bytes: u32,
    pub(super) unpacked_bytes: u32,
    pub(super) name_bytes: u16,
    pub(super) extra_bytes: u16,
}

impl LocalHeader {
    pub(super) const SIGNATURE: [u8; 4] = *b"PK\x03\x04";
    pub(super) const BYTES: usize = 30;

    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        (fields.take(4)? == Self::SIGNATURE).then_some(())?;
        fields.take(2)?; // version needed
        let flags = fields.u16()?;
        let method = fields.u16()?;
        fields.take(4)?; // time and date
        Some(Self {
            flags,
            method,
            crc32: fields.u32()?,
            packed_bytes: fields.u32()?,
            unpacked_bytes: fields.u32()?,
            name_bytes: fields.u16()?,
            extra_bytes: fields.u16()?,
        })
    }
}

/// Data descriptor (4.3.9), whose leading signature is optional (4.3.9.3).
pub(super) const DESCRIPTOR_SIGNATURE: [u8; 4] = *b"PK\x07\x08";

/// Bits of the general purpose flags (4.4.4).
pub(super) mod flag {
    pub(in super::super) const ENCRYPTED: u16 = 1 << 0;
    pub(in super::super) const DESCRIPTOR: u16 = 1 << 3;
    pub(in super::super) const PATCHED: u16 = 1 << 5;
    pub(in super::super) const STRONG_ENCRYPTION: u16 = 1 << 6;
    pub(in super::super) const UTF8: u16 = 1 << 11;
    pub(in super::super) const MASKED_HEADERS: u16 = 1 << 13;
}
