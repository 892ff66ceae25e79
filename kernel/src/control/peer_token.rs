//! `GET /api/peers/{name}/token`: how a command on this machine gets the key that it sends to a
//! peer. Never answered over HTTP, whoever asks.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct ReadToken(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The peer.
    name: String,
}

/// A known node and its key, in clear.
#[derive(Serialize, JsonSchema)]
struct Credentials {
    name: String,
    url: String,
    token: String,
}

impl Operate for ReadToken {
    type Input = Input;
    type Output = Credentials;

    async fn operate(&self, _: &Call, input: Input) -> Result<Credentials> {
        let core = self.0.core()?;
        let (peer, token) = core.peers.credentials(&core.secrets, &input.name).await?;
        Ok(Credentials { name: peer.name, url: peer.url, token })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ReadToken(parts.node());
    parts.operation(
        Operation::get::<ReadToken>("/api/peers/{name}/token")
            .summary("A peer's address and token, for commands on this machine only")
            .scope(Scope::Admin)
            .on_this_machine()
            .error("NOT_OVER_HTTP")
            .error("NO_SUCH_PEER"),
        run,
    )
}
