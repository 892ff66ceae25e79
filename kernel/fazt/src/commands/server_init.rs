//! `fazt server init`: makes a cartridge with an owner, for a node that is started later.

use fazt_kernel::{Kernel, Mode};
use fazt_sdk::command::{Argument, Column, Command};
use serde_json::json;

use super::{ClientCommand, Running, secret_input};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::plugins;
use crate::run::Run;

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(init(run, arguments)) },
};

fn command() -> Command {
    Command::new("server init")
        .about("Makes a cartridge with an owner who signs in by password")
        .example("server init --username ada --password - --domain example.com")
        .argument(Argument::option("username", "The owner's name; else admin"))
        .argument(Argument::option(
            "password",
            "The owner's password; - reads it from standard input",
        ))
        .argument(Argument::option("domain", "The node's domain; else localhost"))
}

async fn init(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let cartridge = run.cartridge()?;
    if std::fs::symlink_metadata(&cartridge).is_ok() {
        return Err(Failure::failed(format!(
            "{} exists already and is left alone",
            cartridge.display()
        ))
        .hint(format!("start it: fazt server start --db {}", cartridge.display())));
    }
    let username = arguments.text("username").unwrap_or("admin").to_owned();
    let password = secret_input::secret(arguments.text("password"), "password", run.output)?;

    // To serve, not for a command: so everybody's tables are there when the first command comes.
    let mut options = plugins::options(&cartridge, Mode::Serve);
    options.create = true;
    let kernel = Kernel::boot(options).await?;
    let made = fill(&kernel, &username, &password, arguments.text("domain")).await;
    let stopped = kernel.stop().await;
    if made.is_err() {
        // A cartridge without its owner would be in the way of the next try. It was made above.
        drop(std::fs::remove_file(&cartridge));
    }
    made?;
    stopped?;
    let data = json!({
        "cartridge": cartridge,
        "username": username,
        "domain": arguments.text("domain").unwrap_or("localhost"),
    });
    run.output.result(&data, &columns(), None)?;
    run.output.note(&format!("start it: fazt server start --db {}", cartridge.display()));
    Ok(())
}

fn columns() -> Vec<Column> {
    Command::new("server init")
        .column("cartridge", "cartridge")
        .column("owner", "username")
        .column("domain", "domain")
        .columns
}

async fn fill(
    kernel: &Kernel,
    username: &str,
    password: &str,
    domain: Option<&str>,
) -> fazt_sdk::Result<()> {
    kernel.set_credentials(username, password).await?;
    match domain {
        Some(domain) => kernel.set_setting("server.domain", domain).await,
        None => Ok(()),
    }
}
