//! `POST /api/plugins/{name}/enable`, `fazt plugin enable`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct EnablePlugin(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
}

/// What was started.
#[derive(Serialize, JsonSchema)]
struct Enabled {
    name: String,
    started: Vec<String>,
}

impl Operate for EnablePlugin {
    type Input = Input;
    type Output = Enabled;

    async fn operate(&self, _: &Call, input: Input) -> Result<Enabled> {
        let started = self.0.core()?.registry.enable(&input.name).await?;
        Ok(Enabled { name: input.name, started })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = EnablePlugin(parts.node());
    parts
        .operation(
            Operation::post::<EnablePlugin>("/api/plugins/{name}/enable")
                .summary("Enables a plugin and starts it with all that it requires")
                .error("REQUIREMENT_MISSING"),
            run,
        )
        .command(
            Command::new("plugin enable")
                .about("Enable a plugin and start it with all that it requires")
                .example("plugin enable hosting")
                .argument(Argument::required("name", "The plugin"))
                .calls("POST /api/plugins/{name}/enable")
                .says("{name} is enabled; started: {started}"),
        )
}
