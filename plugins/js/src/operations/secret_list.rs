//! `GET /api/apps/{app}/secrets`, `fazt secret list`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::{Secret, Store};

pub(crate) struct ListSecrets {
    pub(crate) apps: Service<AppsApi>,
    pub(crate) store: Store,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
}

impl ListSecrets {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/secrets";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/secrets")
            .summary("The names of an app's secrets; never their values")
            .example(fazt_sdk::json!({ "app": "blog" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("secret list")
            .about("List the names of an app's secrets; values are never shown")
            .example("secret list blog")
            .argument(Argument::required("app", "Id or alias of the app"))
            .calls(Self::KEY)
            .column("NAME", "name")
            .column("VALUE", "value")
            .column("ENV", "env")
            .column("PLACE", "place")
            .column("HOSTS", "hosts")
            .column_as("CHANGED", "updated_at_ms", fazt_sdk::command::Format::Time)
    }
}

impl Operate for ListSecrets {
    type Input = Input;
    type Output = Vec<Secret>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<Secret>> {
        let app = app(&self.apps, call, &input.app).await?;
        self.store.secrets(app)
    }
}
