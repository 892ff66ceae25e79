//! `fazt server start`: runs a node until it is stopped.

use std::collections::BTreeMap;

use fazt_kernel::Mode;
use fazt_sdk::command::{Argument, Column, Command};
use serde_json::json;

use super::serving::Serving;
use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::plugins;
use crate::run::Run;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(start(run, arguments)) },
};

fn command() -> Command {
    Command::new("server start")
        .about("Runs a node until it is stopped; makes the cartridge when there is none")
        .example("server start --domain example.com --db /var/lib/fazt/data.db")
        .argument(Argument::option("domain", "The node's domain; else the cartridge's"))
        .argument(Argument::option("host", "The address to listen on; else the cartridge's"))
        .argument(Argument::option("port", "The port to listen on; else the cartridge's"))
        .argument(Argument::list("plugins", "Exactly these plugins and what they require"))
        .argument(Argument::list("set", "A setting for this run, as NAME=VALUE"))
}

async fn start(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let mut settings = settings(arguments.list("set").unwrap_or_default())?;
    for name in ["domain", "host", "port"] {
        if let Some(value) = arguments.text(name) {
            settings.insert(format!("server.{name}"), value.to_owned());
        }
    }
    let cartridge = run.cartridge()?;
    let chosen = arguments.list("plugins").map(<[String]>::to_vec);
    let serving = Serving::start(
        || {
            let mut options = plugins::options(&cartridge, Mode::Serve);
            options.create = true;
            options.plugins.clone_from(&chosen);
            options.settings.clone_from(&settings);
            options
        },
        0,
    )
    .await?;
    let kernel = &serving.kernel;
    let data = json!({
        "cartridge": cartridge,
        "url": kernel.url(""),
        "dashboard_url": kernel.url("admin"),
        "plugins": kernel.started(),
        "port": serving.port(),
    });
    run.output.result(&data, &columns(), None)?;
    serving.until_stopped(run).await
}

fn columns() -> Vec<Column> {
    Command::new("server start")
        .column("cartridge", "cartridge")
        .column("node", "url")
        .column("dashboard", "dashboard_url")
        .column("plugins", "plugins")
        .column("port", "port")
        .columns
}

/// `NAME=VALUE` pairs.
fn settings(pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Failure::usage(format!("--set {pair} has no value"))
                .hint(format!("--set {pair}=VALUE"))),
        })
        .collect()
}
