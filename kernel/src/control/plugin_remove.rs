//! `DELETE /api/plugins/{name}`, `fazt plugin remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RemovePlugin(Node);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

impl Operate for RemovePlugin {
    type Input = Name;
    type Output = Name;

    async fn operate(&self, _: &Call, input: Name) -> Result<Name> {
        self.0.core()?.registry.remove_library(&input.name).await?;
        Ok(input)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemovePlugin(parts.node());
    parts
        .operation(
            Operation::delete::<RemovePlugin>("/api/plugins/{name}")
                .summary("Takes a library out of the cartridge; its tables stay"),
            run,
        )
        .command(
            Command::new("plugin remove")
                .about("Take a library out of the cartridge; its data stays")
                .example("plugin remove visits")
                .argument(Argument::required("name", "The plugin"))
                .calls("DELETE /api/plugins/{name}")
                .says("removed the plugin {name}"),
        )
}
