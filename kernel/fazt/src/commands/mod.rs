//! Commands that need code on this side: they read directories, write files or run the node.
//!
//! One file each, named after the words. All others are data in manifests.

mod app_create;
mod app_deploy;
mod app_dev;
mod app_logs;
mod app_pull;
mod app_templates;
mod app_validate;
mod cartridge_backup;
mod cartridge_restore;
mod completions;
mod first_run;
mod library;
mod man;
mod peer_add;
mod peer_default;
mod peer_list;
mod peer_remove;
mod plugin_add;
mod plugin_check;
mod secret_input;
mod secret_set;
mod server_init;
mod server_start;
mod serving;
mod storage_export;
mod storage_import;
mod version;

use std::pin::Pin;

use fazt_sdk::command::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;

pub(crate) use first_run::first_run;

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
pub(crate) const ALL: &[ClientCommand] = &[
    app_create::COMMAND,
    app_deploy::COMMAND,
    app_dev::COMMAND,
    app_logs::COMMAND,
    app_pull::COMMAND,
    app_templates::COMMAND,
    app_validate::COMMAND,
    cartridge_backup::COMMAND,
    cartridge_restore::COMMAND,
    completions::COMMAND,
    man::COMMAND,
    peer_add::COMMAND,
    peer_default::COMMAND,
    peer_list::COMMAND,
    peer_remove::COMMAND,
    plugin_add::COMMAND,
    plugin_check::COMMAND,
    secret_set::COMMAND,
    server_init::COMMAND,
    server_start::COMMAND,
    storage_export::DOCS,
    storage_export::KEYS,
    storage_export::OBJECT,
    storage_import::DOCS,
    storage_import::KEYS,
    storage_import::OBJECT,
    version::COMMAND,
];
