//! One run of the command line: from words to an exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgMatches, Error as ParseError};
use fazt_sdk::command::Command;
use fazt_sdk::http::Method;
use fazt_sdk::manifest::Manifest;

use crate::arguments::Arguments;
use crate::catalogue::{Action, Catalogue};
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Output};
use crate::reach::{LOCAL, Reached, Wanted};
use crate::transport::{self, Request, Transport};
use crate::tree::General;
use crate::{commands, invoke, locate, plugins, tree};

/// What every command gets: where it runs and where it prints.
pub(crate) struct Run<'a, 'out> {
    /// The surroundings.
    pub(crate) environment: &'a Environment,
    /// All known commands.
    pub(crate) catalogue: &'a Catalogue,
    /// Where it prints.
    pub(crate) output: &'a mut Output<'out>,
    /// `--db`.
    pub(crate) db: Option<PathBuf>,
    /// `--to`, or the name after `@`.
    pub(crate) to: Option<String>,
}

impl Run<'_, '_> {
    /// The way to the node that the command is about.
    pub(crate) async fn connect(&mut self) -> Result<Box<dyn Transport>, Failure> {
        let reached = self.wanted().reach().await;
        self.arrived(reached?)
    }

    /// The way to the address book: that of this machine, unless another node is named.
    pub(crate) async fn book(&mut self) -> Result<Box<dyn Transport>, Failure> {
        let wanted = self.wanted();
        let reached = match wanted.to {
            Some(_) => wanted.reach().await,
            None => wanted.here().await,
        };
        self.arrived(reached?)
    }

    /// What was said about where to go.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted { to: self.to.as_deref(), db: self.db.as_deref(), environment: self.environment }
    }

    fn arrived(&mut self, reached: Reached) -> Result<Box<dyn Transport>, Failure> {
        if let Some(note) = &reached.note {
            self.output.note(note);
        }
        self.output.detail(&format!("asking {}", reached.transport.place()));
        Ok(reached.transport)
    }

    /// All commands, with those of the plugins that the node has: that of this machine, unless
    /// another one is named. A node that cannot be asked adds nothing.
    pub(crate) async fn whole_catalogue(&self) -> Catalogue {
        let wanted = self.wanted();
        let added = stored_manifests(Wanted { to: wanted.to.or(Some(LOCAL)), ..wanted }).await;
        let mut catalogue = self.catalogue.clone();
        catalogue.extend(&added);
        catalogue
    }

    /// The flag that leads the next command to the same place; empty when none was given.
    pub(crate) fn same_place(&self) -> String {
        match (&self.to, &self.db) {
            (Some(url), _) => format!(" --to {url}"),
            (None, Some(path)) => format!(" --db {}", path.display()),
            (None, None) => String::new(),
        }
    }

    /// The cartridge file that the command opens or creates itself.
    pub(crate) fn cartridge(&mut self) -> Result<PathBuf, Failure> {
        if self.to.as_deref().is_some_and(|to| to != LOCAL) {
            return Err(Failure::usage(
                "this command works on a cartridge of this machine, and --to names a node",
            ));
        }
        let (path, note) = locate::cartridge(self.db.as_deref(), self.environment)?;
        if let Some(note) = note {
            self.output.note(&note);
        }
        Ok(path)
    }
}

/// Runs the command line `words`, of which the first is the program.
pub(crate) fn run(words: &[OsString], environment: &Environment, output: &mut Output<'_>) -> Exit {
    match plugins::manifests() {
        Ok(manifests) => run_with(&manifests, words, environment, output),
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// Runs `words` where these manifests are compiled in.
pub(crate) fn run_with(
    manifests: &[Manifest],
    words: &[OsString],
    environment: &Environment,
    output: &mut Output<'_>,
) -> Exit {
    let (words, peer) = normalized(words);
    let (catalogue, matches) = match parse(manifests, &words, peer.as_deref(), environment) {
        Ok(parsed) => parsed,
        Err(error) => return say(&error, output),
    };
    let mut general = General::of(&matches);
    output.format = general.format;
    output.verbose = general.verbose;
    let answered = match (&general.to, peer) {
        (Some(to), Some(peer)) => {
            Err(Failure::usage(format!("@{peer} and --to {to} both name a node: give one of them")))
        }
        (_, peer) => {
            general.to = peer.or(general.to);
            runtime().and_then(|runtime| {
                runtime.block_on(answer(&catalogue, &matches, general, environment, output))
            })
        }
    };
    match answered {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// The words without the `@NAME` that may stand in front of them, and that name. `help WORDS` is
/// how many ask for `WORDS --help`.
fn normalized(words: &[OsString]) -> (Vec<OsString>, Option<String>) {
    let mut words = words.to_vec();
    let peer = words.get(1).and_then(|word| Some(word.to_str()?.strip_prefix('@')?.to_owned()));
    if peer.is_some() {
        words.remove(1);
    }
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    (words, peer)
}

fn parse(
    manifests: &[Manifest],
    words: &[OsString],
    peer: Option<&str>,
    environment: &Environment,
) -> Result<(Catalogue, ArgMatches), ParseError> {
    let mut catalogue = Catalogue::new(manifests);
    let error = match tree::parser(&catalogue).try_get_matches_from(words) {
        Ok(matches) => return Ok((catalogue, matches)),
        Err(error) => error,
    };
    // Only a word that is not known, or a question about all words, is worth opening a file for.
    let added = match error.kind() {
        ErrorKind::InvalidSubcommand
        | ErrorKind::UnknownArgument
        | ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            added_manifests(words, peer, environment)
        }
        _ => Vec::new(),
    };
    if added.is_empty() {
        return Err(error);
    }
    catalogue.extend(&added);
    let matches = tree::parser(&catalogue).try_get_matches_from(words)?;
    Ok((catalogue, matches))
}

/// The manifests of plugins that were added to the node that the words are about.
///
/// A node that cannot be asked adds nothing: help still works, and the command itself says why.
fn added_manifests(
    words: &[OsString],
    peer: Option<&str>,
    environment: &Environment,
) -> Vec<Manifest> {
    let (mut db, mut to) = (None, peer.map(OsString::from));
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        for (flag, value) in [("--db", &mut db), ("--to", &mut to)] {
            if word == flag {
                *value = rest.next().cloned();
            } else if let Some(given) =
                word.to_str().and_then(|word| word.strip_prefix(flag)?.strip_prefix('='))
            {
                *value = Some(OsString::from(given));
            }
        }
    }
    let to = to.as_ref().and_then(|to| to.to_str());
    let wanted = Wanted { to, db: db.as_ref().map(Path::new), environment };
    runtime().map(|runtime| runtime.block_on(stored_manifests(wanted))).unwrap_or_default()
}

/// What the wanted node has, as far as it answers.
async fn stored_manifests(wanted: Wanted<'_>) -> Vec<Manifest> {
    let asked = async {
        let transport = wanted.reach().await?.transport;
        let asked = transport::ask(transport.as_ref(), Request::new(Method::Get, MANIFESTS)).await;
        transport.close().await?;
        asked
    };
    asked
        .await
        .ok()
        .and_then(|envelope| serde_json::from_value(envelope.data).ok())
        .unwrap_or_default()
}

/// Help goes to standard output and is no failure; what is wrong goes to standard error.
fn say(error: &ParseError, output: &mut Output<'_>) -> Exit {
    let rendered = error.render();
    let text =
        if output.terminal.color { rendered.ansi().to_string() } else { rendered.to_string() };
    if error.use_stderr() {
        output.note(text.trim_end());
        return Exit::Usage;
    }
    output.line(text.trim_end()).map_or_else(|failure| failure.exit, |()| Exit::Ok)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("this process gets no threads: {error}")))
}

async fn answer(
    catalogue: &Catalogue,
    matches: &ArgMatches,
    general: General,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let is_elsewhere = general.to.as_deref().is_some_and(|to| to.contains("://"));
    if general.db.is_some() && is_elsewhere {
        return Err(Failure::usage("--db names a cartridge and --to a node: give one of them"));
    }
    let General { db, to, .. } = general;
    let mut run = Run { environment, catalogue, output, db, to };
    let (words, arguments) = tree::chosen(catalogue, matches);
    if words.is_empty() {
        return commands::first_run(&mut run).await;
    }
    let Some(entry) = catalogue.entry(&words) else {
        return Err(Failure::usage(format!("there is no command {}", words.join(" "))));
    };
    match entry.action {
        Action::Client(client) => (client.run)(&mut run, arguments).await,
        Action::Operation => operate(&mut run, &entry.command, &arguments).await,
    }
}

/// Calls the command's operation and prints its answer.
async fn operate(
    run: &mut Run<'_, '_>,
    command: &Command,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let input = run.catalogue.operation(&command.operation).map(|operation| &operation.input);
    let request = invoke::request(command, input, arguments)?;
    let transport = run.connect().await?;
    let asked = transport::ask(transport.as_ref(), request).await;
    let closed = transport.close().await;
    let envelope = asked?;
    closed?;
    match &command.table {
        Some(fields) => run.output.own_table(&envelope.data, fields, command.says.as_deref())?,
        None => run.output.result(&envelope.data, &command.columns, command.says.as_deref())?,
    }
    if run.output.format != Format::Json
        && envelope.meta.get("has_more").is_some_and(|more| more == true)
    {
        let cursor = envelope.meta.get("cursor").filter(|cursor| !cursor.is_null());
        run.output.note(&match cursor {
            Some(cursor) => {
                format!("there is more: ask again with --cursor {}", output::plain_text(cursor))
            }
            None => "there is more: ask again with a larger --limit".to_owned(),
        });
    }
    Ok(())
}

/// Where a node answers with the manifests of everything that it has.
const MANIFESTS: &str = "/api/manifests";
