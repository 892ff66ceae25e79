//! `fazt completions SHELL`: completion for a shell, from the definition that the parser is built
//! from, with the commands of the plugins that this machine's cartridge holds.

use clap_complete::Shell;
use fazt_sdk::command::{Argument, Command};

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;
use crate::tree;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(print(run, arguments)) },
};

fn command() -> Command {
    Command::new("completions")
        .about("Prints completion for a shell")
        .example("completions bash")
        .argument(Argument::required("shell", "bash, zsh or fish"))
}

async fn print(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("shell").unwrap_or_default();
    let shell = match name {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => {
            return Err(Failure::usage(format!("there is no completion for {name}"))
                .hint("there is one for bash, zsh and fish"));
        }
    };
    let catalogue = run.whole_catalogue().await;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree::parser(&catalogue), "fazt", &mut script);
    run.output.text(&String::from_utf8_lossy(&script))
}
