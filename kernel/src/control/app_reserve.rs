//! `POST /api/aliases/{name}/reserve`, `fazt app reserve`.

use fazt_sdk::prelude::*;

use super::alias_list::AliasRow;
use super::{Node, Parts};

struct Reserve(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The label below the node's domain.
    name: String,
}

impl Operate for Reserve {
    type Input = Input;
    type Output = AliasRow;

    async fn operate(&self, _: &Call, input: Input) -> Result<AliasRow> {
        let core = self.0.core()?;
        Ok(AliasRow::from(&core.directory.reserve(&core.label(&input.name)).await?))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Reserve(parts.node());
    parts
        .operation(
            Operation::post::<Reserve>("/api/aliases/{name}/reserve")
                .summary(
                    "Keeps a name free: no app is deployed under it, and it answers as unknown",
                )
                .error("ALIAS_TAKEN")
                .error("BAD_NAME")
                .example(serde_json::json!({"name": "shop"})),
            run,
        )
        .command(
            Command::new("app reserve")
                .about("Keep a name free, so that nothing is deployed under it")
                .example("app reserve shop")
                .argument(Argument::required("name", "The alias"))
                .calls("POST /api/aliases/{name}/reserve")
                .says("{name} is reserved"),
        )
}
