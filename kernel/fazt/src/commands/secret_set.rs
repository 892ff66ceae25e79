//! `fazt secret set APP NAME`: a value that stands on no command line, where every process can read it.

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Method;
use serde_json::{Map, Value, json};

use super::{ClientCommand, Running, secret_input};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::invoke::encoded;
use crate::run::Run;
use crate::transport::{self, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(set(run, arguments)) },
};

fn command() -> Command {
    Command::new("secret set")
        .about("Sets a secret of an app: asks for its value, or reads it from standard input")
        .example("secret set blog MAIL_KEY --host api.example.com")
        .argument(Argument::required("app", "Id or alias of the app"))
        .argument(Argument::required("name", "Its name"))
        .argument(Argument::list("host", "A host that it may be sent to, as in *.example.com"))
        .argument(Argument::option("header", "The header field that it is; Bearer without it"))
        .argument(Argument::option("query", "The query parameter that it is"))
        .argument(Argument::switch("basic", "It is user:password of basic authentication"))
        .argument(Argument::switch("env", "The app's code sees it, as a variable"))
}

async fn set(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("name").unwrap_or_default().to_owned();
    let app = encoded(arguments.text("app").unwrap_or_default());
    let mut body = terms(&arguments)?;
    let value = secret_input::secret_or_stdin("value", run.output)?;
    body.insert("value".to_owned(), Value::String(value));
    let transport = run.connect().await?;
    let path = format!("/api/apps/{app}/secrets/{}", encoded(&name));
    let request = Request::new(Method::Put, path).json(&Value::Object(body));
    let answer = transport::ask(transport.as_ref(), request).await;
    transport.close().await?;
    run.output.result(&answer?.data, &[], Some(&format!("{name} is set")))
}

/// All but the value.
fn terms(arguments: &Arguments) -> Result<Map<String, Value>, Failure> {
    let places: Vec<(&str, Option<&str>)> = [
        arguments.text("header").map(|field| ("header", Some(field))),
        arguments.text("query").map(|field| ("query", Some(field))),
        arguments.is_on("basic").then_some(("basic", None)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut terms = Map::new();
    match places[..] {
        [] => {}
        [(place, field)] => {
            terms.insert("place".to_owned(), json!(place));
            if let Some(field) = field {
                terms.insert("field".to_owned(), json!(field));
            }
        }
        _ => return Err(Failure::usage("a secret has one place: --header, --query or --basic")),
    }
    if let Some(hosts) = arguments.list("host") {
        terms.insert("hosts".to_owned(), json!(hosts));
    }
    if arguments.is_on("env") {
        terms.insert("env".to_owned(), json!(true));
    }
    Ok(terms)
}
