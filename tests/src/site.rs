//! Sites to deploy, and fingerprints of files.

use std::io::{Cursor, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

/// A ZIP archive of these files.
///
/// # Panics
/// When the archive cannot be written, which is a defect of the test.
#[must_use]
pub fn archive<N: AsRef<str>, C: AsRef<[u8]>>(files: &[(N, C)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name.as_ref(), SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_ref()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// SHA-256 of `content`, in hexadecimal.
#[must_use]
pub fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn fingerprint(file: &Path) -> String {
    hex(&std::fs::read(file).unwrap())
}
