//! `DELETE /api/deployments/{id}`: removes a deployment that is not served.

use std::sync::Arc;

use fazt_sdk::prelude::{Call, Operate, Operation, Scope};
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deploy::Deploys;
use crate::model::DeploymentId;

/// Removes.
#[derive(Debug)]
pub(crate) struct RemoveDeployment {
    pub(crate) deploys: Arc<Deploys>,
}

/// Which deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The deployment: `dep_` and 12 characters.
    id: String,
}

/// What is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The deployment.
    deployment_id: String,
    /// Its number in its app, which is not used again.
    version: u64,
}

impl RemoveDeployment {
    pub(crate) const KEY: &str = "DELETE /api/deployments/{id}";

    pub(crate) fn operation() -> Operation {
        Operation::delete::<Self>("/api/deployments/{id}")
            .summary("Remove a deployment that the app does not serve")
            .scope(Scope::Deploy)
            .for_app_keys()
            .error("DEPLOYMENT_ACTIVE")
            .example(serde_json::json!({ "id": "dep_4kQ2mZ81xYbT" }))
    }
}

impl Operate for RemoveDeployment {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let id = DeploymentId::parse(&input.id)
            .ok_or_else(|| Error::not_found(format!("there is no deployment `{}`", input.id)))?;
        let removed = self.deploys.remove(call, id).await?;
        Ok(Output { deployment_id: removed.id.to_string(), version: removed.version })
    }
}
