//! The way from what was said about a node to the node: a peer, an address, or this machine.
//!
//! `@NAME` and `--to NAME` look the name up in the address book of this machine; `--to URL` takes
//! the key from `FAZT_TOKEN` and needs no cartridge; `local` is this machine. A command that says
//! nothing stays here, unless the address book has a default and no cartridge was named.

use std::path::Path;

use fazt_sdk::http::Method;
use serde_json::Value;

use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::invoke::encoded;
use crate::locate;
use crate::transport::{self, Request, Transport};

/// What was said about where to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `--to` or `@NAME`.
    pub(crate) to: Option<&'a str>,
    /// `--db`.
    pub(crate) db: Option<&'a Path>,
    /// The surroundings.
    pub(crate) environment: &'a Environment,
}

/// The way to a node, and what to say about the choice when it was not made on the command line.
pub(crate) struct Reached {
    /// The way.
    pub(crate) transport: Box<dyn Transport>,
    /// The sentence about the choice.
    pub(crate) note: Option<String>,
}

/// A known node and its key.
pub(crate) struct Credentials {
    /// Its address.
    pub(crate) url: String,
    /// Its key.
    pub(crate) token: String,
}

impl Wanted<'_> {
    /// The way to the node that is wanted.
    pub(crate) async fn reach(self) -> Result<Reached, Failure> {
        match self.to {
            Some("") => {
                Err(Failure::usage("the name of a peer is missing, as in fazt @home app list")
                    .hint("fazt peer list shows the names"))
            }
            Some(LOCAL) => self.here().await,
            Some(url) if is_address(url) => self.url(url),
            Some(name) => self.peer(name).await,
            None => self.default().await,
        }
    }

    /// The way to the node or the cartridge of this machine.
    pub(crate) async fn here(self) -> Result<Reached, Failure> {
        let located = locate::place(self.db, self.environment)?;
        let transport = transport::connect(&located.place).await?;
        Ok(Reached { transport, note: located.note })
    }

    fn url(self, url: &str) -> Result<Reached, Failure> {
        // What is wrong with the address is told first.
        let token = self.environment.token.as_deref();
        let transport = transport::to_url(url, token.unwrap_or("none"), self.environment)?;
        if token.is_none() {
            return Err(Failure::usage("--to URL needs a key, and FAZT_TOKEN is not set")
                .hint("make one on the node: fazt server create-key --name NAME --scopes deploy"));
        }
        Ok(Reached { transport, note: None })
    }

    async fn peer(self, name: &str) -> Result<Reached, Failure> {
        let add = format!("fazt peer add {name} --url https://…");
        let book = match self.here().await {
            Ok(reached) => reached.transport,
            Err(failure) if failure.exit == Exit::NotFound => {
                return Err(Failure::not_found(format!(
                    "the peer @{name} is not known: this machine has no address book yet"
                ))
                .hint(add));
            }
            Err(failure) => return Err(failure),
        };
        let found = credentials(book.as_ref(), name).await;
        book.close().await?;
        let found = found.map_err(|failure| match failure.exit {
            Exit::NotFound => Failure::not_found(format!("the peer @{name} is not known"))
                .hint(format!("fazt peer list shows those that are; add it: {add}")),
            _ => failure,
        })?;
        let transport = transport::to_url(&found.url, &found.token, self.environment)?;
        Ok(Reached { transport, note: None })
    }

    /// Nothing was said: here, or at the default peer.
    async fn default(self) -> Result<Reached, Failure> {
        let here = self.here().await?;
        if self.db.is_some() || self.environment.db.is_some() {
            return Ok(here);
        }
        let Some(name) = default_of(&peers(here.transport.as_ref()).await?) else {
            return Ok(here);
        };
        let found = credentials(here.transport.as_ref(), &name).await;
        here.transport.close().await?;
        let found = found?;
        let transport = transport::to_url(&found.url, &found.token, self.environment)?;
        let note = format!("using the peer {name} at {} (the default)", found.url);
        Ok(Reached { transport, note: Some(note) })
    }
}

/// All peers of the address book behind `book`. A node from before address books has none.
pub(crate) async fn peers(book: &dyn Transport) -> Result<Vec<Value>, Failure> {
    match transport::ask(book, Request::new(Method::Get, PEERS)).await {
        Ok(envelope) => Ok(envelope.data.as_array().cloned().unwrap_or_default()),
        Err(failure) if failure.exit == Exit::NotFound => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// The address and the key of the peer `name` in the address book behind `book`.
pub(crate) async fn credentials(book: &dyn Transport, name: &str) -> Result<Credentials, Failure> {
    let target = format!("{PEERS}/{}/token", encoded(name));
    let answer = transport::ask(book, Request::new(Method::Get, target)).await?.data;
    let text = |field: &str| answer.get(field).and_then(Value::as_str).map(str::to_owned);
    match (text("url"), text("token")) {
        (Some(url), Some(token)) => Ok(Credentials { url, token }),
        _ => Err(Failure::failed(format!("{} does not say where {name} is", book.place()))),
    }
}

fn default_of(peers: &[Value]) -> Option<String> {
    let default = peers.iter().find(|peer| peer.get("default") == Some(&Value::Bool(true)))?;
    default.get("name").and_then(Value::as_str).map(str::to_owned)
}

/// Whether it is meant as an address: names of peers have neither.
fn is_address(to: &str) -> bool {
    to.contains([':', '/', '.'])
}

/// Where a node answers with its address book.
pub(crate) const PEERS: &str = "/api/peers";
/// The name of this machine among peers.
pub(crate) const LOCAL: &str = "local";
