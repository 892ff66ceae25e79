//! `GET /api/deployments/{id}/files`: the files of a deployment, page by page.

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::{Call, List, Operate, Operation};
use schemars::JsonSchema;
use serde::Deserialize;

use super::files::{FileView, checked, limit_default, page};
use super::find_deployment;
use crate::store;

/// Lists files.
#[derive(Debug)]
pub(crate) struct ListDeploymentFiles {
    pub(crate) cartridge: Cartridge,
}

/// Which files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The deployment: `dep_` and 12 characters.
    id: String,
    /// Only paths that start with this.
    #[serde(default)]
    prefix: String,
    /// How many, from 1 to 1000.
    #[serde(default = "limit_default")]
    limit: u32,
    /// Where the page before ended.
    #[serde(default)]
    cursor: String,
}

impl ListDeploymentFiles {
    pub(crate) const KEY: &str = "GET /api/deployments/{id}/files";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/deployments/{id}/files")
            .paginated()
            .summary("The files of a deployment, whoever may fetch them")
            .for_app_keys()
            .example(serde_json::json!({ "id": "dep_4kQ2mZ81xYbT", "limit": 100 }))
    }
}

impl Operate for ListDeploymentFiles {
    type Input = Input;
    type Output = List<FileView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let id = find_deployment(&self.cartridge, call, &input.id).await?.id;
        let Input { prefix, cursor, limit, .. } = input;
        let limit = checked(limit)?;
        // One more than asked for shows whether there are more.
        let files = store::read(&self.cartridge, move |reader| {
            store::files_after(reader, &id, &prefix, &cursor, limit + 1)
        });
        Ok(page(files.await?, limit))
    }
}
