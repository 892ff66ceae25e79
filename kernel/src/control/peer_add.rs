//! `POST /api/peers`. The command reads the token, so it has code of its own.

use fazt_sdk::prelude::*;

use super::peer_list::PeerRow;
use super::{Node, Parts};

struct AddPeer(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the node is to be called here.
    name: String,
    /// Its address, as in `https://example.com`.
    url: String,
    /// An API key of that node. It is stored sealed.
    token: String,
}

impl Operate for AddPeer {
    type Input = Input;
    type Output = PeerRow;

    async fn operate(&self, _: &Call, input: Input) -> Result<PeerRow> {
        let core = self.0.core()?;
        let added = core.peers.add(&core.secrets, &input.name, &input.url, &input.token).await?;
        Ok(added.into())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = AddPeer(parts.node());
    parts.operation(
        Operation::post::<AddPeer>("/api/peers")
            .summary("Adds another node to the address book of this one")
            .example(
                serde_json::json!({"name": "home", "url": "https://example.com", "token": "fzt_…"}),
            )
            .error("PEER_EXISTS"),
        run,
    )
}
