//! `DELETE /api/storage/{app}/kv`: removes one key.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::kv::Kv as _;
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument};

/// Removes a value.
#[derive(Debug)]
pub(crate) struct DeleteValue(pub(super) Context);

/// Which value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose value it is; without one, what is shared.
    user: Option<String>,
    /// The key.
    key: String,
}

/// What was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The key.
    key: String,
}

impl DeleteValue {
    pub(super) const KEY: &str = "DELETE /api/storage/{app}/kv";

    pub(super) fn operation() -> Operation {
        Operation::delete::<Self>("/api/storage/{app}/kv")
            .summary("Remove the value under one key")
            .example(fazt_sdk::json!({ "app": "blog", "key": "visits:home" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage kv delete")
            .about("Remove the value under one key")
            .example("storage kv delete blog visits:home")
            .argument(app_argument())
            .argument(Argument::required("key", "The key"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{key} is gone")
    }
}

impl Operate for DeleteValue {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        if !self.0.values.delete(&call, &space(input.user), &input.key).await? {
            return Err(Error::not_found(format!("the app keeps nothing under `{}`", input.key)));
        }
        Ok(Output { key: input.key })
    }
}
