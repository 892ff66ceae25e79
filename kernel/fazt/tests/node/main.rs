//! The program itself, on real cartridges.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

#[path = "../golden/mod.rs"]
mod golden;
mod home;

#[cfg(feature = "hosting")]
mod deploys;
#[cfg(feature = "hosting")]
mod dev;
#[cfg(feature = "hosting")]
mod front;
mod life;
#[cfg(feature = "hosting")]
mod peers;
#[cfg(all(feature = "hosting", feature = "js"))]
mod secrets;
#[cfg(feature = "hosting")]
mod strangers;
#[cfg(feature = "hosting")]
mod tls;
