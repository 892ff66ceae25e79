//! The compiled-in plugins: one line and one cargo feature each. Nothing else names a plugin.

use std::path::PathBuf;

use fazt_kernel::workers::Program;
use fazt_kernel::{BootOptions, BuiltIn, Mode};
use fazt_sdk::manifest::Manifest;

use crate::failure::Failure;

/// The plugins of this build.
pub(crate) fn built_in() -> Vec<BuiltIn> {
    vec![
        #[cfg(feature = "hosting")]
        BuiltIn { name: "hosting", root: fazt_sdk::export::root_of::<fazt_hosting::Hosting> },
        #[cfg(feature = "js")]
        BuiltIn { name: "js", root: fazt_sdk::export::root_of::<fazt_js::Js> },
        #[cfg(feature = "storage")]
        BuiltIn { name: "storage", root: fazt_sdk::export::root_of::<fazt_storage::Storage> },
    ]
}

/// How a node of this build is booted.
pub(crate) fn options(cartridge: impl Into<PathBuf>, mode: Mode) -> BootOptions {
    let mut options = BootOptions::new(cartridge, mode, built_in());
    // Where a program cannot find itself there are no workers, and whoever needs one is told so.
    options.workers = Program::own().ok();
    options
}

/// What the kernel and the compiled-in plugins contribute. Nothing is started.
///
/// # Errors
/// When one of them does not describe itself, which is a defect of this build.
pub(crate) fn manifests() -> Result<Vec<Manifest>, Failure> {
    Ok(fazt_kernel::manifests(&built_in())?)
}
