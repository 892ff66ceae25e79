//! The way out: the one client of the node that connects to other machines.
//!
//! A name is resolved first, every address that it has is judged, and only what was judged is
//! connected to; a redirect goes the same way again. Proxies of the environment are not looked at.
//! Time, redirects, heads, bodies and what runs at a time have bounds. Two use it: the node itself, for
//! the check of a domain (`client.rs`), and plugins on behalf of apps (`fetch.rs`), for whom there are
//! rules besides (`rules.rs`).

pub(crate) mod address;
mod body;
mod cache;
mod client;
mod dial;
mod failure;
mod fetch;
mod headers;
mod limits;
mod line;
mod pool;
mod resolve;
mod rules;
mod script;
mod secret;
mod service;
mod slots;
mod store;
mod target;
mod tls;

use std::sync::Arc;

use fazt_sdk::Result;

use crate::core::Core;

pub use client::Outside;
pub(crate) use client::{Answer, Egress, Failure, Fetch, Reach};
pub use dial::{Dial, Dialing, Stream, SystemDialer};
pub(crate) use limits::settings;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub(crate) use rules::{Pattern, Rule};
pub(crate) use service::EgressService;

/// Starts closing connections that lie idle.
///
/// # Errors
/// When the kernel has too many tasks.
pub(crate) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.every("egress", pool::IDLE_TIME, move || {
        let node = node.clone();
        async move {
            if let Some(core) = node.upgrade() {
                core.egress.sweep(core.egress_now());
            }
            Ok(())
        }
    })
}
