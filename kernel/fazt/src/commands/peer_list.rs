//! `fazt peer list`: the address book of this machine, and with `--check` who of it answers.

use fazt_sdk::command::{Argument, Column, Command};
use fazt_sdk::http::Method;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::reach::{self, Credentials};
use crate::run::Run;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(list(run, arguments)) },
};

fn command() -> Command {
    Command::new("peer list")
        .about("Lists the nodes in the address book of this machine")
        .example("peer list --check")
        .argument(Argument::switch("check", "Asks each of them whether it answers"))
}

async fn list(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let checks = arguments.is_on("check");
    let says = "none: fazt peer add NAME --url https://…";
    let wanted = run.wanted();
    let is_somewhere =
        wanted.to.is_some() || wanted.db.is_some() || wanted.environment.db.is_some();
    let book = match run.book().await {
        // A machine without a cartridge knows nobody, which is no failure.
        Err(failure) if failure.exit == Exit::NotFound && !is_somewhere => {
            return run.output.result(&Value::Array(Vec::new()), &[], Some(says));
        }
        book => book?,
    };
    let peers = reach::peers(book.as_ref()).await;
    let rows = match peers {
        Ok(peers) if checks => {
            let checked =
                peers.into_iter().map(|peer| checked(book.as_ref(), peer, run.environment));
            let checked = futures_util::stream::iter(checked).buffered(CHECKS_AT_ONCE);
            Ok(checked.collect::<Vec<_>>().await)
        }
        other => other,
    };
    book.close().await?;
    run.output.result(&Value::Array(rows?), &columns(checks), Some(says))
}

fn columns(checks: bool) -> Vec<Column> {
    let command = Command::new("peer list")
        .column("NAME", "name")
        .column("URL", "url")
        .column("DEFAULT", "default");
    let command = if checks {
        command.column("ANSWERS", "answers").column("VERSION", "version").column("WHY", "problem")
    } else {
        command
    };
    command.columns
}

async fn checked(
    book: &dyn transport::Transport,
    mut peer: Value,
    environment: &Environment,
) -> Value {
    let name = peer.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let check = match reach::credentials(book, &name).await {
        Ok(found) => check(&found, environment).await,
        Err(failure) => Check { answers: false, version: None, problem: Some(failure.message) },
    };
    if let Some(peer) = peer.as_object_mut() {
        peer.insert("answers".to_owned(), Value::Bool(check.answers));
        peer.insert("version".to_owned(), check.version.map_or(Value::Null, Value::from));
        peer.insert("problem".to_owned(), check.problem.map_or(Value::Null, Value::from));
    }
    peer
}

/// What came of asking a peer.
pub(super) struct Check {
    /// Whether a node answers there.
    pub(super) answers: bool,
    /// Its version, when the key may read it.
    pub(super) version: Option<String>,
    /// What is wrong: with the way, the node or the key.
    pub(super) problem: Option<String>,
}

/// Asks a peer who it is.
pub(super) async fn check(peer: &Credentials, environment: &Environment) -> Check {
    let asked = async {
        let transport = transport::to_url(&peer.url, &peer.token, environment)?;
        transport::ask(transport.as_ref(), Request::new(Method::Get, INFO)).await
    };
    match asked.await {
        Ok(envelope) => {
            let version = envelope.data.get("version").and_then(Value::as_str);
            Check { answers: true, version: version.map(str::to_owned), problem: None }
        }
        // A key that may only deploy proves that the node knows it.
        Err(failure) if failure.code.as_deref() == Some("SCOPE_MISSING") => {
            Check { answers: true, version: None, problem: None }
        }
        Err(failure) => Check {
            answers: failure.exit == Exit::Refused && failure.code.is_some(),
            version: None,
            problem: Some(failure.message),
        },
    }
}

/// How many peers are asked at a time.
const CHECKS_AT_ONCE: usize = 8;
/// Where a node says who it is.
const INFO: &str = "/api/system/info";
