//! `fazt storage docs export`, `storage kv export` and `storage objects get`: what a node keeps for an app, into a file.

use std::path::PathBuf;

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::output;
use crate::received::{Partial, refuse_existing};
use crate::run::Run;
use crate::transport::{self, Request, Transport};

pub(super) const DOCS: ClientCommand = ClientCommand {
    command: docs,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let target = docs_target(&arguments);
            receive(run, &target, arguments.text("file")).await
        })
    },
};

pub(super) const KEYS: ClientCommand = ClientCommand {
    command: keys,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let (prefix, user) =
                (option(&arguments, "prefix", '&'), option(&arguments, "user", '&'));
            let target = keys_target(&arguments, "export") + &prefix + &user;
            receive(run, &target, arguments.text("file")).await
        })
    },
};

pub(super) const OBJECT: ClientCommand = ClientCommand {
    command: object,
    run: |run, arguments| -> Running<'_> {
        Box::pin(async move {
            let target = object_target(&arguments);
            receive(run, &target, arguments.text("file")).await
        })
    },
};

fn docs() -> Command {
    Command::new("storage docs export")
        .about("Writes the documents of a collection as JSON lines or CSV, the oldest first")
        .example("storage docs export blog posts posts.csv")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::required("collection", "The collection"))
        .argument(Argument::optional(
            "file",
            "The file, which must not exist yet; CSV when it ends in .csv. Without one, standard output",
        ))
        .argument(Argument::switch("csv", "As CSV, whatever the file is called"))
        .argument(Argument::option("query", "Only documents that satisfy this, as JSON"))
        .argument(Argument::option("user", "Those of this user; without it, those that are shared"))
}

fn keys() -> Command {
    Command::new("storage kv export")
        .about("Writes keys, their values and when they expire as JSON lines or CSV, in the order of the keys")
        .example("storage kv export blog values.jsonl")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::optional(
            "file",
            "The file, which must not exist yet; CSV when it ends in .csv. Without one, standard output",
        ))
        .argument(Argument::switch("csv", "As CSV, whatever the file is called"))
        .argument(Argument::option("prefix", "Only keys that start with this"))
        .argument(Argument::option("user", "Those of this user; without it, those that are shared"))
}

fn object() -> Command {
    Command::new("storage objects get")
        .about("Writes the content of an object")
        .example("storage objects get blog photos/cat.jpg cat.jpg")
        .argument(Argument::required("app", "The app: its id or an alias"))
        .argument(Argument::required("path", "The path of the object"))
        .argument(Argument::optional(
            "file",
            "The file, which must not exist yet. Without one, standard output",
        ))
        .argument(Argument::option("user", "That of this user; without it, the one that is shared"))
}

/// Where a collection is, for what reads and for what writes it; `way` is `export` or `import`.
pub(super) fn docs_way(arguments: &Arguments, way: &str) -> String {
    let text = |name| encoded(arguments.text(name).unwrap_or_default());
    let format = format_of(arguments);
    format!("/api/storage/{}/{way}/{}?format={format}", text("app"), text("collection"))
}

/// Where the keys are, in the same way.
pub(super) fn keys_target(arguments: &Arguments, way: &str) -> String {
    let app = encoded(arguments.text("app").unwrap_or_default());
    format!("/api/storage/{app}/kv/{way}?format={}", format_of(arguments))
}

fn format_of(arguments: &Arguments) -> &'static str {
    let is_csv = arguments.is_on("csv")
        || arguments.text("file").is_some_and(|file| file.to_ascii_lowercase().ends_with(".csv"));
    if is_csv { "csv" } else { "jsonl" }
}

/// Where an object is.
pub(super) fn object_target(arguments: &Arguments) -> String {
    let path = arguments.text("path").unwrap_or_default();
    let path: Vec<_> = path.split('/').map(encoded).collect();
    let app = encoded(arguments.text("app").unwrap_or_default());
    format!("/api/storage/{app}/blobs/{}{}", path.join("/"), option(arguments, "user", '?'))
}

fn docs_target(arguments: &Arguments) -> String {
    let (query, user) = (option(arguments, "query", '&'), option(arguments, "user", '&'));
    docs_way(arguments, "export") + &query + &user
}

/// An option as a part of the query, when it was given.
pub(super) fn option(arguments: &Arguments, name: &str, before: char) -> String {
    let pair = |value| format!("{before}{name}={}", encoded(value));
    arguments.text(name).map(pair).unwrap_or_default()
}

async fn receive(run: &mut Run<'_, '_>, target: &str, file: Option<&str>) -> Result<(), Failure> {
    let file = file.filter(|file| *file != "-").map(PathBuf::from);
    if let Some(file) = &file {
        refuse_existing(file)?;
    }
    let transport = run.connect().await?;
    let received = answer(run, transport.as_ref(), target, file.as_ref()).await;
    let closed = transport.close().await;
    let size_bytes = received?;
    closed?;
    let Some(file) = file else { return Ok(()) };
    let says = format!("{}: {}", file.display(), output::bytes_text(size_bytes));
    run.output.result(&json!({"file": file, "size_bytes": size_bytes}), &[], Some(&says))
}

async fn answer(
    run: &mut Run<'_, '_>,
    transport: &dyn Transport,
    target: &str,
    file: Option<&PathBuf>,
) -> Result<u64, Failure> {
    let reply = transport.send(Request::new(Method::Get, target)).await?;
    if reply.status != 200 {
        let body = transport::collect(reply.body).await?;
        return Err(Failure::of_reply(reply.status, &body, transport.place()));
    }
    if let Some(file) = file {
        let mut partial = Partial::new(file)?;
        let size_bytes = partial.receive(reply.body, None).await?;
        partial.publish(file)?;
        return Ok(size_bytes);
    }
    let (mut body, mut size_bytes) = (reply.body, 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        size_bytes += chunk.len() as u64;
        run.output.bytes(&chunk)?;
    }
    Ok(size_bytes)
}
