//! Commands that need code on this side: they read directories, write files or run the node.
//!
//! One file each, named after the words. All others are data in manifests.

mod app_deploy;
mod cartridge_restore;
mod secret_input;
mod version;

use std::pin::Pin;

use fazt_sdk::command::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;

/// A command with code in this crate.
#[derive(Debug)]
pub(crate) struct ClientCommand {
    /// Its words, arguments and example.
    pub(crate) command: fn() -> Command,
    /// Runs it.
    pub(crate) run: for<'r> fn(&'r mut Run<'_, '_>, Arguments) -> Running<'r>,
}

/// A running command.
pub(crate) type Running<'r> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'r>>;

/// All of them.
pub(crate) const ALL: &[ClientCommand] =
    &[app_deploy::COMMAND, cartridge_restore::COMMAND, version::COMMAND];

pub(crate) async fn first_run(_run: &mut Run<'_, '_>) -> Result<(), Failure> {
    Ok(())
}
