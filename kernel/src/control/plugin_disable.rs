//! `POST /api/plugins/{name}/disable`, `fazt plugin disable`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct DisablePlugin(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    /// Also those that require it.
    #[serde(default)]
    cascade: bool,
}

/// What was stopped, in order.
#[derive(Serialize, JsonSchema)]
struct Disabled {
    name: String,
    stopped: Vec<String>,
}

impl Operate for DisablePlugin {
    type Input = Input;
    type Output = Disabled;

    async fn operate(&self, _: &Call, input: Input) -> Result<Disabled> {
        let stopped = self.0.core()?.registry.disable(&input.name, input.cascade).await?;
        Ok(Disabled { name: input.name, stopped })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = DisablePlugin(parts.node());
    parts
        .operation(
            Operation::post::<DisablePlugin>("/api/plugins/{name}/disable")
                .summary("Stops a plugin and keeps it stopped")
                .error("REQUIRED_BY_OTHERS"),
            run,
        )
        .command(
            Command::new("plugin disable")
                .about("Stop a plugin and keep it stopped; its data stays")
                .example("plugin disable template")
                .argument(Argument::required("name", "The plugin"))
                .argument(Argument::switch("cascade", "Also those that require it"))
                .calls("POST /api/plugins/{name}/disable")
                .says("{name} is disabled; stopped: {stopped}"),
        )
}
