//! `POST /api/storage/{app}/sign/{path...}`: an address that anybody may use for a while.

use std::time::Duration;

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::objects::Objects as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument};

/// Signs an address.
#[derive(Debug)]
pub(crate) struct SignObject(pub(super) Context);

fn hour() -> u64 {
    3_600
}

/// Of which object, and for how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose object it is; without one, what is shared.
    user: Option<String>,
    /// Its path.
    path: String,
    /// For how many seconds, up to a week.
    #[serde(default = "hour")]
    expires_in_s: u64,
}

/// The address.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Path and query on the app's hosts.
    url: String,
}

impl SignObject {
    pub(super) const KEY: &str = "POST /api/storage/{app}/sign/{path...}";

    pub(super) fn operation() -> Operation {
        Operation::post::<Self>("/api/storage/{app}/sign/{path...}")
            .summary("An address of an object that anybody may use for a while")
            .example(
                fazt_sdk::json!({ "app": "blog", "path": "photos/cat.jpg", "expires_in_s": 60 }),
            )
    }

    pub(super) fn command() -> Command {
        Command::new("storage objects sign")
            .about("Make an address of an object that anybody may use for a while")
            .example("storage objects sign blog photos/cat.jpg --expires-in-s 60")
            .argument(app_argument())
            .argument(Argument::required("path", "Its path"))
            .argument(Argument::option("expires_in_s", "For how many seconds; 3600 without it"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{url}")
    }
}

impl Operate for SignObject {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        let valid = Duration::from_secs(input.expires_in_s);
        let url = self.0.objects.sign(&call, &space(input.user), &input.path, valid).await?;
        Ok(Output { url })
    }
}
