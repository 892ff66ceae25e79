//! `fazt peer default NAME`: where commands go that name no node.

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::reach::{LOCAL, PEERS};
use crate::run::Run;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(set(run, arguments)) },
};

fn command() -> Command {
    Command::new("peer default")
        .about("Chooses where commands go that name no node; local keeps them on this machine")
        .example("peer default home")
        .argument(Argument::required("name", "The peer, or local"))
}

async fn set(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("name").unwrap_or_default();
    let book = run.book().await?;
    let request = Request::new(Method::Put, format!("{PEERS}/default"));
    let set = transport::ask(book.as_ref(), request.json(&json!({"name": name}))).await;
    book.close().await?;
    let says = if name == LOCAL {
        "commands that name no node stay on this machine"
    } else {
        "commands that name no node go to {name}"
    };
    run.output.result(&set?.data, &[], Some(says))
}
