//! `GET /api/net`, `fazt net list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::Core;
use crate::egress::Rule;

struct ListRules(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of an app: what holds for it, its own rules and those for all.
    app: Option<String>,
}

/// A rule about where apps may connect to.
#[derive(Serialize, JsonSchema)]
pub(super) struct RuleRow {
    /// `api.example.com` or `*.example.com`, with a port unless it is the scheme's own.
    host: String,
    /// Name of the app; `all apps` for a rule that holds for all.
    scope: String,
    /// Id of the app.
    app: Option<AppId>,
    /// `https`, or `http and https`.
    protocol: &'static str,
    created_at_ms: u64,
}

impl RuleRow {
    pub(super) fn of(core: &Core, rule: &Rule) -> Self {
        let directory = core.directory.now();
        let named = |id| directory.app(id).map_or_else(|| id.to_string(), |app| app.name.clone());
        Self {
            host: rule.pattern.to_string(),
            scope: rule.app.map_or_else(|| "all apps".to_owned(), named),
            app: rule.app,
            protocol: if rule.plain { "http and https" } else { "https" },
            created_at_ms: rule.created_at_ms,
        }
    }
}

impl Operate for ListRules {
    type Input = Input;
    type Output = Vec<RuleRow>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<RuleRow>> {
        let core = self.0.core()?;
        let only = match input.app {
            Some(app) => Some(core.find_app(call, &app)?.id),
            None => None,
        };
        let holds = |rule: &&Rule| only.is_none() || rule.app.is_none() || rule.app == only;
        Ok(core
            .egress
            .rules
            .now()
            .iter()
            .filter(holds)
            .map(|rule| RuleRow::of(&core, rule))
            .collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListRules(parts.node());
    parts
        .operation(
            Operation::get::<ListRules>("/api/net")
                .summary("Where apps may connect to; an app that no rule holds for reaches every public address")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("net list")
                .about("List where apps may connect to")
                .example("net list --app blog")
                .argument(Argument::option("app", "Id or alias of an app: what holds for it"))
                .calls("GET /api/net")
                .column("HOST", "host")
                .column("SCOPE", "scope")
                .column("PROTOCOL", "protocol")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
        )
}
