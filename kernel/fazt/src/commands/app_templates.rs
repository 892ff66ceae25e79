//! `fazt app templates`: what `fazt app create --template` can start from.

use fazt_sdk::command::Command;
use serde_json::{Value, json};

use super::{ClientCommand, Running};
use crate::failure::Failure;
use crate::run::Run;
use crate::templates::ALL;

pub(super) const COMMAND: ClientCommand =
    ClientCommand { command, run: |run, _| -> Running<'_> { Box::pin(list(run)) } };

fn command() -> Command {
    Command::new("app templates")
        .about("Lists what an app can start from")
        .example("app templates")
        .column("NAME", "name")
        .column("ABOUT", "about")
}

async fn list(run: &mut Run<'_, '_>) -> Result<(), Failure> {
    let row = |(name, about)| json!({"name": name, "about": about});
    let rows = ALL.iter().map(|template| row((template.name, template.about))).collect();
    run.output.result(&Value::Array(rows), &command().columns, None)
}
