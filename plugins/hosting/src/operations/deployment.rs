//! `GET /api/deployments/{id}`: one deployment.

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::{Call, Operate, Operation};
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::DeploymentView;
use crate::model::DeploymentId;
use crate::store;

/// Tells about one deployment.
#[derive(Debug)]
pub(crate) struct GetDeployment {
    pub(crate) cartridge: Cartridge,
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
        let unknown = || Error::not_found(format!("there is no deployment `{}`", input.id));
        let id = DeploymentId::parse(&input.id).ok_or_else(unknown)?;
        let found = store::read(&self.cartridge, move |reader| {
            let Some(deployment) = store::find(reader, &id)? else { return Ok(None) };
            let active = store::active(reader, deployment.app)?;
            let is_active = active.is_some_and(|active| active.id == id);
            Ok(Some((deployment, is_active)))
        });
        let (deployment, is_active) = found.await?.ok_or_else(unknown)?;
        // A key of another app learns nothing, not even that the deployment exists.
        call.check_app(deployment.app).map_err(|_| unknown())?;
        Ok(DeploymentView::new(deployment, is_active))
    }
}
