//! Deploy archives through the crate's public surface: good ones, hostile ones, damaged ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot build its archive has failed")]

mod good;
mod hostile;
mod mutations;
mod zip_builder;
