//! `PUT /api/apps/{app}/env/{name}`, `fazt app env set`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::Store;

pub(crate) struct SetEnv {
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
}

/// What was changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The name.
    name: String,
}

impl SetEnv {
    pub(crate) const KEY: &str = "PUT /api/apps/{app}/env/{name}";

    pub(crate) fn operation() -> Operation {
        Operation::put::<Self>("/api/apps/{app}/env/{name}")
            .summary("Sets a variable of an app's code")
            .example(fazt_sdk::json!({ "app": "blog", "name": "MODE", "value": "fast" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app env set")
            .about("Set a variable of an app's code: it counts from the next request on")
            .example("app env set blog MODE fast")
            .argument(Argument::required("app", "Id or alias of the app"))
            .argument(Argument::required("name", "Its name"))
            .argument(Argument::required("value", "Its value"))
            .calls(Self::KEY)
            .says("{name} is set")
    }
}

impl Operate for SetEnv {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let app = app(&self.apps, call, &input.app).await?;
        self.store.set_variable(app, &input.name, &input.value).await?;
        Ok(Output { name: input.name })
    }
}
