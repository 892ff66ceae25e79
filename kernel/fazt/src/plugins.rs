//! The compiled-in plugins: one line and one cargo feature each. Nothing else names a plugin.

use std::path::Path;

use fazt_sdk::manifest::Manifest;

pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
}
pub(crate) fn built_in() -> Vec<BuiltIn> {
    Vec::new()
}
pub(crate) fn manifests() -> Vec<Manifest> {
    Vec::new()
}
pub(crate) fn manifests_added_to(_cartridge: &Path) -> Vec<Manifest> {
    Vec::new()
}
