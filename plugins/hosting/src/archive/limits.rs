//! The caps on a deploy archive, each with its unit.

/// How large an archive may be, in each direction that it can grow.
///
/// [`ArchiveLimits::default`] is the policy that the product documents; tests and operators may
/// lower it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Entries in the central directory, directories included.
    pub entries_max: u64,
    /// Unpacked bytes of one file. Values above [`ArchiveLimits::FILE_BYTES_CEILING`] act as it.
    pub file_bytes_max: u64,
    /// Unpacked bytes of all files together.
    pub total_bytes_max: u64,
    /// Unpacked bytes per packed byte, of one file and of the archive as a whole.
    ///
    /// Applies past [`ArchiveLimits::ratio_free_bytes`].
    pub ratio_max: u64,
    /// Unpacked bytes up to which the ratio is not looked at: a small file of blanks packs well
    /// and harms nobody.
    pub ratio_free_bytes: u64,
    /// Bytes of the central directory, names, extra fields and comments included.
    pub directory_bytes_max: u64,
    /// Bytes before, between and after the records that belong to no entry.
    pub junk_bytes_max: u64,
}

impl ArchiveLimits {
    /// The most that [`ArchiveLimits::file_bytes_max`] can mean: the 32-bit size fields of a
    /// classic header, less their sentinel (4.4.8, 4.4.9).
    pub const FILE_BYTES_CEILING: u64 = u32::MAX as u64 - 1;

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes_max.min(Self::FILE_BYTES_CEILING)
    }

    /// Whether `unpacked` bytes out of `packed` are more than the ratio allows.
    pub(super) fn exceeds_ratio(&self, unpacked: u64, packed: u64) -> bool {
        unpacked > self.ratio_free_bytes && unpacked > packed.saturating_mul(self.ratio_max)
    }
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            // `cargo doc` writes over 60,000 files and 600 MB for a program of some 150 crates.
            entries_max: 100_000,
            file_bytes_max: 64 * MIB,
            total_bytes_max: 1024 * MIB,
            ratio_max: 200,
            ratio_free_bytes: MIB,
            directory_bytes_max: 64 * MIB,
            junk_bytes_max: 64 * 1024,
        }
    }
}
