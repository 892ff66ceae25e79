//! `fazt man DIR`: manual pages, one for each command, from the definition that the parser is built
//! from. For packages.

use std::path::Path;

use fazt_sdk::command::{Argument, Command};
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;
use crate::tree;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(write(run, arguments)) },
};

fn command() -> Command {
    Command::new("man")
        .about("Writes manual pages into a directory, one for each command")
        .example("man ~/.local/share/man/man1")
        .argument(Argument::required("dir", "The directory; it is made when it is not there"))
}

async fn write(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let directory = Path::new(arguments.text("dir").unwrap_or_default());
    let unwritable = |error: std::io::Error| {
        Failure::failed(format!("{} cannot be written: {error}", directory.display()))
    };
    let parser = tree::parser(&run.whole_catalogue().await);
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    clap_mangen::generate_to(parser, directory).map_err(unwritable)?;
    let data = json!({"directory": directory});
    run.output.result(&data, &[], Some("the pages are in {directory}: man fazt-app-deploy"))
}
