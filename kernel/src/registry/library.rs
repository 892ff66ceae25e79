//! Plugin libraries: checked, then loaded from bytes that nobody can change any more.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use fazt_abi::root::PluginRootRef;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};
use sha2::{Digest as _, Sha256};

/// The machine that this process, and so its libraries, are built for.
pub(crate) fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The largest library that is accepted, in bytes.
pub(crate) const LIBRARY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Libraries that this process has loaded, by hash. A library is loaded once and stays mapped.
#[derive(Default)]
pub(crate) struct Libraries {
    loaded: Mutex<HashMap<[u8; 32], Loaded>>,
}

/// A library that this process has loaded.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) root: PluginRootRef,
    /// Its bytes, in memory that nobody can change, for worker processes of the plugin; nothing where
    /// the system has no such thing.
    pub(crate) file: Option<Arc<File>>,
}

impl std::fmt::Debug for Libraries {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Libraries")
    }
}

impl Libraries {
    /// Loads the library in `bytes`. Blocks for the dynamic linker, some milliseconds.
    ///
    /// # Errors
    /// `Invalid`, one sentence that says why it is refused.
    pub(crate) fn load(&self, bytes: &[u8]) -> Result<Loaded> {
        check_file(bytes)?;
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = all.get(&hash) {
            return Ok(loaded.clone());
        }
        let loaded = open(bytes, &hash)?;
        all.insert(hash, loaded.clone());
        Ok(loaded)
    }
}

/// The hash under which a library is kept.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What a root says it is.
///
/// # Errors
/// `Invalid` when the plugin cannot describe itself.
pub(crate) fn manifest(root: PluginRootRef) -> Result<Manifest> {
    let json = match (root.describe())() {
        abi_stable::std_types::RResult::ROk(json) => json,
        abi_stable::std_types::RResult::RErr(error) => {
            return Err(refused(&format!("it does not describe itself: {}", error.message)));
        }
    };
    let manifest = serde_json::from_str(&json)
        .map_err(|error| refused(&format!("its manifest cannot be read: {error}")))?;
    super::wiring::check_manifest(&manifest)?;
    Ok(manifest)
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("the library is refused: {why}")).with_code("LIBRARY_REFUSED")
}

/// Looks at the file's own header first, so that the reason is in our words.
fn check_file(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Err(refused("the file is empty"));
    }
    if bytes.len() > LIBRARY_BYTES_MAX {
        return Err(refused(&format!(
            "it has {} bytes, the most is {LIBRARY_BYTES_MAX}",
            bytes.len()
        )));
    }
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    // `e_machine` of the System V ABI and its supplements.
    let machine = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv64" => 243,
        other => return Err(refused(&format!("fazt loads no libraries on {other}"))),
    };
    super::elf::check(bytes, machine).map_err(|why| match why {
        "it was built for another machine" => refused(&format!("{why}; this node is {}", target())),
        _ => refused(why),
    })
}

#[cfg(all(feature = "loader", target_os = "linux", not(target_feature = "crt-static")))]
fn open(bytes: &[u8], _hash: &[u8; 32]) -> Result<Loaded> {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{MemfdFlags, SealFlags};

    let failed = |doing: &str, error: &dyn std::fmt::Display| {
        Error::internal(format!("{doing} the library's memory file: {error}"))
    };
    let descriptor =
        rustix::fs::memfd_create("fazt-plugin", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(|error| failed("create", &error))?;
    let mut file = File::from(descriptor);
    file.write_all(bytes).map_err(|error| failed("fill", &error))?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(|error| failed("seal", &error))?;
    let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let copy = file.try_clone().map_err(|error| failed("copy", &error))?;
    // The dynamic linker knows libraries by name: the descriptor stays open, so that no other
    // library is ever found under the same one.
    std::mem::forget(file);
    let root = fazt_abi::load::open(&path).map_err(|why| refused(&why))?;
    Ok(Loaded { root, file: Some(Arc::new(copy)) })
}

#[cfg(all(feature = "loader", not(target_os = "linux"), not(target_feature = "crt-static")))]
fn open(bytes: &[u8], hash: &[u8; 32]) -> Result<Loaded> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = std::env::temp_dir().join(format!("fazt-plugin-{hex}-{}", std::process::id()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Error::internal(format!("write {}: {error}", path.display())))?;
    let root = fazt_abi::load::open(&path).map_err(|why| refused(&why));
    drop(std::fs::remove_file(&path));
    Ok(Loaded { root: root?, file: None })
}

#[cfg(any(not(feature = "loader"), target_feature = "crt-static"))]
fn open(_bytes: &[u8], _hash: &[u8; 32]) -> Result<Loaded> {
    Err(refused("this build of fazt loads no libraries; use the ordinary build"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_refused_in_one_sentence() {
        let libraries = Libraries::default();
        let mut other_machine = [0; 64];
        other_machine[..6].copy_from_slice(b"\x7fELF\x02\x01");
        other_machine[16] = 3;
        other_machine[18] = 40;
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"hello", "no shared library"),
            (&other_machine, "another machine"),
        ] {
            let error = libraries.load(bytes).err().unwrap();
            assert!(error.message().contains(word) && !error.message().contains('\n'), "{error}");
        }
    }
}
