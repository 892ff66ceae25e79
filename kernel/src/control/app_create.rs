//! `POST /api/apps`, which `fazt app create` calls.

use fazt_sdk::prelude::*;
use fazt_sdk::services::apps::App;

use super::{Node, Parts};

struct CreateApp(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The name, also the label below the node's domain.
    name: String,
}

impl Operate for CreateApp {
    type Input = Input;
    type Output = App;

    async fn operate(&self, _: &Call, input: Input) -> Result<App> {
        let core = self.0.core()?;
        let app = core.directory.create(&core.label(&input.name), core.new_app_id()?).await?;
        Ok(core.app_record(&core.directory.now(), &app))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = CreateApp(parts.node());
    parts.operation(
        Operation::post::<CreateApp>("/api/apps")
            .summary("Makes an empty app, with an alias of its name")
            .error("ALIAS_TAKEN")
            .error("BAD_NAME")
            .example(serde_json::json!({"name": "blog"})),
        run,
    )
}
