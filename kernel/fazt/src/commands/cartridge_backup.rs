//! `fazt cartridge backup FILE`: one consistent copy, also of a node that runs or is elsewhere.

use std::path::{Path, PathBuf};

use fazt_sdk::command::{Argument, Column, Command, Format};
use fazt_sdk::http::Method;
use hyper::body::Body as _;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::received::{Partial, refuse_existing};
use crate::run::Run;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(backup(run, arguments)) },
};

fn command() -> Command {
    Command::new("cartridge backup")
        .about("Writes one consistent copy of the cartridge, while the node goes on")
        .example("cartridge backup backup.db")
        .argument(Argument::required("file", "The copy; it must not exist yet"))
}

async fn backup(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let file = PathBuf::from(arguments.text("file").unwrap_or_default());
    refuse_existing(&file)?;
    let transport = run.connect().await?;
    let copied = copy(run, transport.as_ref(), &file).await;
    let closed = transport.close().await;
    let size_bytes = copied?;
    closed?;

    let data = json!({"backup": file, "size_bytes": size_bytes});
    let column = |title: &str, field: &str, format| Column {
        title: title.to_owned(),
        field: field.to_owned(),
        format,
    };
    let columns =
        [column("backup", "backup", Format::Plain), column("size", "size_bytes", Format::Bytes)];
    run.output.result(&data, &columns, None)?;
    run.output.note(&format!("bring it back: fazt cartridge restore {}", file.display()));
    Ok(())
}

async fn copy(
    run: &Run<'_, '_>,
    transport: &dyn transport::Transport,
    file: &Path,
) -> Result<u64, Failure> {
    let reply = transport.send(Request::new(Method::Get, BACKUP)).await?;
    if reply.status != 200 {
        let body = transport::collect(reply.body).await?;
        return Err(Failure::of_reply(reply.status, &body, transport.place()));
    }
    let total = reply.body.size_hint().exact();
    let progress = total.map(|total| run.output.progress("receiving", total));
    let mut partial = Partial::new(file)?;
    let size_bytes = partial.receive(reply.body, progress).await?;
    if total.is_some_and(|total| total != size_bytes) {
        return Err(Failure::unreachable("the copy broke off, and nothing was kept"));
    }
    partial.publish(file)?;
    Ok(size_bytes)
}

/// Where a node answers with a copy of its cartridge.
const BACKUP: &str = "/api/system/backup";
