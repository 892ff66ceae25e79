//! Admin operations, one file each: input, output, and one call to the rules.

mod deployment;
mod deployments;
mod files;
mod rollback;

use fazt_sdk::prelude::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{App, Apps as _, AppsApi};
use fazt_sdk::{AppId, Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use deployment::GetDeployment;
pub(crate) use deployments::ListDeployments;
pub(crate) use files::ListFiles;
pub(crate) use rollback::RollBack;

use crate::model::StoredDeployment;

/// A deployment, as operations answer it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct DeploymentView {
    /// `dep_` and 12 characters of base 62.
    deployment_id: String,
    /// The app.
    app_id: AppId,
    /// Counts from 1 in each app.
    version: u64,
    /// Whether it is what the app serves.
    active: bool,
    /// Milliseconds since 1970.
    created_at_ms: u64,
    /// How many files it has.
    file_count: u64,
    /// Bytes of all files together.
    size_bytes: u64,
    /// Whether index.html answers paths that have no file.
    spa: bool,
    /// Where the files came from, in the words of who deployed.
    source: Option<serde_json::Value>,
    /// Who deployed: `owner`, `key:ID`.
    deployed_by: String,
}

impl DeploymentView {
    fn new(deployment: StoredDeployment, active: bool) -> Self {
        Self {
            deployment_id: deployment.id.to_string(),
            app_id: deployment.app,
            version: deployment.version,
            active,
            created_at_ms: deployment.created_at_ms,
            file_count: deployment.file_count,
            size_bytes: deployment.size_bytes,
            spa: deployment.is_spa,
            source: deployment.source.and_then(|source| serde_json::from_str(&source).ok()),
            deployed_by: deployment.principal,
        }
    }
}

/// The app that `reference` names, if the caller may touch it.
async fn find_app(apps: &Service<AppsApi>, call: &Call, reference: &str) -> Result<App> {
    let app = apps.find(call, reference).await?;
    let app = app.ok_or_else(|| {
        Error::not_found(format!("there is no app `{reference}`; `fazt app list` lists them"))
    })?;
    call.check_app(app.id)?;
    Ok(app)
}
