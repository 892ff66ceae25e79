//! `fazt app deploy DIR`: packs a directory, sends it, and prints the address where it answers.

use std::fs::File;
use std::path::Path;

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::Value;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::run::Run;
use crate::site::{self, Site};
use crate::transport::{self, Envelope, Request};
use crate::upload::Upload;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(deploy(run, arguments)) },
};

fn command() -> Command {
    Command::new("app deploy")
        .about("Puts a directory online as an app: all of it, or nothing when something is wrong")
        .example("app deploy ./site --name blog")
        .argument(Argument::required("dir", "The directory, or a .zip file"))
        .argument(Argument::option("name", "The app's name; else the directory's"))
        .argument(Argument::switch("spa", "Paths without an ending answer with index.html"))
        .argument(Argument::switch(
            "include_private",
            "Sends private/ also when .gitignore leaves it out",
        ))
}

async fn deploy(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let path = Path::new(arguments.text("dir").unwrap_or_default());
    let name = match arguments.text("name") {
        Some(name) => name.to_owned(),
        None => default_name(path)?,
    };
    let archive = archive(run, path, arguments.is_on("include_private"))?;

    let transport = run.connect().await?;
    let began = tokio::time::Instant::now();
    let mut fields = vec![("site_name", name.as_str())];
    if arguments.is_on("spa") {
        fields.push(("spa", "true"));
    }
    let upload = Upload::form(&fields, &format!("{name}.zip"), archive, |total| {
        run.output.progress("sending", total)
    })?;
    let content_type = upload.content_type().to_owned();
    let request = Request::new(Method::Post, "/api/deploy").body(&content_type, upload.into_body());
    let asked = transport::ask(transport.as_ref(), request).await;
    let is_serving = transport.is_serving();
    let closed = transport.close().await;
    let Envelope { data, .. } = asked?;
    closed?;

    if run.output.format == Format::Json {
        return run.output.result(&data, &[], None);
    }
    run.output.line(&sentence(&data, began.elapsed().as_millis()))?;
    let undo = ["app".to_owned(), "rollback".to_owned()];
    if run.catalogue.entry(&undo).is_some() && is_undoable(&data) {
        // With `--to` of its own, rollback takes the general one in front.
        run.output.note(&format!("undo: fazt{} app rollback {name}", run.same_place()));
    }
    if !is_serving {
        run.output.note(&format!(
            "no node serves this cartridge now: fazt server start{}",
            run.same_place()
        ));
    }
    Ok(())
}

/// A first deploy has nothing before it to go back to.
fn is_undoable(data: &Value) -> bool {
    data.get("version").and_then(Value::as_u64).is_none_or(|version| version > 1)
}

/// The archive to send, packed here or given as it is.
fn archive(run: &mut Run<'_, '_>, path: &Path, include_private: bool) -> Result<File, Failure> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::not_found(format!("there is no directory {shown}")));
        }
        Err(error) => return Err(Failure::failed(format!("{shown} cannot be read: {error}"))),
    };
    if metadata.is_file() {
        if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("zip")) {
            return Err(Failure::usage(format!("{shown} is a file, and only .zip files are sent"))
                .hint("name the directory that holds it"));
        }
        return File::open(path)
            .map_err(|error| Failure::failed(format!("{shown} cannot be read: {error}")));
    }
    let site = Site::walk(path, include_private)?;
    for warning in site.warnings() {
        run.output.note(&format!("warning: {warning}"));
    }
    if site.files.is_empty() {
        return Err(Failure::usage(format!("there is nothing to deploy in {shown}"))
            .hint("build the site first, or name the directory that holds index.html"));
    }
    let mut progress = run.output.progress("packing", site.size_bytes);
    let archive = site.pack(|done| progress.at(done))?;
    drop(progress);
    run.output.detail(&format!(
        "packed {} out of {} files",
        output::bytes_text(site.size_bytes),
        site.files.len()
    ));
    Ok(archive)
}

fn default_name(path: &Path) -> Result<String, Failure> {
    // A path that does not exist has no name yet; its absence is reported with the path.
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = if whole.is_file() { whole.file_stem() } else { whole.file_name() };
    let name = site::label(&name.unwrap_or_default().to_string_lossy());
    if name.is_empty() {
        return Err(Failure::usage(format!("{} gives the app no name", path.display()))
            .hint(format!("fazt app deploy {} --name NAME", path.display())));
    }
    Ok(name)
}

/// `https://blog.example.com  (v7, 214 ms, 41 files, 1.2 MiB)`, of what the node says.
fn sentence(data: &Value, took_ms: u128) -> String {
    let mut facts = Vec::new();
    if let Some(version) = data.get("version").filter(|version| !version.is_null()) {
        facts.push(format!("v{}", output::plain_text(version)));
    }
    facts.push(format!("{took_ms} ms"));
    match data.get("file_count").and_then(Value::as_u64) {
        Some(1) => facts.push("1 file".to_owned()),
        Some(count) => facts.push(format!("{count} files")),
        None => {}
    }
    if let Some(size) = data.get("size_bytes").and_then(Value::as_u64) {
        facts.push(output::bytes_text(size));
    }
    let place = data.get("url").or_else(|| data.get("site")).unwrap_or(&Value::Null);
    format!("{}  ({})", output::plain_text(place), facts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_says_what_the_node_says() {
        let data = json!({"site": "blog", "url": "https://blog.example.com", "version": 7,
            "file_count": 41, "size_bytes": 1_258_291});
        assert_eq!(
            sentence(&data, 214),
            "https://blog.example.com  (v7, 214 ms, 41 files, 1.2 MiB)"
        );
        assert_eq!(sentence(&json!({"site": "blog", "file_count": 1}), 3), "blog  (3 ms, 1 file)");
    }
}
