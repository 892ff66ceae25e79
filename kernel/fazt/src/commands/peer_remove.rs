//! `fazt peer remove NAME`: forgets a node and its key.

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::reach::PEERS;
use crate::run::Run;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(remove(run, arguments)) },
};

fn command() -> Command {
    Command::new("peer remove")
        .about("Removes a node from the address book of this machine, with its key")
        .example("peer remove home")
        .argument(Argument::required("name", "The peer"))
}

async fn remove(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("name").unwrap_or_default();
    let book = run.book().await?;
    let target = format!("{PEERS}/{}", encoded(name));
    let removed = transport::ask(book.as_ref(), Request::new(Method::Delete, target)).await;
    book.close().await?;
    run.output.result(&removed?.data, &[], Some("removed {name}; its key is still good there"))
}
