//! Extra fields (4.5): ZIP64 sizes, and the few others that change what an entry means.

use super::error::{ArchiveError, Refusal, RefusalKind};
use super::record::Fields;

/// ZIP64 extended information (4.5.3).
const ZIP64: u16 = 0x0001;
/// PKWARE strong encryption (4.5.12).
const STRONG_ENCRYPTION: u16 = 0x0017;
/// Info-ZIP Unicode path (4.6.9).
const UNICODE_PATH: u16 = 0x7075;
/// WinZip AES encryption (appendix E).
const AES: u16 = 0x9901;

/// The sizes and the offset of an entry, as its header says or as the ZIP64 field corrects it.
///
/// `None` in `local_offset` stands for a local header, which has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) unpacked_bytes: u64,
    pub(super) packed_bytes: u64,
    pub(super) local_offset: Option<u64>,
    pub(super) disk: u16,
    /// Whether a ZIP64 field was there: the descriptor then has 64-bit sizes (4.3.9.2).
    pub(super) is_zip64: bool,
}

/// Applies the extra fields of the entry called `name` to what its header says.
pub(super) fn apply(name: &[u8], extra: &[u8], header: Extent) -> Result<Extent, ArchiveError> {
    let refuse = |detail: &str| Refusal::entry(RefusalKind::ExtraField, name, detail);
    let mut extent = header;
    let mut fields = Fields(extra);
    while !fields.0.is_empty() {
        // Alignment tools pad with fewer zeros than a field's own header takes.
        if fields.0.len() < 4 && fields.0.iter().all(|byte| *byte == 0) {
            break;
        }
        let (id, data) = fields
            .u16()
            .zip(fields.u16())
            .and_then(|(id, bytes)| Some((id, fields.take(usize::from(bytes))?)))
            .ok_or_else(|| refuse("has an extra field that is cut off"))?;
        match id {
            ZIP64 if extent.is_zip64 => return Err(refuse("has two ZIP64 fields")),
            ZIP64 => apply_zip64(data, &mut extent).ok_or_else(|| {
                Refusal::entry(
                    RefusalKind::Zip64Inconsistent,
                    name,
                    "has a ZIP64 field that is too short for its header",
                )
            })?,
            STRONG_ENCRYPTION | AES => {
                return Err(Refusal::entry(RefusalKind::Encrypted, name, "is encrypted"));
            }
            // A version byte and a CRC-32 come first. What they say does not matter: a second
            // name is either the same or a way to show two programs two files.
            UNICODE_PATH if data.get(5..) != Some(name) => {
                return Err(refuse("has a second, different name in a Unicode path field"));
            }
            _ => {}
        }
    }
    let lacks_zip64 = header.unpacked_bytes == u64::from(u32::MAX)
        || header.packed_bytes == u64::from(u32::MAX)
        || header.local_offset == Some(u64::from(u32::MAX));
    if lacks_zip64 && !extent.is_zip64 {
        return Err(Refusal::entry(
            RefusalKind::Zip64Inconsistent,
            name,
            "announces ZIP64 sizes and has none",
        ));
    }
    Ok(extent)
}

/// Replaces the fields that hold their sentinel, in the order of 4.5.3. `None` if one is missing.
///
/// Bytes past those are ignored: writers that reserve the field before they know the sizes leave
/// some, and the rule of 4.5.3 gives them no meaning.
fn apply_zip64(data: &[u8], extent: &mut Extent) -> Option<()> {
    const SENTINEL: u64 = u32::MAX as u64;
    let mut fields = Fields(data);
    extent.is_zip64 = true;
    if extent.unpacked_bytes == SENTINEL {
        extent.unpacked_bytes = fields.u64()?;
    }
    if extent.packed_bytes == SENTINEL {
        extent.packed_bytes = fields.u64()?;
    }
    if extent.local_offset == Some(SENTINEL) {
        extent.local_offset = Some(fields.u64()?);
    }
    if extent.disk == u16::MAX {
        extent.disk = u16::try_from(fields.u32()?).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Extent = Extent {
        unpacked_bytes: 7,
        packed_bytes: 5,
        local_offset: Some(9),
        disk: 0,
        is_zip64: false,
    };

    fn field(id: u16, data: &[u8]) -> Vec<u8> {
        let mut field = id.to_le_bytes().to_vec();
        field.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        field.extend(data);
        field
    }

    #[test]
    fn only_fields_that_hold_the_sentinel_are_replaced() {
        let header = Extent { packed_bytes: u32::MAX.into(), ..PLAIN };
        let extent = apply(b"a", &field(ZIP64, &11_u64.to_le_bytes()), header).unwrap();
        assert_eq!((extent.unpacked_bytes, extent.packed_bytes), (7, 11));
        assert!(extent.is_zip64);
    }

    #[test]
    fn fields_that_change_the_meaning_are_refused() {
        let sentinel = Extent { unpacked_bytes: u32::MAX.into(), ..PLAIN };
        let twice = [field(ZIP64, &[]), field(ZIP64, &[])].concat();
        let cases: &[(&str, &[u8], Extent)] = &[
            ("ZIP64_INCONSISTENT", &[], sentinel),
            ("ZIP64_INCONSISTENT", &field(ZIP64, &[0; 7]), sentinel),
            ("EXTRA_FIELD_INVALID", &twice, PLAIN),
            ("EXTRA_FIELD_INVALID", &[1, 0, 9, 0, 0], PLAIN),
            ("EXTRA_FIELD_INVALID", &[1], PLAIN),
            ("EXTRA_FIELD_INVALID", &field(UNICODE_PATH, b"\x01crc4b"), PLAIN),
            ("EXTRA_FIELD_INVALID", &field(UNICODE_PATH, b"\x01"), PLAIN),
            ("ENCRYPTED_ENTRY", &field(AES, &[0; 7]), PLAIN),
            ("ENCRYPTED_ENTRY", &field(STRONG_ENCRYPTION, &[0; 7]), PLAIN),
        ];
        for (code, extra, header) in cases {
            assert_eq!(apply(b"a", extra, *header).unwrap_err().code(), *code, "{extra:?}");
        }
    }

    #[test]
    fn harmless_fields_and_padding_are_accepted() {
        for extra in [
            &field(0x5455, &[3, 0, 0, 0, 0])[..],
            &field(UNICODE_PATH, b"\x01crc4a"),
            &[0, 0, 0],
            &[0],
        ] {
            assert!(apply(b"a", extra, PLAIN).is_ok(), "{extra:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(extra in proptest::collection::vec(any::<u8>(), 0..64)) {
            let header = Extent { unpacked_bytes: u32::MAX.into(), ..PLAIN };
            if let Ok(extent) = apply(b"a", &extra, header) {
                prop_assert!(extent.is_zip64);
            }
        }
    }
}
