//! `GET /api/apps/{app}/deployments`: what an app has to serve and to roll back to.

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::command::Format;
use fazt_sdk::prelude::{Argument, Call, Command, Operate, Operation};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::AppsApi;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{DeploymentView, find_app};
use crate::store;

/// Lists deployments.
#[derive(Debug)]
pub(crate) struct ListDeployments {
    pub(crate) cartridge: Cartridge,
    pub(crate) apps: Service<AppsApi>,
}

/// Which app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
}

impl ListDeployments {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/deployments";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/deployments")
            .summary("The deployments of an app, the newest first")
            .example(serde_json::json!({ "app": "blog" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app deployments")
            .about("List the deployments of an app")
            .example("app deployments blog")
            .argument(Argument::required("app", "The app: its id or an alias"))
            .calls(Self::KEY)
            .column("VERSION", "version")
            .column("ACTIVE", "active")
            .column_as("DEPLOYED", "created_at_ms", Format::Time)
            .column("FILES", "file_count")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column("BY", "deployed_by")
            .column("PREVIEW", "preview_url")
            .column("ID", "deployment_id")
    }
}

impl Operate for ListDeployments {
    type Input = Input;
    type Output = Vec<DeploymentView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let found = find_app(&self.apps, call, &input.app).await?;
        let (app, urls) = (found.id, found.urls);
        let views = store::read(&self.cartridge, move |reader| {
            let active = store::active(reader, app)?.map(|active| active.id);
            let all = store::list(reader, app)?;
            let view = |deployment: crate::model::StoredDeployment| {
                let is_active = Some(&deployment.id) == active.as_ref();
                DeploymentView::new(deployment, is_active, &urls)
            };
            Ok(all.into_iter().map(view).collect())
        });
        views.await
    }
}
