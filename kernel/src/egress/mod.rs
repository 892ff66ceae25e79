//! The way out: the one client of the node that connects to other machines.
//!
//! A name is resolved first, every address that it has is judged, and only what was judged is
//! connected to; a redirect goes the same way again. Proxies of the environment are not looked at.
//! Time, redirects, heads and bodies have bounds. It speaks plain HTTP for now, which is all that the
//! check of a domain needs.

pub(crate) mod address;
mod client;
mod resolve;

pub(crate) use client::{Answer, Egress, Failure, Fetch, Reach};
pub use resolve::{Resolve, Resolving, SystemResolver};
