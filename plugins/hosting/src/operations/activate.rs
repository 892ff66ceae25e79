//! `POST /api/deployments/{id}/activate`: a deployment whose content has arrived is served.

use std::sync::Arc;

use fazt_sdk::prelude::{Call, Operate, Operation, Scope};
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::deploy::{Deployed, Deploys};
use crate::model::DeploymentId;

/// Activates.
#[derive(Debug)]
pub(crate) struct Activate {
    pub(crate) deploys: Arc<Deploys>,
}

/// Which deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// What `POST /api/apps/{app}/deployments` answered.
    id: String,
}

impl Activate {
    pub(crate) const KEY: &str = "POST /api/deployments/{id}/activate";

    pub(crate) fn operation() -> Operation {
        Operation::post::<Self>("/api/deployments/{id}/activate")
            .summary("Serve a deployment whose content has arrived, or store it if it is a preview")
            .scope(Scope::Deploy)
            .for_app_keys()
            .error("CONTENT_MISSING")
            .error("SIZE_MISMATCH")
            .example(serde_json::json!({ "id": "dep_4kQ2mZ81xYbT" }))
    }
}

impl Operate for Activate {
    type Input = Input;
    type Output = Deployed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let id = DeploymentId::parse(&input.id).ok_or_else(|| {
            Error::not_found(format!("there is no pending deployment `{}`", input.id))
        })?;
        self.deploys.complete(call, &id).await
    }
}
