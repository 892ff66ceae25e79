//! `GET /api/storage/{app}/kv/value`: the value under one key.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command, Format};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::kv::Kv as _;
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::kv_list::ValueView;
use super::{Context, app_argument, space, user_argument};

/// Shows a value.
#[derive(Debug)]
pub(crate) struct GetValue(pub(super) Context);

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

impl GetValue {
    pub(super) const KEY: &str = "GET /api/storage/{app}/kv/value";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/kv/value")
            .summary("The value under one key")
            .example(fazt_sdk::json!({ "app": "blog", "key": "visits:home" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage kv get")
            .about("Show the value under one key")
            .example("storage kv get blog visits:home")
            .argument(app_argument())
            .argument(Argument::required("key", "The key"))
            .argument(user_argument())
            .calls(Self::KEY)
            .column("KEY", "key")
            .column("VALUE", "value")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column_as("EXPIRES", "expires_at_ms", Format::Time)
    }
}

impl Operate for GetValue {
    type Input = Input;
    type Output = ValueView;

    async fn operate(&self, call: &Call, input: Input) -> Result<ValueView> {
        let call = self.0.call(call, &input.app).await?;
        let found = self.0.values.get(&call, &space(input.user), &input.key).await?;
        let entry = found.ok_or_else(|| {
            Error::not_found(format!("the app keeps nothing under `{}`", input.key))
        })?;
        ValueView::new(input.key, &entry)
    }
}
