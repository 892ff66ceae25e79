//! `GET /api/peers`. The command can ask whether they answer, so it has code of its own.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::peers::Peer;

struct ListPeers(Node);

/// A known node, without its token.
#[derive(Serialize, JsonSchema)]
pub(super) struct PeerRow {
    name: String,
    url: String,
    /// Whether commands go there when they name no node.
    default: bool,
    created_at_ms: u64,
}

impl From<Peer> for PeerRow {
    fn from(peer: Peer) -> Self {
        Self {
            name: peer.name,
            url: peer.url,
            default: peer.is_default,
            created_at_ms: peer.created_at_ms,
        }
    }
}

impl Operate for ListPeers {
    type Input = NoInput;
    type Output = Vec<PeerRow>;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vec<PeerRow>> {
        let peers = self.0.core()?.peers.all().await?;
        Ok(peers.into_iter().map(PeerRow::from).collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListPeers(parts.node());
    parts.operation(
        Operation::get::<ListPeers>("/api/peers")
            .summary("The address book of this node, without tokens")
            .scope(Scope::Admin),
        run,
    )
}
