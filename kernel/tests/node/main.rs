//! A whole node without sockets: what its owner, its keys and strangers can rely on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod gadget;
mod support;

mod authorization;
mod composition;
mod domains;
mod events;
mod forks;
mod hosts;
mod metrics;
mod names;
mod peers;
mod settings;
mod sign_in;
mod splits;
mod sql;
