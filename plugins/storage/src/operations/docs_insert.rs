//! `POST /api/storage/{app}/docs/{collection}`: inserts a document.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::Documents as _;
use fazt_sdk::{Json, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, app_argument, collection_argument, given, space, user_argument, value_of};

/// Inserts a document.
#[derive(Debug)]
pub(crate) struct InsertDocument(pub(super) Context);

/// What goes where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose documents they are; without one, those that are shared.
    user: Option<String>,
    /// The collection.
    collection: String,
    /// The document.
    document: Option<Json>,
    /// The document as JSON text, in place of `document`.
    json: Option<String>,
}

impl InsertDocument {
    pub(super) const KEY: &str = "POST /api/storage/{app}/docs/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::post::<Self>("/api/storage/{app}/docs/{collection}")
            .summary("Insert a document")
            .error("DUPLICATE_ID")
            .error("DUPLICATE_VALUE")
            .error("DOCUMENT_TOO_LARGE")
            .error("QUOTA_EXCEEDED")
            .error("NUMBER_NOT_EXACT")
            .example(fazt_sdk::json!({
                "app": "blog", "collection": "posts", "document": { "title": "Hello" }
            }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs insert")
            .about("Insert a document")
            .example("storage docs insert blog posts '{\"title\":\"Hello\"}'")
            .argument(app_argument())
            .argument(collection_argument())
            .argument(Argument::required("json", "The document as JSON"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{id} is inserted")
    }
}

impl Operate for InsertDocument {
    type Input = Input;
    type Output = Json;

    async fn operate(&self, call: &Call, input: Input) -> Result<Json> {
        let call = self.0.call(call, &input.app).await?;
        let (space, document) = (space(input.user), given(input.document, input.json)?);
        let inserted = self.0.collections.insert(&call, &space, &input.collection, &document);
        value_of(&inserted.await?.to_json())
    }
}
