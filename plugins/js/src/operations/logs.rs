//! `GET /api/apps/{app}/logs`, which `fazt app logs` asks.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::log::LogSink;
use crate::settings::Limits;
use crate::store::{Logged, Store};

/// Lines of one answer.
const LINES_MAX: u32 = 1_000;

/// The longest that an answer waits for a line.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) struct Logs {
    pub(crate) host: Host,
    pub(crate) apps: Service<AppsApi>,
    pub(crate) store: Store,
    pub(crate) sink: Arc<LogSink>,
    pub(crate) limits: Arc<Limits>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
    /// How many lines, at most 1000; 100 without it.
    limit: Option<u32>,
    /// Only lines after the one with this id.
    after: Option<u64>,
    /// How long to wait for a line when there is none, in milliseconds, at most 25000.
    wait_ms: Option<u64>,
}

impl Logs {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/logs";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/logs")
            .summary("What an app's code said lately, the oldest line first")
            .example(fazt_sdk::json!({ "app": "blog", "limit": 100 }))
    }
}

impl Operate for Logs {
    type Input = Input;
    type Output = Vec<Logged>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<Logged>> {
        let app = app(&self.apps, call, &input.app).await?;
        let limit = input.limit.unwrap_or(100).min(LINES_MAX);
        let wait = Duration::from_millis(input.wait_ms.unwrap_or(0)).min(WAIT_MAX);
        // Whoever asks sees what was said until now.
        let Limits { log_rows, log_bytes, .. } = *self.limits;
        self.sink.write(&self.host, &self.store, log_rows, log_bytes).await?;
        let clock = self.host.clock();
        let until = clock.monotonic() + wait;
        loop {
            let lines = self.store.lines(app, input.after, limit)?;
            if !lines.is_empty() || clock.monotonic() >= until {
                return Ok(lines);
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }
}
