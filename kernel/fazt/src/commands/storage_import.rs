//! `fazt storage docs import`, `storage kv import` and `storage objects put`: what is in a file, into what a node keeps for an app.

use std::fs::File;

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;

use super::storage_export::{docs_way, keys_target, object_target, option};
use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::Run;
use crate::transport::{self, Request};
use crate::upload::Upload;

pub(super) const DOCS: ClientCommand = ClientCommand {
    command: docs,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let target = docs_way(&arguments, "import") + &option(&arguments, "user", '&');
            let request = (Method::Post, target, "application/octet-stream");
            send(run, request, &arguments, "{imported} documents are in").await
        })
    },
};

pub(super) const KEYS: ClientCommand = ClientCommand {
    command: keys,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let target = keys_target(&arguments, "import") + &option(&arguments, "user", '&');
            let request = (Method::Post, target, "application/octet-stream");
            send(run, request, &arguments, "{imported} keys are in").await
        })
    },
};

pub(super) const OBJECT: ClientCommand = ClientCommand {
    command: object,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let kind = arguments.text("type").unwrap_or("application/octet-stream").to_owned();
            let request = (Method::Put, object_target(&arguments), &*kind);
            send(run, request, &arguments, "{path} is there: {size_bytes} bytes, {content_type}")
                .await
        })
    },
};

fn docs() -> Command {
    Command::new("storage docs import")
        .about("Takes documents in from JSON lines or CSV, each in the place of the one that has its id")
        .example("storage docs import blog posts posts.csv")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::required("collection", "The collection; made when there is none"))
        .argument(Argument::required("file", "The file; CSV when it ends in .csv"))
        .argument(Argument::switch("csv", "As CSV, whatever the file is called"))
        .argument(Argument::option("user", "For this user; without it, shared"))
}

fn keys() -> Command {
    Command::new("storage kv import")
        .about(
            "Takes values under keys in from JSON lines or CSV, each in the place of what is there",
        )
        .example("storage kv import blog values.jsonl")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::required(
            "file",
            "The file, with key, value and expires_at_ms; CSV when it ends in .csv",
        ))
        .argument(Argument::switch("csv", "As CSV, whatever the file is called"))
        .argument(Argument::option("user", "For this user; without it, shared"))
}

fn object() -> Command {
    Command::new("storage objects put")
        .about("Puts a file under a path, in the place of what is there")
        .example("storage objects put blog photos/cat.jpg cat.jpg --type image/jpeg")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::required("path", "The path of the object"))
        .argument(Argument::required("file", "The file"))
        .argument(Argument::option("type", "What it is, such as image/jpeg"))
        .argument(Argument::option("user", "For this user; without it, shared"))
}

async fn send(
    run: &mut Run<'_, '_>,
    (method, target, kind): (Method, String, &str),
    arguments: &Arguments,
    says: &str,
) -> Result<(), Failure> {
    let name = arguments.text("file").unwrap_or_default();
    let file = File::open(name).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("there is no file {name}")),
        _ => Failure::failed(format!("{name} cannot be read: {error}")),
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::usage(format!("{name} is a directory, and a file goes here")));
    }
    let upload = Upload::whole(file, |total| run.output.progress("sending", total))?;
    let request = Request::new(method, target).body(kind, upload.into_body());
    let transport = run.connect().await?;
    let asked = transport::ask(transport.as_ref(), request).await;
    let closed = transport.close().await;
    let envelope = asked?;
    closed?;
    run.output.result(&envelope.data, &[], Some(says))
}
