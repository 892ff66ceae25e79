//! `fazt plugin check FILE`: says whether a node would load a library.

use fazt_sdk::command::{Argument, Command};

use super::{ClientCommand, Running, library};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> {
        Box::pin(library::send(run, arguments, "/api/plugins/check"))
    },
};

fn command() -> Command {
    Command::new("plugin check")
        .about("Says whether this node would load a library, and what it is; nothing is added")
        .example("plugin check ./libvisits.so")
        .argument(Argument::required("file", "The library"))
}
