//! The compiled-in plugins: one line and one cargo feature each. Nothing else names a plugin.

use fazt_kernel::BuiltIn;
use fazt_sdk::manifest::Manifest;

use crate::failure::Failure;

/// The plugins of this build.
pub(crate) fn built_in() -> Vec<BuiltIn> {
    vec![
        #[cfg(feature = "hosting")]
        BuiltIn { name: "hosting", root: fazt_sdk::export::root_of::<fazt_hosting::Hosting> },
        #[cfg(feature = "storage")]
        BuiltIn { name: "storage", root: fazt_sdk::export::root_of::<fazt_storage::Storage> },
    ]
}

/// What the kernel and the compiled-in plugins contribute. Nothing is started.
///
/// # Errors
/// When one of them does not describe itself, which is a defect of this build.
pub(crate) fn manifests() -> Result<Vec<Manifest>, Failure> {
    Ok(fazt_kernel::manifests(&built_in())?)
}
