//! `GET /api/storage/{app}/docs`: the collections of an app and their indexes.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::{Command, Format};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::{CollectionInfo, Documents as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument};

/// Lists collections.
#[derive(Debug)]
pub(crate) struct ListCollections(pub(super) Context);

/// Of which app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose collections they are; without one, those that are shared.
    user: Option<String>,
}

/// A collection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CollectionView {
    /// Its name.
    name: String,
    /// How many documents it has.
    documents: u64,
    /// Bytes of all of them.
    size_bytes: u64,
    /// The fields that have an index: `field`, `field (unique)`, `field (being built)`.
    indexes: Vec<String>,
}

impl CollectionView {
    fn new(info: CollectionInfo) -> Self {
        let indexes = info.indexes.into_iter().map(|index| match (index.ready, index.unique) {
            (true, false) => index.field,
            (true, true) => format!("{} (unique)", index.field),
            (false, _) => format!("{} (being built)", index.field),
        });
        Self {
            name: info.name,
            documents: info.documents,
            size_bytes: info.bytes,
            indexes: indexes.collect(),
        }
    }
}

impl ListCollections {
    pub(super) const KEY: &str = "GET /api/storage/{app}/docs";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/docs")
            .summary("The collections of an app and their indexes")
            .example(fazt_sdk::json!({ "app": "blog" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs indexes")
            .about("List the collections of an app and their indexes")
            .example("storage docs indexes blog")
            .argument(app_argument())
            .argument(user_argument())
            .calls(Self::KEY)
            .column("COLLECTION", "name")
            .column("DOCUMENTS", "documents")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column("INDEXES", "indexes")
    }
}

impl Operate for ListCollections {
    type Input = Input;
    type Output = Vec<CollectionView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let call = self.0.call(call, &input.app).await?;
        let infos = self.0.collections.collections(&call, &space(input.user)).await?;
        Ok(infos.into_iter().map(CollectionView::new).collect())
    }
}
