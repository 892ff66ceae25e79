//! What apps' JavaScript calls of hosting: `fazt.session`, the workspace that an address names, and
//! `fazt.private`, the files below `private/`.

mod private;
mod session;

use fazt_sdk::prelude::*;

use crate::sites::Provide;

/// JavaScript that runs in each realm once the functions below are there.
const SCRIPT: &str = include_str!("script.js");

/// Declares all functions.
pub(crate) fn declare(manifest: Manifest) -> Manifest {
    private::declare(session::declare(manifest)).script(SCRIPT)
}

/// Hands over all functions.
pub(crate) fn bind(started: Started, host: &Host, sites: &Provide) -> Started {
    private::bind(session::bind(started, host), sites)
}
