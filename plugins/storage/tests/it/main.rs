//! The storage plugin on nodes of its own, compiled in.
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped here is a failed test")]

mod documents;
mod kv;
mod moves;
mod objects;
mod world;
