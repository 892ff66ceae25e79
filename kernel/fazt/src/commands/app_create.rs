//! `fazt app create NAME`: an empty app on the node; with `--template`, a directory to start from.
//!
//! A template is written by this program alone: no node is asked, nothing is fetched, and nothing that is
//! there already is touched.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::Format;
use crate::run::Run;
use crate::site;
use crate::templates::{ALL, Build, Template};
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(create(run, arguments)) },
};

fn command() -> Command {
    Command::new("app create")
        .about(
            "Makes an empty app on the node, with an alias of its name; with --template, a directory \
             to start from, on this machine",
        )
        .example("app create blog --template todo")
        .argument(Argument::required("name", "The name and alias"))
        .argument(Argument::optional("dir", "Where the template's files go; else NAME"))
        .argument(Argument::option("template", "What to start from: see fazt app templates"))
}

async fn create(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("name").unwrap_or_default();
    let directory = arguments.text("dir").map(PathBuf::from);
    match arguments.text("template") {
        Some(template) => start(run, name, directory, template),
        None if directory.is_some() => {
            Err(Failure::usage("a directory is for the files of a template, and none is named")
                .hint("say which with --template; fazt app templates lists them"))
        }
        None => register(run, name).await,
    }
}

/// An empty app, on the node.
async fn register(run: &mut Run<'_, '_>, name: &str) -> Result<(), Failure> {
    let transport = run.connect().await?;
    let request = Request::new(Method::Post, "/api/apps").json(&json!({"name": name}));
    let asked = transport::ask(transport.as_ref(), request).await;
    let closed = transport.close().await;
    let envelope = asked?;
    closed?;
    run.output.result(&envelope.data, &[], Some("{name} is there: {id}, at {urls}"))
}

/// The files of a template, on this machine.
fn start(
    run: &mut Run<'_, '_>,
    name: &str,
    directory: Option<PathBuf>,
    template: &str,
) -> Result<(), Failure> {
    if run.to.is_some() {
        return Err(Failure::usage(
            "the files of a template are written on this machine, and --to names a node",
        ));
    }
    let template = Template::find(template).ok_or_else(|| unknown(template))?;
    let label = site::label(name);
    if label != name || name.is_empty() {
        let failure = Failure::usage(format!(
            "an app's name is a label of a host name (a-z, 0-9 and -), and {name:?} is not"
        ));
        return Err(match &*label {
            "" => failure,
            label => failure.hint(format!("call it {label}")),
        });
    }
    let directory = directory.unwrap_or_else(|| PathBuf::from(name));
    let shown = directory.display().to_string();
    claim(&directory)?;
    let mut paths = Vec::new();
    for (path, text) in template.files(name) {
        write(&directory.join(path), &text)?;
        paths.push(path);
    }
    let count = paths.len();
    let data = json!({
        "name": name, "template": template.name, "directory": shown, "files": paths,
    });
    let says = format!("{shown}: {count} files of the template {}", template.name);
    if run.output.format == Format::Json {
        return run.output.result(&data, &[], None);
    }
    run.output.line(&says)?;
    for next in next_steps(template.build, name, &shown) {
        run.output.note(&format!("next: {next}"));
    }
    Ok(())
}

/// What to type next.
fn next_steps(build: Build, name: &str, directory: &str) -> Vec<String> {
    match build {
        Build::Nothing => {
            // A deploy takes the name of the directory unless it is told another.
            let is_named = Path::new(directory).file_name().is_some_and(|last| last == name);
            let named = if is_named { String::new() } else { format!(" --name {name}") };
            vec![format!("fazt app dev {directory}"), format!("fazt app deploy {directory}{named}")]
        }
        Build::Npm => vec![
            format!("cd {directory} && npm install && npm run build"),
            format!("fazt app deploy dist --name {name}"),
        ],
    }
}

fn unknown(template: &str) -> Failure {
    let names: Vec<_> = ALL.iter().map(|template| template.name).collect();
    let meant = match Template::like(template) {
        Some(like) => format!("did you mean {}? ", like.name),
        None => String::new(),
    };
    Failure::usage(format!("there is no template {template}"))
        .hint(format!("{meant}there are {}", names.join(", ")))
}

/// Makes the directory, unless it is there and empty.
fn claim(directory: &Path) -> Result<(), Failure> {
    let shown = directory.display();
    let failed =
        |error: std::io::Error| Failure::failed(format!("{shown} cannot be made: {error}"));
    if directory.is_dir() {
        let mut entries = fs::read_dir(directory)
            .map_err(|error| Failure::failed(format!("{shown} cannot be read: {error}")))?;
        if entries.next().is_some() {
            return Err(Failure::failed(format!("{shown} is not empty, and nothing was written"))
                .hint("name another directory after the name of the app"));
        }
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(failed)
}

/// Writes a new file.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        // Never over something that is there, whoever put it there a moment ago.
        fs::File::create_new(file)?.write_all(text.as_bytes())
    };
    written().map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", file.display()))
            .hint("what was written before it is still there")
    })
}
