//! `POST /api/aliases/swap`, `fazt app swap`.

use fazt_sdk::prelude::*;

use super::alias_list::AliasRow;
use super::{Node, Parts};

struct Swap(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// One alias.
    alias1: String,
    /// The other.
    alias2: String,
}

impl Operate for Swap {
    type Input = Input;
    type Output = Vec<AliasRow>;

    async fn operate(&self, _: &Call, input: Input) -> Result<Vec<AliasRow>> {
        let core = self.0.core()?;
        let (one, other) = (core.label(&input.alias1), core.label(&input.alias2));
        let swapped = core.directory.swap(&one, &other).await?;
        Ok(swapped.iter().map(AliasRow::from).collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Swap(parts.node());
    parts
        .operation(
            Operation::post::<Swap>("/api/aliases/swap")
                .summary("Exchanges what two aliases lead to, at one moment")
                .error("NO_SUCH_ALIAS")
                .example(serde_json::json!({"alias1": "blog", "alias2": "blog-next"})),
            run,
        )
        .command(
            Command::new("app swap")
                .about("Exchange what two aliases lead to, at one moment")
                .example("app swap blog blog-next")
                .argument(Argument::required("alias1", "One alias"))
                .argument(Argument::required("alias2", "The other"))
                .calls("POST /api/aliases/swap")
                .column("NAME", "name")
                .column("KIND", "kind")
                .column("TARGET", "target"),
        )
}
