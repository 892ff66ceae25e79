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
use crate::locate;
use crate::output::{self, Format, Output};
use crate::transport::{self, Request, Transport};
use crate::tree::General;
use crate::{commands, invoke, plugins, tree};

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
    /// `--to`.
    pub(crate) to: Option<String>,
}

impl Run<'_, '_> {
    /// The way to the node that the command is about.
    pub(crate) async fn connect(&mut self) -> Result<Box<dyn Transport>, Failure> {
        let located = locate::place(self.to.as_deref(), self.db.as_deref(), self.environment)?;
        if let Some(note) = &located.note {
            self.output.note(note);
        }
        let transport = transport::connect(&located.place, self.environment).await?;
        self.output.detail(&format!("asking {}", transport.place()));
        Ok(transport)
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
        if self.to.is_some() {
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
    let (catalogue, matches) = match parse(manifests, words, environment) {
        Ok(parsed) => parsed,
        Err(Unparsed::Parser(error)) => return say(&error, output),
        Err(Unparsed::Failure(failure)) => {
            output.failure(&failure);
            return failure.exit;
        }
    };
    let general = General::of(&matches);
    output.format = general.format;
    output.verbose = general.verbose;
    let answered = runtime().and_then(|runtime| {
        runtime.block_on(answer(&catalogue, &matches, general, environment, output))
    });
    match answered {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

enum Unparsed {
    Failure(Failure),
    Parser(ParseError),
}

fn parse(
    manifests: &[Manifest],
    words: &[OsString],
    environment: &Environment,
) -> Result<(Catalogue, ArgMatches), Unparsed> {
    if let Some(peer) = words.get(1).and_then(|word| word.to_str()?.strip_prefix('@')) {
        return Err(Unparsed::Failure(
            Failure::usage(format!("the peer @{peer} is not known: peers are not built in yet"))
                .hint("name the node with --to URL, and its key in FAZT_TOKEN"),
        ));
    }
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
            added_manifests(words, environment)
        }
        _ => Vec::new(),
    };
    if added.is_empty() {
        return Err(Unparsed::Parser(error));
    }
    catalogue.extend(&added);
    match tree::parser(&catalogue).try_get_matches_from(words) {
        Ok(matches) => Ok((catalogue, matches)),
        Err(error) => Err(Unparsed::Parser(error)),
    }
}

/// The manifests of plugins that were added to the node that the words are about.
///
/// A node that cannot be asked adds nothing: help still works, and the command itself says why.
fn added_manifests(words: &[OsString], environment: &Environment) -> Vec<Manifest> {
    let (mut db, mut to) = (None, None);
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
    let asked = async {
        let to = to.as_ref().and_then(|to| to.to_str());
        let located = locate::place(to, db.as_ref().map(Path::new), environment)?;
        let mut transport = transport::connect(&located.place, environment).await?;
        let asked = transport::ask(transport.as_mut(), Request::new(Method::Get, MANIFESTS)).await;
        transport.close().await?;
        asked
    };
    runtime()
        .and_then(|runtime| runtime.block_on(asked))
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
    if general.db.is_some() && general.to.is_some() {
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
    let mut transport = run.connect().await?;
    let asked = transport::ask(transport.as_mut(), request).await;
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
