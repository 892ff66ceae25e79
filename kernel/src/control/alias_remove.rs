//! `DELETE /api/aliases/{name}`, `fazt alias remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RemoveAlias(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    name: String,
}

impl Operate for RemoveAlias {
    type Input = Input;
    type Output = Removed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Removed> {
        let core = self.0.core()?;
        let name = core.label(&input.name);
        core.directory.remove_alias(&name, call.limited_to()).await?;
        Ok(Removed { name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemoveAlias(parts.node());
    parts
        .operation(
            Operation::delete::<RemoveAlias>("/api/aliases/{name}")
                .summary("Removes an alias; the app stays")
                .for_app_keys(),
            run,
        )
        .command(
            Command::new("alias remove")
                .about("Remove an alias; the app stays")
                .example("alias remove www")
                .argument(Argument::required("name", "The alias"))
                .calls("DELETE /api/aliases/{name}")
                .says("removed the alias {name}"),
        )
}
