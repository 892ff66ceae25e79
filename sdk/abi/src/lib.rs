//! The types that cross between the kernel and plugins, and nothing else.
//!
//! Everything here is `repr(C)`, does no I/O, and is versioned by [`ABI`] alone. A plugin author
//! never sees this crate: `fazt-sdk` wraps it in ordinary traits, and the kernel implements
//! [`host::Host`] on the other side.
//!
//! # How it grows
//! [`root::PluginRoot`] is the one value that `abi_stable` checks, and it never changes. All else
//! is reached through an opaque pointer to a *table*: a `repr(C)` struct that starts with its own
//! size and to which entries are only ever appended. An entry exists when its offset lies below
//! the size that the other side wrote, so either side may be the newer one; calling a missing
//! entry answers [`error::RawError::missing`].
//!
//! # Panics
//! Every shim that the `interface!` macro generates catches panics on the side that panicked:
//! in the method, before its future exists, while the future is polled, and when an object or a
//! future is dropped. The caller sees an error that names the panic.
//!
//! # Unsafe
//! This crate holds all the `unsafe` code of the boundary, so that the sdk, the kernel and the
//! plugins have none of it.
#![expect(unsafe_code, reason = "the one crate of the workspace that speaks in raw pointers")]

#[macro_use]
mod interface;

pub mod bytes;
pub mod call;
pub mod closure;
pub mod error;
pub mod future;
pub mod host;
pub mod http;
pub mod instance;
pub mod load;
pub mod root;
pub mod row;
pub mod value;

pub use abi_stable;
pub use async_ffi::FfiFuture;

/// The version of this interface. 0 means: not frozen, loads only what was built against the very
/// same sdk version.
pub const ABI: u32 = 0;

/// The oldest ABI that this sdk can still talk to.
pub const ABI_MIN: u32 = 0;

/// The exact sdk version, compared while [`ABI`] is 0.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
