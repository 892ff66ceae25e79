//! Without a feature this library exports nothing.

/// The layout of the mark, as every library of every ABI has it.
#[cfg(any(feature = "other-abi", feature = "aborting"))]
#[repr(C)]
pub struct Mark {
    magic: [u8; 8],
    abi: u32,
    panic_unwind: u32,
    sdk: [u8; 32],
}

#[cfg(any(feature = "other-abi", feature = "aborting"))]
const fn sdk_version() -> [u8; 32] {
    let version = env!("FAZT_SDK_VERSION").as_bytes();
    let mut sdk = [0; 32];
    let mut at = 0;
    while at < version.len() {
        sdk[at] = version[at];
        at += 1;
    }
    sdk
}

/// The mark.
#[cfg(any(feature = "other-abi", feature = "aborting"))]
#[unsafe(no_mangle)]
pub static FAZT_PLUGIN_ABI: Mark = Mark {
    magic: *b"fazt-abi",
    abi: if cfg!(feature = "other-abi") { 7 } else { 0 },
    panic_unwind: if cfg!(panic = "unwind") { 1 } else { 0 },
    sdk: sdk_version(),
};
