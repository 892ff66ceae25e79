//! `DELETE /api/peers/{name}`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RemovePeer(Node);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeerName {
    /// The peer.
    name: String,
}

impl Operate for RemovePeer {
    type Input = PeerName;
    type Output = PeerName;

    async fn operate(&self, _: &Call, input: PeerName) -> Result<PeerName> {
        self.0.core()?.peers.remove(&input.name).await?;
        Ok(input)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemovePeer(parts.node());
    parts.operation(
        Operation::delete::<RemovePeer>("/api/peers/{name}")
            .summary("Forgets a peer and its token")
            .error("NO_SUCH_PEER"),
        run,
    )
}
