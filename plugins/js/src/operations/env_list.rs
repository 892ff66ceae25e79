//! `GET /api/apps/{app}/env`, `fazt app env list`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;

use super::app;
use crate::store::{Store, Variable};

pub(crate) struct ListEnv {
    pub(crate) apps: Service<AppsApi>,
    pub(crate) store: Store,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
}

impl ListEnv {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/env";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/env")
            .summary("The variables of an app's code")
            .example(fazt_sdk::json!({ "app": "blog" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app env list")
            .about("List the variables of an app's code")
            .example("app env list blog")
            .argument(Argument::required("app", "Id or alias of the app"))
            .calls(Self::KEY)
            .column("NAME", "name")
            .column("VALUE", "value")
    }
}

impl Operate for ListEnv {
    type Input = Input;
    type Output = Vec<Variable>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<Variable>> {
        let app = app(&self.apps, call, &input.app).await?;
        self.store.variables(app)
    }
}
