//! `fazt plugin add FILE`: puts a library into the cartridge.

use fazt_sdk::command::{Argument, Command};

use super::{ClientCommand, Running, library};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> {
        Box::pin(library::send(run, arguments, "/api/plugins"))
    },
};

fn command() -> Command {
    Command::new("plugin add")
        .about("Puts a plugin's library into the cartridge and starts it; it is trusted code")
        .example("plugin add ./libvisits.so")
        .argument(Argument::required("file", "The library"))
}
