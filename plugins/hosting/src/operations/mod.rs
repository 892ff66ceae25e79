//! Admin operations, one file each: input, output, and one call to the rules.

mod activate;
mod deployment;
mod deployment_files;
mod deployment_remove;
mod deployments;
mod diff;
mod files;
mod rollback;
mod status;

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{App, Apps as _, AppsApi};
use fazt_sdk::{AppId, Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use activate::Activate;
pub(crate) use deployment::GetDeployment;
pub(crate) use deployment_files::ListDeploymentFiles;
pub(crate) use deployment_remove::RemoveDeployment;
pub(crate) use deployments::ListDeployments;
pub(crate) use diff::DiffDeployments;
pub(crate) use files::ListFiles;
pub(crate) use rollback::RollBack;
pub(crate) use status::AppStatus;

use crate::deploy::preview_url;
use crate::model::{DeploymentId, StoredDeployment};
use crate::store;

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
    /// Where it is served, whatever the app serves; empty while the app has no alias.
    preview_url: String,
    /// Milliseconds since 1970.
    created_at_ms: u64,
    /// When the app last began to serve it, in milliseconds since 1970; nothing when it never did.
    activated_at_ms: Option<u64>,
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
    /// `urls` are those of its app.
    fn new(deployment: StoredDeployment, active: bool, urls: &[String]) -> Self {
        Self {
            preview_url: preview_url(urls, &deployment.preview),
            activated_at_ms: deployment.activated_at_ms,
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

/// The deployment `id`, if the caller may touch it.
async fn find_deployment(cartridge: &Cartridge, call: &Call, id: &str) -> Result<StoredDeployment> {
    let unknown = || Error::not_found(format!("there is no deployment `{id}`"));
    let wanted = DeploymentId::parse(id).ok_or_else(unknown)?;
    let found = store::read(cartridge, move |reader| store::find(reader, &wanted)).await?;
    let found = found.ok_or_else(unknown)?;
    // A key of another app learns nothing, not even that the deployment exists.
    call.check_app(found.app).map_err(|_| unknown())?;
    Ok(found)
}

/// The addresses of an app.
async fn urls_of(apps: &Service<AppsApi>, call: &Call, app: AppId) -> Result<Vec<String>> {
    Ok(apps.find(call, &app.to_string()).await?.map(|app| app.urls).unwrap_or_default())
}
