//! An authority has one spelling: what comes out goes in again unchanged, and no part of it grows.
#![no_main]

use fazt_kernel::edge::canonical::authority;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(found) = authority(text) else { return };
    assert!(!found.host.is_empty() && found.host.len() <= 255);
    assert!(!found.host.bytes().any(|byte| byte.is_ascii_uppercase()));
    let port = if found.port.is_empty() { String::new() } else { format!(":{}", found.port) };
    let again = format!("{}{port}", found.host);
    assert_eq!(authority(again.as_bytes()).as_ref(), Ok(&found));
});
