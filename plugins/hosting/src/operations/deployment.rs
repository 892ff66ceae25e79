//! `GET /api/deployments/{id}`: one deployment.

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::{Call, Operate, Operation};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::AppsApi;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{DeploymentView, find_deployment, urls_of};
use crate::store;

/// Tells about one deployment.
#[derive(Debug)]
pub(crate) struct GetDeployment {
    pub(crate) cartridge: Cartridge,
    pub(crate) apps: Service<AppsApi>,
}

/// Which deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The deployment: `dep_` and 12 characters.
    id: String,
}

impl GetDeployment {
    pub(crate) const KEY: &str = "GET /api/deployments/{id}";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/deployments/{id}")
            .summary("One deployment")
            .for_app_keys()
            .example(serde_json::json!({ "id": "dep_4kQ2mZ81xYbT" }))
    }
}

impl Operate for GetDeployment {
    type Input = Input;
    type Output = DeploymentView;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let deployment = find_deployment(&self.cartridge, call, &input.id).await?;
        let app = deployment.app;
        let active = store::read(&self.cartridge, move |reader| store::active(reader, app)).await?;
        let is_active = active.is_some_and(|active| active.id == deployment.id);
        let urls = urls_of(&self.apps, call, app).await?;
        Ok(DeploymentView::new(deployment, is_active, &urls))
    }
}
