//! `fazt.session`. Its `id()` asks nobody: the workspace comes with the request.

use fazt_sdk::Json;
use fazt_sdk::prelude::*;

use crate::workspace::{RANDOM_BYTES, generate};

/// Declares all functions.
pub(super) fn declare(manifest: Manifest) -> Manifest {
    manifest.binding(
        Binding::new("session.create")
            .synchronous()
            .about("A new workspace: three words, for an address with ?s=word-word-word"),
    )
}

/// Hands over all functions.
pub(super) fn bind(started: Started, host: &Host) -> Started {
    let host = host.clone();
    started.bind("session.create", move |_: Call, _: Vec<Json>| {
        let random = host.random(RANDOM_BYTES).try_into();
        async move {
            let random = random.map_err(|_| Error::internal("the system gave no random bytes"))?;
            Ok(generate(random))
        }
    })
}
