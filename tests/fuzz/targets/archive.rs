//! No upload makes the reader of archives panic, and what it accepts keeps to its rules.
#![no_main]

use std::io::Cursor;

use fazt_hosting::archive::{ArchiveLimits, inspect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ArchiveLimits { entries_max: 1_000, ..ArchiveLimits::default() };
    let Ok(plan) = inspect(Cursor::new(bytes), &limits) else { return };
    assert!(plan.entries().len() <= 1_000);
    for entry in plan.entries() {
        let path = entry.path();
        assert!(!path.is_empty() && !path.starts_with('/') && !path.contains('\\'));
        assert!(!path.split('/').any(|segment| matches!(segment, "" | "." | "..")));
    }
});
