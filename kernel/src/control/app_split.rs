//! `POST /api/aliases/{name}/split`, `fazt app split`.

use fazt_sdk::prelude::*;

use super::alias_list::AliasRow;
use super::{Node, Parts, required_list};
use crate::directory::Share;

struct Split(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The label below the node's domain.
    name: String,
    /// Two to ten apps; their weights add up to 100.
    targets: Vec<TargetInput>,
}

/// One app of a split.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum TargetInput {
    /// `APP:WEIGHT`.
    Text(String),
    /// In parts.
    Parts(TargetParts),
}

/// One app of a split.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetParts {
    /// Id or alias.
    #[serde(alias = "app_id")]
    app: String,
    /// Visitors of each hundred.
    weight: u8,
}

impl TargetInput {
    fn parts(&self) -> Result<(&str, u8)> {
        match self {
            Self::Parts(parts) => Ok((&parts.app, parts.weight)),
            Self::Text(text) => text
                .rsplit_once(':')
                .and_then(|(app, weight)| Some((app, weight.parse().ok()?)))
                .ok_or_else(|| {
                    Error::invalid(format!(
                        "`{text}` is no app with its weight; write it as in blog:90"
                    ))
                    .with_code("BAD_SPLIT")
                }),
        }
    }
}

impl Operate for Split {
    type Input = Input;
    type Output = AliasRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<AliasRow> {
        let core = self.0.core()?;
        let share = |target: &TargetInput| {
            let (app, weight) = target.parts()?;
            Ok(Share { app: core.find_app(call, app)?.id, weight })
        };
        let shares = input.targets.iter().map(share).collect::<Result<Vec<_>>>()?;
        Ok(AliasRow::from(&core.directory.split(&core.label(&input.name), shares).await?))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Split(parts.node());
    parts
        .operation(
            Operation::post::<Split>("/api/aliases/{name}/split")
                .summary("Makes an alias lead each visitor to one of several apps, by weight; a visitor who comes back sees the same one")
                .error("BAD_SPLIT")
                .error("BAD_NAME")
                .error("NO_SUCH_APP")
                .example(serde_json::json!({"name": "blog", "targets": ["blog:90", "blog-next:10"]})),
            run,
        )
        .command(
            Command::new("app split")
                .about("Share the visitors of an alias out between apps")
                .example("app split blog --targets blog:90,blog-next:10")
                .argument(Argument::required("name", "The alias; it is added when it is not there"))
                .argument(required_list(
                    "targets",
                    "Apps with their weights, APP:WEIGHT; the weights add up to 100",
                ))
                .calls("POST /api/aliases/{name}/split")
                .says("{name} is shared out: {target}"),
        )
}
