//! `fazt version`: which program this is.

use fazt_sdk::command::Command;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(print(run, arguments)) },
};

fn command() -> Command {
    Command::new("version").about("Prints the version of this program and what it was built with")
}

async fn print(run: &mut Run<'_, '_>, _: Arguments) -> Result<(), Failure> {
    let plugins: Vec<&str> =
        crate::plugins::built_in().iter().map(|built_in| built_in.name).collect();
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        "plugins": plugins,
    });
    let command = Command::new("version")
        .column("version", "version")
        .column("system", "system")
        .column("plugins", "plugins");
    run.output.result(&data, &command.columns, None)
}
