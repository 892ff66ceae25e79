//! `fazt app validate DIR`: says what a deploy would say, and changes nothing anywhere.
//!
//! The rules are the node's. So the directory is deployed, in this process, to a node on a cartridge
//! that is thrown away: what it refuses or warns about is what any node of this version does.

use std::path::PathBuf;

use fazt_kernel::{Kernel, Mode};
use fazt_sdk::command::{Argument, Command};
use serde_json::{Map, Value, json};

use super::app_deploy::default_name;
use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::delta::{Deploy, Meter};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::plugins;
use crate::run::Run;
use crate::site::{self, Site};
use crate::transport::Inside;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(validate(run, arguments)) },
};

fn command() -> Command {
    Command::new("app validate")
        .about("Says what a deploy of a directory would say; nothing is sent anywhere")
        .example("app validate ./site")
        .argument(Argument::required("dir", "The directory"))
        .argument(Argument::switch("include_private", "With private/, which stays here else"))
}

async fn validate(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    if run.to.is_some() {
        return Err(Failure::usage(
            "a directory is checked on this machine, and --to names a node",
        ));
    }
    let directory = PathBuf::from(arguments.text("dir").unwrap_or_default());
    let shown = directory.display();
    if !directory.is_dir() {
        return Err(Failure::not_found(format!("there is no directory {shown}")));
    }
    let include_private = arguments.is_on("include_private");
    let site = Site::walk(&directory, include_private)?;
    if site.files.is_empty() {
        return Err(Failure::failed(format!("there is nothing to deploy in {shown}"))
            .hint("build the site first, or name the directory that holds index.html"));
    }
    let name = default_name(&directory).unwrap_or_else(|_| "site".to_owned());
    let mut found = site.warnings();
    let (files, size_bytes) = (site.files.len(), site.size_bytes);
    let answer = try_out(&name, site, include_private).await;
    if let Ok(answer) = &answer {
        let more = answer.get("warnings").and_then(Value::as_array);
        found.extend(more.into_iter().flatten().map(output::plain_text));
    }
    if run.output.format != Format::Json {
        for warning in &found {
            run.output.note(&format!("warning: {warning}"));
        }
    }
    answer?;
    let data = json!({"files": files, "size_bytes": size_bytes, "warnings": found});
    let (count, bytes) = (found.len(), output::bytes_text(size_bytes));
    let warnings = match count {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    };
    let files = output::files_text(files as u64);
    let says = format!("can be deployed: {files}, {bytes}, {warnings}");
    run.output.result(&data, &[], Some(&says))
}

/// What a node answers to a deploy of `site`.
async fn try_out(name: &str, site: Site, include_private: bool) -> Result<Value, Failure> {
    let home = tempfile::Builder::new()
        .prefix("fazt-check-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("there is no place for the check: {error}")))?;
    let cartridge = home.path().join("check.db");
    let mut options = plugins::options(cartridge, Mode::Serve);
    options.create = true;
    let kernel = Kernel::boot(options).await?;
    let answer = async {
        let hashing = tokio::task::spawn_blocking(move || {
            site::digests(&site.files, &|_| ()).map(|contents| (site, contents))
        });
        let (site, contents) = hashing
            .await
            .map_err(|error| Failure::failed(format!("reading the files broke off: {error}")))??;
        let mut options = Map::new();
        if include_private {
            options.insert("include_private".to_owned(), Value::Bool(true));
        }
        let deploy = Deploy { app: name, files: &site.files, contents: &contents, options };
        deploy.run(&Inside::of(&kernel), &Meter::default(), |_, _| ()).await
    };
    let answer = answer.await;
    kernel.stop().await?;
    Ok(answer?.data)
}
