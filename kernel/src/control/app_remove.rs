//! `DELETE /api/apps/{app}`, `fazt app remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RemoveApp(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias.
    app: String,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    id: AppId,
    name: String,
}

impl Operate for RemoveApp {
    type Input = Input;
    type Output = Removed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Removed> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?;
        core.remove_app(app.id).await?;
        Ok(Removed { id: app.id, name: app.name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemoveApp(parts.node());
    parts
        .operation(
            Operation::delete::<RemoveApp>("/api/apps/{app}")
                .summary("Removes an app, its aliases and its data"),
            run,
        )
        .command(
            Command::new("app remove")
                .about("Remove an app, its aliases and its data")
                .example("app remove blog")
                .argument(Argument::required("app", "Id or alias of the app"))
                .calls("DELETE /api/apps/{app}")
                .says("removed {name} ({id})"),
        )
}
