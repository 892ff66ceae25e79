//! `GET /api/storage/{app}/docs/{collection}/{id}`: one document.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::Documents as _;
use fazt_sdk::{Error, Json, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, app_argument, collection_argument, space, user_argument, value_of};

/// Shows a document.
#[derive(Debug)]
pub(crate) struct GetDocument(pub(super) Context);

/// Which document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose documents they are; without one, those that are shared.
    user: Option<String>,
    /// The collection.
    collection: String,
    /// Its id.
    id: String,
}

impl GetDocument {
    pub(super) const KEY: &str = "GET /api/storage/{app}/docs/{collection}/{id}";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/docs/{collection}/{id}")
            .summary("One document")
            .example(fazt_sdk::json!({ "app": "blog", "collection": "posts", "id": "first" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs get")
            .about("Show one document")
            .example("storage docs get blog posts first")
            .argument(app_argument())
            .argument(collection_argument())
            .argument(Argument::required("id", "Its id"))
            .argument(user_argument())
            .calls(Self::KEY)
            .column("DOCUMENT", "")
    }
}

impl Operate for GetDocument {
    type Input = Input;
    type Output = Json;

    async fn operate(&self, call: &Call, input: Input) -> Result<Json> {
        let call = self.0.call(call, &input.app).await?;
        let space = space(input.user);
        let found = self.0.collections.get(&call, &space, &input.collection, &input.id).await?;
        let document = found.ok_or_else(|| {
            Error::not_found(format!("`{}` has no document `{}`", input.collection, input.id))
        })?;
        value_of(&document.to_json())
    }
}
