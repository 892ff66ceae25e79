//! `POST /api/apps/{app}/rollback`: serves an older deployment again.

use std::sync::Arc;

use fazt_sdk::Result;
use fazt_sdk::prelude::{Argument, Call, Command, Operate, Operation, Scope};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{DeploymentView, find_app};
use crate::deploy::Deploys;

/// Rolls back.
#[derive(Debug)]
pub(crate) struct RollBack {
    pub(crate) deploys: Arc<Deploys>,
}

/// Which app, to what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The version; the one before the active when left out.
    #[serde(default)]
    to: Option<u64>,
}

impl RollBack {
    pub(crate) const KEY: &str = "POST /api/apps/{app}/rollback";

    pub(crate) fn operation() -> Operation {
        Operation::post::<Self>("/api/apps/{app}/rollback")
            .summary("Serve an older deployment again")
            .scope(Scope::Deploy)
            .example(serde_json::json!({ "app": "blog", "to": 3 }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app rollback")
            .about("Serve an older deployment again")
            .example("app rollback blog --to 3")
            .argument(Argument::required("app", "The app: its id or an alias"))
            .argument(Argument::option(
                "to",
                "The version; the one before the active when left out",
            ))
            .calls(Self::KEY)
            .says("version {version} is active again")
    }
}

impl Operate for RollBack {
    type Input = Input;
    type Output = DeploymentView;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let app = find_app(&self.deploys.apps, call, &input.app).await?;
        let deployment = self.deploys.roll_back(call, app.id, input.to).await?;
        Ok(DeploymentView::new(deployment, true, &app.urls))
    }
}
