//! `GET /api/template/{app}/greetings`, `fazt template top`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::{Apps as _, AppsApi};

use crate::store::{Counted, Store};

pub(crate) struct TopGreetings {
    store: Store,
    apps: Service<AppsApi>,
}

impl TopGreetings {
    pub(crate) fn new(store: Store, apps: Service<AppsApi>) -> Self {
        Self { store, apps }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
    /// How many, at most 1000.
    limit: Option<u32>,
}

impl Operate for TopGreetings {
    type Input = Input;
    type Output = Vec<Counted>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<Counted>> {
        let app = self.apps.find(call, &input.app).await?;
        let app = app.ok_or_else(|| {
            Error::not_found(format!(
                "there is no app `{}`; `fazt app list` shows those that are there",
                input.app
            ))
        })?;
        call.check_app(app.id)?;
        self.store.top(app.id, input.limit.unwrap_or(10).min(1_000))
    }
}
