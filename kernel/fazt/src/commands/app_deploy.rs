//! `fazt app deploy DIR`: puts a directory online, and prints the address where it answers.
//!
//! A directory goes over by hashes ([`crate::delta`]): only what the node does not have is sent. An
//! archive that somebody made goes over whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::delta::{Deploy, Meter};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::run::Run;
use crate::signals::Signals;
use crate::site::{self, Site};
use crate::transport::{self, Request, Transport};
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
        .argument(Argument::switch("include_private", "Sends private/ too, which stays here else"))
        .argument(Argument::switch(
            "preview",
            "Puts it at an address of its own; the app goes on serving what it serves",
        ))
        .argument(Argument::option("message", "What is new, for the list of deployments"))
}

/// What came of a deploy.
struct Outcome {
    /// What the node answered.
    data: Value,
    /// What is said about the files.
    files: String,
    /// Numbers of this side, for `--format json`.
    counts: Map<String, Value>,
}

async fn deploy(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let path = PathBuf::from(arguments.text("dir").unwrap_or_default());
    let name = match arguments.text("name") {
        Some(name) => name.to_owned(),
        None => default_name(&path)?,
    };
    let began = Instant::now();
    let source = Source::at(run, &path, &arguments)?;
    let transport = run.connect().await?;
    let meter = Meter::default();
    let mut signals = Signals::new()?;
    let outcome = tokio::select! {
        outcome = source.send(run, transport.as_ref(), &name, &arguments, &meter) => outcome,
        () = signals.next() => Err(stopped(&meter)),
    };
    meter.shows(None);
    let is_serving = transport.is_serving();
    let closed = transport.close().await;
    let Outcome { mut data, files, counts } = outcome?;
    closed?;

    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    for warning in data.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        run.output.note(&format!("warning: {}", output::plain_text(warning)));
    }
    if run.output.format == Format::Json {
        if let Some(data) = data.as_object_mut() {
            data.extend(counts);
            data.insert("took_ms".to_owned(), Value::from(took_ms));
        }
        return run.output.result(&data, &[], None);
    }
    let is_preview = arguments.is_on("preview");
    let place = data.get(if is_preview { "preview_url" } else { "url" });
    run.output.line(&sentence(&data, place, took_ms, &files))?;
    let undo = ["app".to_owned(), "rollback".to_owned()];
    if run.catalogue.entry(&undo).is_some() && is_undoable(&data) && !is_preview {
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

/// Somebody asked for the end.
fn stopped(meter: &Meter) -> Failure {
    if meter.is_activating() {
        Failure::failed("stopped while the node made it live")
            .hint("fazt app deployments says whether it did")
    } else {
        Failure::failed("stopped: the app serves what it served before")
            .hint("the same command goes on where this one stopped")
    }
}

/// What is deployed.
enum Source {
    Directory(Site),
    Archive(File),
}

impl Source {
    fn at(run: &mut Run<'_, '_>, path: &Path, arguments: &Arguments) -> Result<Self, Failure> {
        let shown = path.display();
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::not_found(format!("there is no directory {shown}")));
            }
            Err(error) => return Err(Failure::failed(format!("{shown} cannot be read: {error}"))),
        };
        if metadata.is_file() {
            return archive(path, arguments).map(Self::Archive);
        }
        let site = Site::walk(path, arguments.is_on("include_private"))?;
        for warning in site.warnings() {
            run.output.note(&format!("warning: {warning}"));
        }
        if site.files.is_empty() {
            return Err(Failure::usage(format!("there is nothing to deploy in {shown}"))
                .hint("build the site first, or name the directory that holds index.html"));
        }
        Ok(Self::Directory(site))
    }

    async fn send(
        self,
        run: &Run<'_, '_>,
        node: &dyn Transport,
        name: &str,
        arguments: &Arguments,
        meter: &Meter,
    ) -> Result<Outcome, Failure> {
        match self {
            Self::Directory(site) => directory(run, node, name, arguments, meter, site).await,
            Self::Archive(file) => {
                let mut fields = vec![("site_name", name)];
                if arguments.is_on("spa") {
                    fields.push(("spa", "true"));
                }
                let progress = |total| run.output.progress("sending", total);
                let upload = Upload::form(&fields, &format!("{name}.zip"), file, progress)?;
                let content_type = upload.content_type().to_owned();
                let request = Request::new(Method::Post, "/api/deploy")
                    .body(&content_type, upload.into_body());
                let data = transport::ask(node, request).await?.data;
                let files = data.get("file_count").and_then(Value::as_u64);
                let files = files.map(output::files_text).unwrap_or_default();
                Ok(Outcome { data, files, counts: Map::new() })
            }
        }
    }
}

fn archive(path: &Path, arguments: &Arguments) -> Result<File, Failure> {
    let shown = path.display();
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("zip")) {
        return Err(Failure::usage(format!("{shown} is a file, and only .zip files are sent"))
            .hint("name the directory that holds it"));
    }
    if let Some(flag) = ["preview", "include_private", "message"]
        .into_iter()
        .find(|name| arguments.is_on(name) || arguments.text(name).is_some())
    {
        let flag = flag.replace('_', "-");
        return Err(Failure::usage(format!("--{flag} is for directories, and {shown} is a file")));
    }
    File::open(path).map_err(|error| Failure::failed(format!("{shown} cannot be read: {error}")))
}

async fn directory(
    run: &Run<'_, '_>,
    node: &dyn Transport,
    name: &str,
    arguments: &Arguments,
    meter: &Meter,
    site: Site,
) -> Result<Outcome, Failure> {
    let progress = std::sync::Mutex::new((run.output.progress("reading", site.size_bytes), 0));
    let hashing = tokio::task::spawn_blocking(move || {
        let done = |bytes| {
            let mut shown = progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            shown.1 += bytes;
            let done = shown.1;
            shown.0.at(done);
        };
        site::digests(&site.files, &done).map(|contents| (site, contents))
    });
    let (site, contents) = hashing
        .await
        .map_err(|error| Failure::failed(format!("reading the files broke off: {error}")))??;

    let mut options = Map::new();
    for flag in ["spa", "preview", "include_private"] {
        if arguments.is_on(flag) {
            options.insert(flag.to_owned(), Value::Bool(true));
        }
    }
    if let Some(message) = arguments.text("message") {
        options.insert("source".to_owned(), json!({"message": message}));
    }
    let deploy = Deploy { app: name, files: &site.files, contents: &contents, options };
    let begins = |files, bytes| {
        let doing = format!("sending {}", output::files_text(files as u64));
        meter.shows(Some(run.output.progress(&doing, bytes)));
    };
    let deployed = deploy.run(node, meter, begins).await?;
    let (all, new, sent) = (site.files.len(), deployed.new_files, meter.sent_bytes());
    let files = match new {
        0 => format!("{}, none new", output::files_text(all as u64)),
        new => {
            format!("{new} of {} new, {}", output::files_text(all as u64), output::bytes_text(sent))
        }
    };
    let mut counts = Map::new();
    counts.insert("new_files".to_owned(), Value::from(new));
    counts.insert("sent_bytes".to_owned(), Value::from(sent));
    Ok(Outcome { data: deployed.data, files, counts })
}

pub(super) fn default_name(path: &Path) -> Result<String, Failure> {
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

/// `https://blog.example.com  (v7, 214 ms, 3 of 41 files new, 12.0 KiB)`.
fn sentence(data: &Value, place: Option<&Value>, took_ms: u64, files: &str) -> String {
    let mut facts = Vec::new();
    if let Some(version) = data.get("version").filter(|version| !version.is_null()) {
        facts.push(format!("v{}", output::plain_text(version)));
    }
    facts.push(format!("{took_ms} ms"));
    facts.push(files.to_owned());
    let place = place.filter(|place| place.as_str().is_some_and(|place| !place.is_empty()));
    let place = place.or_else(|| data.get("site")).unwrap_or(&Value::Null);
    format!("{}  ({})", output::plain_text(place), facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_the_node_says() {
        let data = json!({"site": "blog", "url": "https://blog.example.com", "version": 7});
        assert_eq!(
            sentence(&data, data.get("url"), 214, "3 of 41 files new, 1.2 MiB"),
            "https://blog.example.com  (v7, 214 ms, 3 of 41 files new, 1.2 MiB)"
        );
        assert_eq!(sentence(&json!({"site": "blog"}), None, 3, "1 file"), "blog  (3 ms, 1 file)");
    }
}
