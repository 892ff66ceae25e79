//! `PUT /api/apps/{app}/secrets/{name}`, `fazt secret set`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::Store;

pub(crate) struct SetSecret {
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
    /// Its value, at most 64 KiB.
    value: String,
    /// Whether the app's code sees it, as a variable. Without it, it never enters a cell.
    env: Option<bool>,
}

/// What was changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The name.
    name: String,
}

impl SetSecret {
    pub(crate) const KEY: &str = "PUT /api/apps/{app}/secrets/{name}";

    pub(crate) fn operation() -> Operation {
        Operation::put::<Self>("/api/apps/{app}/secrets/{name}")
            .summary("Sets a secret of an app: it is kept sealed")
            .example(
                fazt_sdk::json!({ "app": "blog", "name": "MAIL_KEY", "value": "…", "env": false }),
            )
    }

    pub(crate) fn command() -> Command {
        Command::new("secret set")
            .about("Set a secret of an app; it is kept sealed and never shown again")
            .example("secret set blog MAIL_KEY s3cret")
            .argument(Argument::required("app", "Id or alias of the app"))
            .argument(Argument::required("name", "Its name"))
            .argument(Argument::required("value", "Its value"))
            .argument(Argument::switch("env", "The app's code sees it, as a variable"))
            .calls(Self::KEY)
            .says("{name} is set")
    }
}

impl Operate for SetSecret {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let app = app(&self.apps, call, &input.app).await?;
        let in_env = input.env.unwrap_or(false);
        self.store.set_secret(app, &input.name, &input.value, in_env).await?;
        Ok(Output { name: input.name })
    }
}
