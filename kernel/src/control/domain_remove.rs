//! `DELETE /api/domains/{name}`, `fazt domain remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::domain_name;

struct RemoveDomain(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The whole host name.
    name: String,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    name: String,
}

impl Operate for RemoveDomain {
    type Input = Input;
    type Output = Removed;

    async fn operate(&self, _: &Call, input: Input) -> Result<Removed> {
        let name = domain_name::spelled(&input.name);
        self.0.core()?.directory.remove_domain(&name).await?;
        Ok(Removed { name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemoveDomain(parts.node());
    parts
        .operation(
            Operation::delete::<RemoveDomain>("/api/domains/{name}")
                .summary("Removes a domain; the app stays")
                .error("NO_SUCH_DOMAIN"),
            run,
        )
        .command(
            Command::new("domain remove")
                .about("Remove a domain; the app stays")
                .example("domain remove www.example.com")
                .argument(Argument::required("name", "The whole host name"))
                .calls("DELETE /api/domains/{name}")
                .says("removed the domain {name}"),
        )
}
