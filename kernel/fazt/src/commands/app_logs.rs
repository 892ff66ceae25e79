//! `fazt app logs APP`: what an app's code said lately, and with `--follow` what it says from now on.

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::Value;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::output::{self, Format};
use crate::run::Run;
use crate::signals::Signals;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(logs(run, arguments)) },
};

/// How long the node waits for a line before it answers that there is none.
const WAIT_MS: u32 = 20_000;

fn command() -> Command {
    Command::new("app logs")
        .about("Shows what an app's code said lately, and what it says from now on")
        .example("app logs blog -f")
        .argument(Argument::required("app", "Id or alias of the app"))
        .argument(Argument::option("limit", "How many lines; 100 without it"))
        .argument(Argument::switch("follow", "Goes on until Ctrl-C"))
}

async fn logs(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let app = encoded(arguments.text("app").unwrap_or_default());
    let follows = arguments.is_on("follow");
    let transport = run.connect().await?;
    let mut signals = Signals::new()?;
    let mut query = format!("limit={}", encoded(arguments.text("limit").unwrap_or("100")));
    let mut last = 0;
    let outcome = loop {
        let request = Request::new(Method::Get, format!("/api/apps/{app}/logs?{query}"));
        let asked = tokio::select! {
            asked = transport::ask(transport.as_ref(), request) => asked,
            () = signals.next() => break Ok(()),
        };
        let lines = match asked {
            Ok(envelope) => envelope.data,
            Err(failure) => break Err(failure),
        };
        for line in lines.as_array().into_iter().flatten() {
            last = line.get("id").and_then(Value::as_u64).unwrap_or(last);
            show(run, line)?;
        }
        if !follows {
            break Ok(());
        }
        query = format!("after={last}&wait_ms={WAIT_MS}");
    };
    transport.close().await?;
    outcome
}

/// Prints one line of an app's log.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn show(run: &mut Run<'_, '_>, line: &Value) -> Result<(), Failure> {
    if run.output.format == Format::Json {
        return run.output.line(&line.to_string());
    }
    let field = |name: &str| line.get(name).map(output::plain_text).unwrap_or_default();
    let time = line.get("at_ms").and_then(Value::as_u64).map(output::time_text);
    let mut words = vec![time.unwrap_or_default(), format!("{:5}", field("level"))];
    words.extend(Some(field("request_id")).filter(|id| !id.is_empty()));
    words.push(field("text"));
    run.output.line(&words.join("  "))
}
