//! `DELETE /api/apps/{app}/env/{name}`, `fazt app env unset`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::Store;

pub(crate) struct RemoveEnv {
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

impl RemoveEnv {
    pub(crate) const KEY: &str = "DELETE /api/apps/{app}/env/{name}";

    pub(crate) fn operation() -> Operation {
        Operation::delete::<Self>("/api/apps/{app}/env/{name}")
            .summary("Removes a variable of an app's code")
            .example(fazt_sdk::json!({ "app": "blog", "name": "MODE" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app env unset")
            .about("Remove a variable of an app's code")
            .example("app env unset blog MODE")
            .argument(Argument::required("app", "Id or alias of the app"))
            .argument(Argument::required("name", "Its name"))
            .calls(Self::KEY)
            .says("{name} is gone")
    }
}

impl Operate for RemoveEnv {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let app = app(&self.apps, call, &input.app).await?;
        self.store.remove_variable(app, &input.name).await?;
        Ok(Output { name: input.name })
    }
}
