//! `DELETE /api/apps/{app}/secrets/{name}`, `fazt secret remove`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::Store;

pub(crate) struct RemoveSecret {
    pub(crate) apps: Service<AppsApi>,
    pub(crate) store: Store,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
    /// Its name.
    name: String,
}

/// What was changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The name.
    name: String,
}

impl RemoveSecret {
    pub(crate) const KEY: &str = "DELETE /api/apps/{app}/secrets/{name}";

    pub(crate) fn operation() -> Operation {
        Operation::delete::<Self>("/api/apps/{app}/secrets/{name}")
            .summary("Removes a secret of an app")
            .example(fazt_sdk::json!({ "app": "blog", "name": "MAIL_KEY" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("secret remove")
            .about("Remove a secret of an app")
            .example("secret remove blog MAIL_KEY")
            .argument(Argument::required("app", "Id or alias of the app"))
            .argument(Argument::required("name", "Its name"))
            .calls(Self::KEY)
            .says("{name} is gone")
    }
}

impl Operate for RemoveSecret {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let app = app(&self.apps, call, &input.app).await?;
        self.store.remove_secret(app, &input.name).await?;
        Ok(Output { name: input.name })
    }
}
