//! `GET /api/storage/{app}/usage`: what an app keeps.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::{Command, Format};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::AppData as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument};
use crate::place::app_of;

/// Shows usage.
#[derive(Debug)]
pub(crate) struct Usage(pub(super) Context);

/// Of which app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
}

/// How much of one thing an app keeps.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageView {
    /// What is counted.
    what: String,
    /// How many.
    count: u64,
    /// Bytes of all together.
    size_bytes: u64,
}

impl Usage {
    pub(super) const KEY: &str = "GET /api/storage/{app}/usage";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/usage")
            .summary("What an app keeps, and how much of it")
            .example(fazt_sdk::json!({ "app": "blog" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage usage")
            .about("Show what an app keeps, and how much of it")
            .example("storage usage blog")
            .argument(app_argument())
            .calls(Self::KEY)
            .column("WHAT", "what")
            .column("COUNT", "count")
            .column_as("SIZE", "size_bytes", Format::Bytes)
    }
}

impl Operate for Usage {
    type Input = Input;
    type Output = Vec<UsageView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let call = self.0.call(call, &input.app).await?;
        let usage = self.0.data.usage(&call, app_of(&call)?).await?;
        let view = |usage: fazt_sdk::services::app_data::Usage| UsageView {
            what: usage.what,
            count: usage.count,
            size_bytes: usage.bytes,
        };
        Ok(usage.into_iter().map(view).collect())
    }
}
