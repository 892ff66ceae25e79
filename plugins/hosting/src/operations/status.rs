//! `GET /api/apps/{app}/status`: what an app serves, and what it takes.

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::command::Format;
use fazt_sdk::prelude::{Argument, Call, Command, Operate, Operation};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::AppsApi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeploymentView, find_app};
use crate::store;

/// Tells how an app is.
#[derive(Debug)]
pub(crate) struct AppStatus {
    pub(crate) cartridge: Cartridge,
    pub(crate) apps: Service<AppsApi>,
    /// The largest content that is compressed, in bytes.
    pub(crate) compressed_bytes_max: u64,
}

/// Which app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
}

/// How an app is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The app.
    app_id: String,
    /// The name that it was created under.
    name: String,
    /// Where it is reached, the oldest alias first.
    urls: Vec<String>,
    /// The number of the deployment that it serves; nothing when it serves none.
    version: Option<u64>,
    /// What it serves.
    active: Option<DeploymentView>,
    /// Deployments that were never active, the newest first: each is served at its own address.
    previews: Vec<DeploymentView>,
    /// How many deployments it has, previews included.
    deployments: u64,
    /// How many files all of them have.
    files: u64,
    /// Bytes of their contents, each counted once.
    size_bytes: u64,
    /// How many deployments wait for their content.
    pending: u64,
    /// How many contents of what it serves are still to be compressed.
    uncompressed: u64,
}

impl AppStatus {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/status";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/status")
            .summary("What an app serves, its previews, and what it takes")
            .example(serde_json::json!({ "app": "blog" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app status")
            .about("Show what an app serves, its previews, and what it takes")
            .example("app status blog")
            .argument(Argument::required("app", "The app: its id or an alias"))
            .calls(Self::KEY)
            .column("NAME", "name")
            .column("URLS", "urls")
            .column("VERSION", "version")
            .column("DEPLOYMENTS", "deployments")
            .column("FILES", "files")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column("PENDING", "pending")
            .column("UNCOMPRESSED", "uncompressed")
    }
}

impl Operate for AppStatus {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let found = find_app(&self.apps, call, &input.app).await?;
        let app = found.id;
        let bytes_max = self.compressed_bytes_max;
        let read = self.cartridge.scan(move |reader| {
            let active = store::active(reader, app)?;
            let uncompressed = match &active {
                Some(active) => store::uncompressed(reader, &active.id, bytes_max)?.len() as u64,
                None => 0,
            };
            let pending = store::pending_of_app(reader, &app.to_string())?;
            Ok((
                active,
                store::list(reader, app)?,
                store::usage(reader, app)?,
                pending,
                uncompressed,
            ))
        });
        let (active, all, (deployments, files, size_bytes), (pending, _), uncompressed) =
            read.await?;
        let view = |deployment, is_active| DeploymentView::new(deployment, is_active, &found.urls);
        let previews = all.into_iter().filter(|deployment| deployment.activated_at_ms.is_none());
        Ok(Output {
            app_id: app.to_string(),
            name: found.name.clone(),
            version: active.as_ref().map(|active| active.version),
            previews: previews.map(|deployment| view(deployment, false)).collect(),
            active: active.map(|deployment| view(deployment, true)),
            deployments,
            files,
            size_bytes,
            pending,
            uncompressed,
            urls: found.urls.clone(),
        })
    }
}
