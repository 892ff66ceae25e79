//! Writes ZIP files record by record, so that a test can make any of them lie.

use std::io::Write as _;

use zip::write::SimpleFileOptions;

/// One entry, each copy of each field settable on its own.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) local_method: Option<u16>,
    pub(crate) flags: u16,
    pub(crate) local_flags: Option<u16>,
    pub(crate) crc32: u32,
    pub(crate) local_crc32: Option<u32>,
    pub(crate) packed_bytes: u32,
    pub(crate) local_packed_bytes: Option<u32>,
    pub(crate) unpacked_bytes: u32,
    pub(crate) local_unpacked_bytes: Option<u32>,
    pub(crate) extra: Vec<u8>,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) attributes: u32,
    pub(crate) disk: u16,
    pub(crate) descriptor: Vec<u8>,
    /// Overrides where the central directory says that the local header is.
    pub(crate) offset: Option<u32>,
    /// Leaves the local record out.
    pub(crate) is_listed_only: bool,
    /// Bytes between this record and the one before.
    pub(crate) gap: Vec<u8>,
}

impl Entry {
    /// A stored file.
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self::packed(name, 0, content.to_vec(), content)
    }

    /// A deflated file.
    pub(crate) fn deflated(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self::packed(name, 8, deflate(content), content)
    }

    /// A directory.
    pub(crate) fn directory(name: impl AsRef<[u8]>) -> Self {
        Self { attributes: 0o040_755 << 16, ..Self::stored(name, b"") }
    }

    fn packed(name: impl AsRef<[u8]>, method: u16, packed: Vec<u8>, content: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            local_name: None,
            packed_bytes: packed.len() as u32,
            packed,
            method,
            local_method: None,
            flags: 0,
            local_flags: None,
            crc32: crc32(content),
            local_crc32: None,
            local_packed_bytes: None,
            unpacked_bytes: content.len() as u32,
            local_unpacked_bytes: None,
            extra: Vec::new(),
            local_extra: Vec::new(),
            comment: Vec::new(),
            attributes: 0o100_644 << 16,
            disk: 0,
            descriptor: Vec::new(),
            offset: None,
            is_listed_only: false,
            gap: Vec::new(),
        }
    }

    /// Moves sizes and CRC-32 behind the data.
    pub(crate) fn with_descriptor(mut self, has_signature: bool, is_wide: bool) -> Self {
        self.flags |= 8;
        self.local_crc32 = Some(0);
        self.local_packed_bytes = Some(0);
        self.local_unpacked_bytes = Some(0);
        if has_signature {
            self.descriptor.extend(b"PK\x07\x08");
        }
        self.descriptor.extend(self.crc32.to_le_bytes());
        for size in [self.packed_bytes, self.unpacked_bytes] {
            if is_wide {
                self.descriptor.extend(u64::from(size).to_le_bytes());
            } else {
                self.descriptor.extend(size.to_le_bytes());
            }
        }
        self
    }

    /// Moves both sizes to ZIP64 fields, in both headers.
    pub(crate) fn with_zip64(mut self) -> Self {
        let sizes = [u64::from(self.unpacked_bytes), u64::from(self.packed_bytes)];
        let data: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        self.extra.extend(extra(1, &data));
        self.local_extra.extend(extra(1, &data));
        self.unpacked_bytes = u32::MAX;
        self.packed_bytes = u32::MAX;
        self
    }

    /// Sentinels in both headers, the ZIP64 field in the central one only.
    pub(crate) fn with_zip64_central_only(self) -> Self {
        Self { local_extra: Vec::new(), ..self.with_zip64() }
    }

    fn local_record(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut out = b"PK\x03\x04\x14\x00".to_vec();
        out.extend(self.local_flags.unwrap_or(self.flags).to_le_bytes());
        out.extend(self.local_method.unwrap_or(self.method).to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.local_crc32.unwrap_or(self.crc32).to_le_bytes());
        out.extend(self.local_packed_bytes.unwrap_or(self.packed_bytes).to_le_bytes());
        out.extend(self.local_unpacked_bytes.unwrap_or(self.unpacked_bytes).to_le_bytes());
        out.extend((name.len() as u16).to_le_bytes());
        out.extend((self.local_extra.len() as u16).to_le_bytes());
        out.extend(name);
        out.extend(&self.local_extra);
        out.extend(&self.packed);
        out.extend(&self.descriptor);
        out
    }

    fn central_record(&self, offset: u32) -> Vec<u8> {
        let mut out = b"PK\x01\x02\x14\x03\x14\x00".to_vec();
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.crc32.to_le_bytes());
        out.extend(self.packed_bytes.to_le_bytes());
        out.extend(self.unpacked_bytes.to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((self.extra.len() as u16).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(self.disk.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.attributes.to_le_bytes());
        out.extend(self.offset.unwrap_or(offset).to_le_bytes());
        out.extend(&self.name);
        out.extend(&self.extra);
        out.extend(&self.comment);
        out
    }
}

/// The end records.
#[derive(Clone, Default)]
pub(crate) struct End {
    pub(crate) prefix: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) suffix: Vec<u8>,
    pub(crate) after_directory: Vec<u8>,
    pub(crate) disk: u16,
    pub(crate) entries: Option<u16>,
    pub(crate) entries_on_disk: Option<u16>,
    pub(crate) directory_bytes: Option<u32>,
    pub(crate) directory_offset: Option<u32>,
    pub(crate) comment_bytes: Option<u16>,
    pub(crate) zip64: Option<Zip64>,
}

/// Overrides of the ZIP64 end record and locator.
#[derive(Clone, Default)]
pub(crate) struct Zip64 {
    pub(crate) record_bytes: Option<u64>,
    pub(crate) entries: Option<u64>,
    pub(crate) directory_bytes: Option<u64>,
    pub(crate) directory_offset: Option<u64>,
    pub(crate) locator_offset: Option<u64>,
    pub(crate) disks: Option<u32>,
    pub(crate) is_locator_only: bool,
    pub(crate) is_record_only: bool,
}

/// An archive with honest end records.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    archive_with(entries, &End::default())
}

/// An archive with the given end records.
pub(crate) fn archive_with(entries: &[Entry], end: &End) -> Vec<u8> {
    let mut body = Vec::new();
    let mut central = Vec::new();
    for entry in entries {
        body.extend(&entry.gap);
        let offset = body.len() as u32;
        if !entry.is_listed_only {
            body.extend(entry.local_record());
        }
        central.extend(entry.central_record(offset));
    }
    let directory_offset = body.len() as u64;
    let directory_bytes = central.len() as u64;
    let count = entries.len() as u64;
    body.extend(central);
    body.extend(&end.after_directory);
    if let Some(zip64) = &end.zip64 {
        let record_at = body.len() as u64;
        if !zip64.is_locator_only {
            body.extend(b"PK\x06\x06");
            body.extend(zip64.record_bytes.unwrap_or(44).to_le_bytes());
            body.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let entries = zip64.entries.unwrap_or(count);
            body.extend(entries.to_le_bytes());
            body.extend(entries.to_le_bytes());
            body.extend(zip64.directory_bytes.unwrap_or(directory_bytes).to_le_bytes());
            body.extend(zip64.directory_offset.unwrap_or(directory_offset).to_le_bytes());
        }
        if !zip64.is_record_only {
            body.extend(b"PK\x06\x07\0\0\0\0");
            body.extend(zip64.locator_offset.unwrap_or(record_at).to_le_bytes());
            body.extend(zip64.disks.unwrap_or(1).to_le_bytes());
        }
    }
    let entries = end.entries.unwrap_or(count as u16);
    body.extend(b"PK\x05\x06");
    body.extend(end.disk.to_le_bytes());
    body.extend([0, 0]);
    body.extend(end.entries_on_disk.unwrap_or(entries).to_le_bytes());
    body.extend(entries.to_le_bytes());
    body.extend(end.directory_bytes.unwrap_or(directory_bytes as u32).to_le_bytes());
    body.extend(end.directory_offset.unwrap_or(directory_offset as u32).to_le_bytes());
    body.extend(end.comment_bytes.unwrap_or(end.comment.len() as u16).to_le_bytes());
    body.extend(&end.comment);
    body.extend(&end.suffix);
    [end.prefix.clone(), body].concat()
}

/// An extra field.
pub(crate) fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
}

/// The raw deflate stream of `content`: what the `zip` crate puts between two headers.
pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file("f", options).unwrap();
    writer.write_all(content).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let file = archive.by_index(0).unwrap();
    let (start, length) = (file.data_start().unwrap() as usize, file.compressed_size() as usize);
    bytes[start..start + length].to_vec()
}

/// CRC-32 as ZIP has it (4.4.7), bit by bit: slow, and obviously independent.
pub(crate) fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
