//! TypeScript whose types were taken out when it was deployed, so that no cell has to.

pub(crate) mod store;

use fazt_js_engine::TYPESCRIPT_MAKER;

/// JavaScript, and the hash of the TypeScript that it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stripped {
    pub(crate) hash: [u8; 32],
    pub(crate) code: String,
}

/// Whether a path is TypeScript's.
pub(crate) fn is_typescript(path: &str) -> bool {
    let ends = [".ts", ".mts", ".cts", ".tsx"].iter().any(|ending| path.ends_with(ending));
    ends && !path.ends_with(".d.ts")
}
