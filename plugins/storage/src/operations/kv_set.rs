//! `PUT /api/storage/{app}/kv`: puts a value under a key.

use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::kv::Kv as _;
use fazt_sdk::{Json, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, given, space, user_argument};

/// Sets a value.
#[derive(Debug)]
pub(crate) struct SetValue(pub(super) Context);

/// What goes where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose value it is; without one, what is shared.
    user: Option<String>,
    /// The key.
    key: String,
    /// The value.
    value: Option<Json>,
    /// The value as JSON text, in place of `value`.
    json: Option<String>,
    /// For how many milliseconds; for good without it.
    ttl_ms: Option<u64>,
}

/// What was set.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The key.
    key: String,
    /// Grows with every write in the app.
    version: u64,
}

impl SetValue {
    pub(super) const KEY: &str = "PUT /api/storage/{app}/kv";

    pub(super) fn operation() -> Operation {
        Operation::put::<Self>("/api/storage/{app}/kv")
            .summary("Put a value under a key")
            .error("VALUE_TOO_LARGE")
            .error("QUOTA_EXCEEDED")
            .error("NUMBER_NOT_EXACT")
            .example(fazt_sdk::json!({ "app": "blog", "key": "visits:home", "value": 7 }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage kv set")
            .about("Put a value under a key")
            .example("storage kv set blog title '\"My blog\"'")
            .argument(app_argument())
            .argument(Argument::required("key", "The key"))
            .argument(Argument::required("json", "The value as JSON; text with its quotes"))
            .argument(user_argument())
            .argument(Argument::option("ttl_ms", "For how many milliseconds; for good without it"))
            .calls(Self::KEY)
            .says("{key} is set")
    }
}

impl Operate for SetValue {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        let value = given(input.value, input.json)?;
        let ttl = input.ttl_ms.map(Duration::from_millis);
        let version = self.0.values.set(&call, &space(input.user), &input.key, &value, ttl).await?;
        Ok(Output { key: input.key, version })
    }
}
