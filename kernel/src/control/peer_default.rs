//! `PUT /api/peers/default`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct SetDefault(Node);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeerName {
    /// The peer; `local` for this machine.
    name: String,
}

impl Operate for SetDefault {
    type Input = PeerName;
    type Output = PeerName;

    async fn operate(&self, _: &Call, input: PeerName) -> Result<PeerName> {
        self.0.core()?.peers.set_default(&input.name).await?;
        Ok(input)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = SetDefault(parts.node());
    parts.operation(
        Operation::put::<SetDefault>("/api/peers/default")
            .summary("Chooses the peer that commands go to when they name none")
            .example(serde_json::json!({"name": "home"}))
            .error("NO_SUCH_PEER"),
        run,
    )
}
