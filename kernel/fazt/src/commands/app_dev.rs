//! `fazt app dev DIR`: serves a directory while somebody works on it, and loads pages again.
//!
//! A node in this process, on a cartridge that is thrown away, gets a deploy after every change. So
//! the site behaves as it will: the same clean URLs, redirects and headers, and the same refusals. What
//! the app's code says, and where it fails, stands on the terminal as it happens.

use std::path::{Path, PathBuf};
use std::pin::pin;

use fazt_kernel::{Kernel, Mode};
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::app_deploy::default_name;
use super::app_logs;
use super::serving::Serving;
use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::delta::{Deploy, Meter};
use crate::dev::{self, Watch};
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::output::{self, Format};
use crate::plugins;
use crate::run::Run;
use crate::site::{self, Content, Site};
use crate::transport::{self, Inside, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(develop(run, arguments)) },
};

fn command() -> Command {
    Command::new("app dev")
        .about("Serves a directory on this machine and loads pages again when it changes")
        .example("app dev ./site")
        .argument(Argument::required("dir", "The directory"))
        .argument(Argument::option("name", "The app's name; else the directory's"))
        .argument(Argument::option("port", "The port; else the first free one from 8100 on"))
        .argument(Argument::switch("spa", "Paths without an ending answer with index.html"))
        .argument(Argument::switch("include_private", "Serves private/ too, to whom it is for"))
}

async fn develop(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    if run.to.is_some() {
        return Err(Failure::usage("a site is developed on this machine, and --to names a node"));
    }
    let directory = PathBuf::from(arguments.text("dir").unwrap_or_default());
    if !directory.is_dir() {
        let shown = directory.display();
        return Err(Failure::not_found(format!("there is no directory {shown}")));
    }
    let name = match arguments.text("name") {
        Some(name) => name.to_owned(),
        None => default_name(&directory)?,
    };
    let (port, ports_more) = match arguments.text("port") {
        Some(port) => (port.to_owned(), 0),
        None => (PORT.to_string(), PORTS_MORE),
    };
    let home = tempfile::Builder::new()
        .prefix("fazt-dev-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("there is no place for the node: {error}")))?;
    let options = || {
        let mut options = plugins::options(home.path().join("dev.db"), Mode::Serve);
        options.built_in.push(dev::built_in());
        options.create = true;
        options.settings.insert("server.port".to_owned(), port.clone());
        if runs_code() {
            options.settings.insert("js.dev".to_owned(), "true".to_owned());
        }
        options
    };
    let mut serving = Serving::start(options, ports_more).await?;
    serving.kernel.ensure_app(&name).await?;
    let mut session = Session {
        name: &name,
        directory: &directory,
        options: options_of(&arguments),
        include_private: arguments.is_on("include_private"),
        served: None,
        deployment: None,
        problem: None,
    };
    // From before the first deploy on, so that nothing is missed between the two.
    let mut watch = Watch::new(&directory, session.include_private);
    let url = serving.kernel.url(&name);
    session.round(run, &serving.kernel).await?;
    say(run, &url, &directory)?;
    let (kernel, signals) = serving.parts();
    let inside = Inside::of(kernel);
    let mut tail = Tail::new(&name);
    'work: loop {
        // Not begun anew for each line: a change that it heard of would be forgotten.
        let mut changed = pin!(watch.changed());
        loop {
            tokio::select! {
                () = signals.next() => break 'work,
                () = &mut changed => break,
                lines = tail.next(&inside), if runs_code() => {
                    for line in lines? {
                        app_logs::show(run, &line)?;
                    }
                }
            }
        }
        session.round(run, kernel).await?;
    }
    serving.abandon().await
}

/// Whether there is somebody in this build who runs the code of apps.
fn runs_code() -> bool {
    plugins::built_in().iter().any(|plugin| plugin.name == "js")
}

/// What the app's code says, from the beginning on.
struct Tail {
    path: String,
    last: u64,
}

impl Tail {
    fn new(app: &str) -> Self {
        Self { path: format!("/api/apps/{}/logs", encoded(app)), last: 0 }
    }

    /// Waits for the next lines. To be dropped at any time: none is lost.
    async fn next(&mut self, inside: &Inside<'_>) -> Result<Vec<Value>, Failure> {
        let path = format!("{}?after={}&wait_ms={LOG_WAIT_MS}&limit=1000", self.path, self.last);
        let mut lines = transport::ask(inside, Request::new(Method::Get, path)).await?.data;
        let lines = lines.as_array_mut().map(std::mem::take).unwrap_or_default();
        let last = lines.last().and_then(|line| line.get("id")).and_then(Value::as_u64);
        self.last = last.unwrap_or(self.last);
        Ok(lines)
    }
}

fn options_of(arguments: &Arguments) -> Map<String, Value> {
    let mut options = Map::new();
    for flag in ["spa", "include_private"] {
        if arguments.is_on(flag) {
            options.insert(flag.to_owned(), Value::Bool(true));
        }
    }
    options
}

fn say(run: &mut Run<'_, '_>, url: &str, directory: &Path) -> Result<(), Failure> {
    if run.output.format == Format::Json {
        run.output.result(&json!({"url": url, "directory": directory}), &[], None)?;
    } else {
        run.output.line(url)?;
    }
    run.output.note(&format!("watching {}; Ctrl-C stops", directory.display()));
    Ok(())
}

/// One directory that is worked on.
struct Session<'a> {
    name: &'a str,
    directory: &'a Path,
    options: Map<String, Value>,
    include_private: bool,
    /// What the node serves: paths and contents.
    served: Option<Vec<(String, Content)>>,
    deployment: Option<String>,
    /// Why the last change is not what the node serves.
    problem: Option<String>,
}

impl Session<'_> {
    /// Deploys what the directory holds now, and tells everybody what came of it.
    async fn round(&mut self, run: &mut Run<'_, '_>, kernel: &Kernel) -> Result<(), Failure> {
        let began = Instant::now();
        let mut warnings = Vec::new();
        let problem = match self.deploy(kernel, &mut warnings).await {
            Ok(None) if self.problem.is_none() => return Ok(()),
            Ok(None) => {
                run.output.note("as it was before");
                None
            }
            Ok(Some(new)) => {
                let files = self.served.as_ref().map_or(0, Vec::len) as u64;
                let files = output::files_text(files);
                let took_ms = began.elapsed().as_millis();
                run.output.note(&format!("{new} of {files} new ({took_ms} ms)"));
                for warning in &warnings {
                    run.output.note(&format!("warning: {warning}"));
                }
                None
            }
            Err(failure) => {
                run.output.failure(&failure);
                Some(failure.message)
            }
        };
        self.problem = problem;
        let state =
            json!({"deployment": self.deployment, "problem": self.problem, "warnings": warnings});
        let request = Request::new(Method::Put, dev::STATE).json(&state);
        transport::ask(&Inside::of(kernel), request).await.map(drop)
    }

    /// How many files were new; nothing when the site is the same.
    async fn deploy(
        &mut self,
        kernel: &Kernel,
        warnings: &mut Vec<String>,
    ) -> Result<Option<usize>, Failure> {
        let (directory, include_private) = (self.directory.to_owned(), self.include_private);
        let reading = tokio::task::spawn_blocking(move || read(&directory, include_private));
        let (site, contents) = reading
            .await
            .map_err(|error| Failure::failed(format!("reading the files broke off: {error}")))??;
        let served: Vec<_> =
            site.files.iter().map(|file| file.path.clone()).zip(contents.iter().copied()).collect();
        if self.served.as_ref() == Some(&served) {
            return Ok(None);
        }
        let options = self.options.clone();
        let deploy = Deploy { app: self.name, files: &site.files, contents: &contents, options };
        let deployed = deploy.run(&Inside::of(kernel), &Meter::default(), |_, _| ()).await?;
        let found = deployed.data.get("warnings").and_then(Value::as_array);
        warnings.extend(found.into_iter().flatten().map(output::plain_text));
        let deployment = deployed.data.get("deployment_id").and_then(Value::as_str);
        self.deployment = deployment.map(str::to_owned);
        self.served = Some(served);
        Ok(Some(deployed.new_files))
    }
}

fn read(directory: &Path, include_private: bool) -> Result<(Site, Vec<Content>), Failure> {
    let mut site = Site::walk(directory, include_private)?;
    if site.files.is_empty() {
        return Err(Failure::failed(format!("there is nothing in {}", directory.display()))
            .hint("put an index.html there"));
    }
    for file in &mut site.files {
        let ending = file.path.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ["html", "htm"].iter().any(|page| ending.eq_ignore_ascii_case(page)) {
            file.rewrite = Some(dev::with_reload);
        }
    }
    let contents = site::digests(&site.files, &|_| ())?;
    Ok((site, contents))
}

/// How long one question for lines waits, in milliseconds.
const LOG_WAIT_MS: u32 = 20_000;
/// The usual port: another one than that of nodes, so that both can run.
const PORT: u16 = 8100;
/// How many further ports are tried when it is taken.
const PORTS_MORE: u16 = 20;
