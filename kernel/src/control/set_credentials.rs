//! `PUT /api/credentials`, `fazt server set-credentials`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct SetCredentials(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    username: String,
    /// 10 to 1024 bytes.
    password: String,
}

/// Whose credentials were set.
#[derive(Serialize, JsonSchema)]
struct Set {
    username: String,
}

impl Operate for SetCredentials {
    type Input = Input;
    type Output = Set;

    async fn operate(&self, call: &Call, input: Input) -> Result<Set> {
        if !matches!(call.principal(), Principal::Owner) {
            return Err(Error::denied("only the owner sets the owner's password"));
        }
        self.0.core()?.access.set_credentials(&input.username, &input.password).await?;
        Ok(Set { username: input.username })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = SetCredentials(parts.node());
    parts
        .operation(
            Operation::put::<SetCredentials>("/api/credentials")
                .summary("Sets the owner's username and password, and ends all sessions")
                .error("BAD_PASSWORD"),
            run,
        )
        .command(
            Command::new("server set-credentials")
                .about("Set the owner's username and password")
                .example("server set-credentials --username me --password '…'")
                .argument(Argument {
                    required: true,
                    ..Argument::option("username", "The owner's name")
                })
                .argument(Argument {
                    required: true,
                    ..Argument::option("password", "At least 10 characters")
                })
                .calls("PUT /api/credentials")
                .says("{username} can sign in now; open sessions have ended"),
        )
}
