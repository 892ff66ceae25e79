//! Deploy archives through the crate's public surface, and the plugin inside a kernel.

#![expect(clippy::unwrap_used, reason = "a test that cannot build its archive has failed")]

mod compressed;
mod deploys;
mod garbage;
mod good;
mod hostile;
mod lists;
mod moves;
mod mutations;
mod probe;
mod published;
mod serving;
mod site_rules;
mod uploads;
mod world;
mod zip_builder;
