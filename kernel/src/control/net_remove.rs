//! `DELETE /api/net/{host}`, `fazt net remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::egress::Pattern;

struct Remove(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// As `fazt net list` shows it.
    host: String,
    /// Id or alias of the app that it is for; without it the rule for all apps.
    app: Option<String>,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    host: String,
    /// How many rules still hold for the app, or for all.
    left: usize,
}

impl Operate for Remove {
    type Input = Input;
    type Output = Removed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Removed> {
        let core = self.0.core()?;
        let pattern = Pattern::parse(&input.host)?;
        let app = match input.app {
            Some(app) => Some(core.find_app(call, &app)?.id),
            None => None,
        };
        let host = pattern.to_string();
        core.egress.rules.remove(app, pattern).await?;
        let rules = core.egress.rules.now();
        let left = rules.iter().filter(|rule| rule.app.is_none() || rule.app == app).count();
        Ok(Removed { host, left })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Remove(parts.node());
    parts
        .operation(
            Operation::delete::<Remove>("/api/net/{host}")
                .summary("Takes a rule back; an app that no rule holds for reaches every public address again")
                .error("BAD_HOST")
                .error("NO_SUCH_RULE")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("net remove")
                .about("Take back what an app, or all, may connect to")
                .example("net remove api.example.com --app blog")
                .argument(Argument::required("host", "As `fazt net list` shows it"))
                .argument(Argument::option("app", "Id or alias of the app; without it the rule for all apps"))
                .calls("DELETE /api/net/{host}")
                .says("removed {host}; {left} rules are left that hold there, and without any every public address is open"),
        )
}
