//! `fazt peer add NAME --url URL`: puts a node into the address book of this machine.
//!
//! A machine that only deploys has no cartridge yet: the address book makes one, at the default
//! place.

use fazt_kernel::{Kernel, Mode};
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::{Value, json};

use super::{ClientCommand, Running, peer_list, secret_input};
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};
use crate::output::Format;
use crate::reach::{Credentials, PEERS, Reached};
use crate::run::Run;
use crate::transport::{self, Request};
use crate::{locate, plugins};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(add(run, arguments)) },
};

fn command() -> Command {
    Command::new("peer add")
        .about("Puts another node into the address book of this machine; then @NAME leads there")
        .example("peer add home --url https://example.com")
        .argument(Argument::required("name", "What the node is called here"))
        .argument(Argument {
            required: true,
            ..Argument::option("url", "Its address; https, or http on this machine")
        })
        .argument(Argument::option(
            "token",
            "A key of that node; - reads it from standard input; else FAZT_TOKEN, or it is asked for",
        ))
}

async fn add(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("name").unwrap_or_default();
    let url = arguments.text("url").unwrap_or_default();
    let token = token(run, arguments.text("token"))?;
    // A wrong address is told before a cartridge is made for it.
    drop(transport::to_url(url, &token, run.environment)?);

    let (Reached { transport, note }, is_new) = book(run).await?;
    if let Some(note) = note {
        run.output.note(&note);
    }
    let peer = json!({"name": name, "url": url, "token": token});
    let request = Request::new(Method::Post, PEERS).json(&peer);
    let mut added = transport::ask(transport.as_ref(), request).await.map(|answer| answer.data);
    if added.is_ok() && is_new {
        let request = Request::new(Method::Put, format!("{PEERS}/default"));
        let set = transport::ask(transport.as_ref(), request.json(&json!({"name": name}))).await;
        added = set.and(added).map(|mut peer| {
            if let Some(peer) = peer.as_object_mut() {
                peer.insert("default".to_owned(), Value::Bool(true));
            }
            peer
        });
    }
    transport.close().await?;
    let added = added?;

    if run.output.format == Format::Json {
        run.output.result(&added, &[], None)?;
    } else {
        run.output.line(&format!("added {name}: fazt @{name} app list"))?;
    }
    if is_new {
        run.output.note(&format!(
            "{name} is the default now: commands that name no node go there; \
             fazt peer default local keeps them here"
        ));
    }
    let found = Credentials { url: url.to_owned(), token };
    if let Some(problem) = peer_list::check(&found, run.environment).await.problem {
        run.output.note(&format!("warning: {name} was added, but {problem}"));
    }
    Ok(())
}

/// The address book, and whether it was made just now.
async fn book(run: &Run<'_, '_>) -> Result<(Reached, bool), Failure> {
    let wanted = run.wanted();
    if wanted.to.is_some() {
        return Ok((wanted.reach().await?, false));
    }
    match wanted.here().await {
        Err(failure) if failure.exit == Exit::NotFound => {}
        reached => return Ok((reached?, false)),
    }
    if wanted.db.is_some() || wanted.environment.db.is_some() {
        return Ok((wanted.here().await?, false));
    }
    let (path, _) = locate::cartridge(None, wanted.environment)?;
    let mut options = plugins::options(&path, Mode::Serve);
    options.create = true;
    let kernel = Kernel::boot(options).await.map_err(|error| {
        Failure::from(error)
            .hint("without an address book --to URL works, with the key in FAZT_TOKEN")
    })?;
    kernel.stop().await?;
    let mut reached = wanted.here().await?;
    reached.note = Some(format!("the address book is in {} (new)", path.display()));
    Ok((reached, true))
}

fn token(run: &mut Run<'_, '_>, given: Option<&str>) -> Result<String, Failure> {
    match (given, &run.environment.token) {
        (Some("-"), _) | (None, None) => secret_input::secret_once(given, "token", run.output),
        (Some(token), _) => {
            run.output.note(
                "warning: whoever is on this machine can read the command line; \
                 give the token with --token - or FAZT_TOKEN",
            );
            Ok(token.to_owned())
        }
        (None, Some(token)) => Ok(token.clone()),
    }
}
