//! `fazt cartridge restore FILE`: puts a backup in place of a cartridge that nothing holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fazt_kernel::cartridge::{Cartridge, CartridgeError, Existing};
use fazt_kernel::clock::{Clock, SystemClock};
use fazt_sdk::command::{Argument, Column, Command, Format};
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};
use crate::run::Run;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(restore(run, arguments)) },
};

fn command() -> Command {
    Command::new("cartridge restore")
        .about("Checks a backup and puts it in the place of the cartridge; the node must not run")
        .example("cartridge restore backup.db --db ~/.fazt/data.db")
        .argument(Argument::required("file", "The backup, or the cartridge of a stopped node"))
        .argument(Argument::switch(
            "replace",
            "Sets the present cartridge aside, as NAME.before-restore",
        ))
}

async fn restore(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let from = PathBuf::from(arguments.text("file").unwrap_or_default());
    let to = run.cartridge()?;
    let existing = if arguments.is_on("replace") { Existing::SetAside } else { Existing::Refuse };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Cartridge::restore(&from, &to, existing, &clock)
        .map_err(|error| failure(&error, &from, &to))?;

    let size_bytes = std::fs::metadata(&to).map_or(0, |metadata| metadata.len());
    let data = json!({"cartridge": to, "from": from, "size_bytes": size_bytes});
    let column = |title: &str, field: &str, format| Column {
        title: title.to_owned(),
        field: field.to_owned(),
        format,
    };
    let columns = [
        column("restored", "cartridge", Format::Plain),
        column("from", "from", Format::Plain),
        column("size", "size_bytes", Format::Bytes),
    ];
    run.output.result(&data, &columns, None)?;
    run.output.note(&format!("start it: fazt server start --db {}", to.display()));
    Ok(())
}

fn failure(error: &CartridgeError, from: &Path, to: &Path) -> Failure {
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        CartridgeError::Missing { .. } => failure(Exit::NotFound),
        CartridgeError::Exists { path } if path == to => failure(Exit::Failed).hint(format!(
            "set it aside: fazt cartridge restore {} --replace --db {}",
            from.display(),
            to.display()
        )),
        CartridgeError::Locked { path, .. } if path == from => failure(Exit::Failed).hint(format!(
            "a file that is in use is no backup; take one: fazt cartridge backup FILE --db {}",
            from.display()
        )),
        CartridgeError::Locked { .. } => failure(Exit::Failed).hint("stop that process first"),
        _ => failure(Exit::Failed),
    }
}
