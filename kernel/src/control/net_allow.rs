//! `POST /api/net`, `fazt net allow`.

use fazt_sdk::prelude::*;

use super::net_list::RuleRow;
use super::{Node, Parts};
use crate::egress::Pattern;

struct Allow(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// `api.example.com`, or `*.example.com` for all below it; with `:PORT` if it is not 80 or 443.
    host: String,
    /// Id or alias of the app; all apps without it.
    app: Option<String>,
    /// Plain HTTP too.
    #[serde(default)]
    http: bool,
}

impl Operate for Allow {
    type Input = Input;
    type Output = RuleRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<RuleRow> {
        let core = self.0.core()?;
        let pattern = Pattern::parse(&input.host)?;
        let app = match input.app {
            Some(app) => Some(core.find_app(call, &app)?.id),
            None => None,
        };
        let rule = core.egress.rules.allow(app, pattern, input.http).await?;
        Ok(RuleRow::of(&core, &rule))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Allow(parts.node());
    parts
        .operation(
            Operation::post::<Allow>("/api/net")
                .summary("Allows an app, or all, to connect to a host, and from then on to nothing that is not allowed")
                .error("BAD_HOST")
                .error("TOO_MANY")
                .error("NO_SUCH_APP")
                .example(serde_json::json!({"host": "api.example.com", "app": "blog"})),
            run,
        )
        .command(
            Command::new("net allow")
                .about("Allow an app, or all, to connect to a host, and to nothing else")
                .example("net allow api.example.com --app blog")
                .argument(Argument::required(
                    "host",
                    "A host, or *.HOST for all below it; with :PORT if it is not 80 or 443",
                ))
                .argument(Argument::option("app", "Id or alias of the app; all apps without it"))
                .argument(Argument::switch("http", "Plain HTTP too"))
                .calls("POST /api/net")
                .says("{scope} may connect to {host} ({protocol}), and to nothing that is not allowed"),
        )
}
