//! The lines of a file of rules, and its bounds.

use super::finding::{Finding, Findings};

/// The longest line that is read, in bytes (Cloudflare: 1,000 characters for a redirect, 2,000 for
/// a header).
pub(super) const LINE_BYTES_MAX: usize = 2_000;

/// The lines of `file` that hold something, each with its number, without what surrounds them.
///
/// A file over `bytes_max`, one that is not UTF-8 and a line over [`LINE_BYTES_MAX`] are errors; what
/// is past them is not read.
pub(super) fn lines<'a>(
    file: &'a [u8],
    bytes_max: usize,
    findings: &mut Findings,
) -> Vec<(u32, &'a str)> {
    if file.len() > bytes_max {
        let message = format!("the file has {} bytes, {bytes_max} are read", file.len());
        findings.error(1, Finding::LIMIT, message, "write fewer rules, with `*` and `:names`");
        return Vec::new();
    }
    let text = match str::from_utf8(file) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = &file[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let message = "the file is not UTF-8 text";
            findings.error(line, Finding::UNREADABLE, message, "save it as UTF-8");
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        if line.len() > LINE_BYTES_MAX {
            let message = format!("the line has {} bytes, {LINE_BYTES_MAX} are read", line.len());
            findings.error(number, Finding::LIMIT, message, "shorten it");
            continue;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            findings.skipped(number, "the line has control characters in it", "remove them");
            continue;
        }
        found.push((number, line));
    }
    found
}
