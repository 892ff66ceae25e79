//! `fazt app pull APP [DIR]`: brings a deployment's files into a directory.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::{Value, json};

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::output::{self, Format};
use crate::pull::{self, Here, Place, RemoteFile};
use crate::run::Run;
use crate::transport::{self, Request, Transport};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(pull(run, arguments)) },
};

fn command() -> Command {
    Command::new("app pull")
        .about("Brings the files that an app serves into a directory")
        .example("app pull blog ./blog")
        .argument(Argument::required("app", "Id or alias of the app"))
        .argument(Argument::optional("dir", "The directory; else one called as the app"))
        .argument(Argument::option("version", "An older version of the app, or a newer one"))
        .argument(Argument::switch("force", "Overwrites files that differ"))
}

/// What was found out before anything is written.
struct Plan {
    wanted: Vec<(RemoteFile, PathBuf)>,
    changed: Vec<String>,
}

async fn pull(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let app = arguments.text("app").unwrap_or_default().to_owned();
    let directory = PathBuf::from(arguments.text("dir").unwrap_or(&app));
    let transport = run.connect().await?;
    let pulled = bring(run, transport.as_ref(), &app, &directory, &arguments).await;
    let closed = transport.close().await;
    let data = pulled?;
    closed?;
    if run.output.format == Format::Json {
        return run.output.result(&data, &[], None);
    }
    let number = |field: &str| data.get(field).and_then(Value::as_u64).unwrap_or_default();
    let (files, written) = (number("files"), number("written_files"));
    let bytes = output::bytes_text(number("written_bytes"));
    let what = match written {
        0 => format!("{}, all the same already", output::files_text(files)),
        written => format!("{written} of {} written, {bytes}", output::files_text(files)),
    };
    run.output.line(&format!("{}  (v{}, {what})", directory.display(), number("version")))
}

async fn bring(
    run: &Run<'_, '_>,
    node: &dyn Transport,
    app: &str,
    directory: &Path,
    arguments: &Arguments,
) -> Result<Value, Failure> {
    let (id, version) = deployment(node, app, arguments.text("version")).await?;
    let files = pull::files(node, &id).await?;
    let count = files.len();
    let target = directory.to_owned();
    let planned = tokio::task::spawn_blocking(move || plan(&target, files));
    let Plan { wanted, changed } = planned
        .await
        .map_err(|error| Failure::failed(format!("reading the files broke off: {error}")))??;
    if !changed.is_empty() && !arguments.is_on("force") {
        let names = changed[..changed.len().min(NAMES_MAX)].join(", ");
        let names = match changed.len().saturating_sub(NAMES_MAX) {
            0 => names,
            more => format!("{names} and {more} more"),
        };
        return Err(Failure::failed(format!(
            "in {} other files lie in the way: {names}",
            directory.display()
        ))
        .hint("nothing was written; --force overwrites them, another directory keeps them"));
    }
    let written_files = wanted.len();
    let written_bytes: u64 = wanted.iter().map(|(file, _)| file.size_bytes).sum();
    let progress = Mutex::new((run.output.progress("receiving", written_bytes), 0));
    let done = |bytes| {
        let mut shown = progress.lock().unwrap_or_else(PoisonError::into_inner);
        shown.1 += bytes;
        let done = shown.1;
        shown.0.at(done);
    };
    pull::fetch(node, &id, wanted, &done).await?;
    Ok(json!({
        "directory": directory,
        "deployment_id": id,
        "version": version,
        "files": count,
        "written_files": written_files,
        "written_bytes": written_bytes,
    }))
}

/// The deployment of that version, or what the app serves: its id and its version.
async fn deployment(
    node: &dyn Transport,
    app: &str,
    version: Option<&str>,
) -> Result<(String, u64), Failure> {
    let wanted = match version.map(str::parse::<u64>) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(Failure::usage("--version is a number, as in --version 3")),
    };
    let target = format!("/api/apps/{}/deployments", encoded(app));
    let all = transport::ask(node, Request::new(Method::Get, target)).await?.data;
    let number = |row: &Value| row.get("version").and_then(Value::as_u64);
    let is_active = |row: &Value| row.get("active") == Some(&Value::Bool(true));
    let rows = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = rows.iter().find(|row| match wanted {
        Some(version) => number(row) == Some(version),
        None => is_active(row),
    });
    let found = found.and_then(|row| {
        Some((row.get("deployment_id")?.as_str()?.to_owned(), number(row).unwrap_or_default()))
    });
    found.ok_or_else(|| match wanted {
        Some(version) => Failure::not_found(format!("{app} has no version {version} any more"))
            .hint(format!("fazt app deployments {app} lists those that it has")),
        None => Failure::not_found(format!("{app} serves nothing yet"))
            .hint(format!("fazt app deploy ./site --name {app}")),
    })
}

/// Looks at everything before anything is written.
fn plan(directory: &Path, files: Vec<RemoteFile>) -> Result<Plan, Failure> {
    let place = Place::new(directory)?;
    let mut plan = Plan { wanted: Vec::new(), changed: Vec::new() };
    for file in files {
        match place.look(&file)? {
            (_, Here::Same) => {}
            (target, Here::Nothing) => plan.wanted.push((file, target)),
            (target, Here::Other) => {
                plan.changed.push(file.path.clone());
                plan.wanted.push((file, target));
            }
        }
    }
    Ok(plan)
}

/// So many names are shown; the rest is counted.
const NAMES_MAX: usize = 5;
