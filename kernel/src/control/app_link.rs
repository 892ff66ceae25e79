//! `PUT /api/aliases/{name}`, `fazt app link`; `fazt app unlink` takes the name away again.

use fazt_sdk::prelude::*;

use super::alias_list::AliasRow;
use super::{Node, Parts, required_option};

struct Link(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The label below the node's domain.
    name: String,
    /// Id or alias of the app that it leads to from now on.
    app: String,
}

impl Operate for Link {
    type Input = Input;
    type Output = AliasRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<AliasRow> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?;
        Ok(AliasRow::from(&core.directory.link(&core.label(&input.name), app.id).await?))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Link(parts.node());
    parts
        .operation(
            Operation::put::<Link>("/api/aliases/{name}")
                .summary("Makes an alias lead to an app, whatever it led to before")
                .error("BAD_NAME")
                .error("NO_SUCH_APP")
                .example(serde_json::json!({"name": "www", "app": "blog"})),
            run,
        )
        .command(
            Command::new("app link")
                .about("Make an alias lead to an app, whatever it led to before")
                .example("app link www --app blog")
                .argument(Argument::required("name", "The alias; it is added when it is not there"))
                .argument(required_option("app", "Id or alias of the app"))
                .calls("PUT /api/aliases/{name}")
                .says("{name} now leads to {target}"),
        )
        .command(
            Command::new("app unlink")
                .about("Take an alias away from its app; the app stays")
                .example("app unlink www")
                .argument(Argument::required("name", "The alias"))
                .calls("DELETE /api/aliases/{name}")
                .says("{name} leads nowhere now; the app stays"),
        )
}
