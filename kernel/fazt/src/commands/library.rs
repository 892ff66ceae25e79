//! A plugin's library on its way to a node, which answers who it is.

use std::fs::File;
use std::io;
use std::path::Path;

use fazt_sdk::command::{Column, Command};
use fazt_sdk::http::Method;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;
use crate::transport::{self, Request};
use crate::upload::Upload;

/// Sends the library that the argument `file` names to `path`, and prints the answer.
pub(super) async fn send(
    run: &mut Run<'_, '_>,
    arguments: Arguments,
    path: &str,
) -> Result<(), Failure> {
    let library = Path::new(arguments.text("file").unwrap_or_default());
    let file = open(library)?;
    let transport = run.connect().await?;
    let upload = Upload::whole(file, |total| run.output.progress("sending", total))?;
    let content_type = upload.content_type().to_owned();
    let request = Request::new(Method::Post, path).body(&content_type, upload.into_body());
    let asked = transport::ask(transport.as_ref(), request).await;
    let closed = transport.close().await;
    let envelope = asked?;
    closed?;
    run.output.result(&envelope.data, &columns(), None)
}

fn open(library: &Path) -> Result<File, Failure> {
    let shown = library.display();
    let file = File::open(library).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {shown}")),
        _ => Failure::failed(format!("{shown} cannot be read: {error}")),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) | Err(_) => Err(Failure::usage(format!("{shown} is no file"))),
    }
}

fn columns() -> Vec<Column> {
    Command::new("plugin")
        .column("name", "name")
        .column("version", "version")
        .column("about", "about")
        .columns
}
