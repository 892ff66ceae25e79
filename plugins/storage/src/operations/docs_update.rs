//! `PUT /api/storage/{app}/docs/{collection}`: changes documents.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::Documents as _;
use fazt_sdk::{Json, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, collection_argument, space, user_argument};

/// Changes documents.
#[derive(Debug)]
pub(crate) struct UpdateDocuments(pub(super) Context);

/// Which documents, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose documents they are; without one, those that are shared.
    user: Option<String>,
    /// The collection.
    collection: String,
    /// What they satisfy: an object, or its JSON text.
    query: Json,
    /// What changes: an object, or its JSON text.
    changes: Json,
    /// Insert a document when there is none to change.
    #[serde(default)]
    upsert: bool,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// How many documents were changed.
    updated: u64,
    /// The id of the document that was inserted.
    inserted: Option<String>,
}

/// JSON text of an object, or of the text that holds it.
fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl UpdateDocuments {
    pub(super) const KEY: &str = "PUT /api/storage/{app}/docs/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::put::<Self>("/api/storage/{app}/docs/{collection}")
            .summary("Change the documents that satisfy a query")
            .error("INVALID_QUERY")
            .error("INVALID_CHANGE")
            .error("UNKNOWN_OPERATOR")
            .error("DUPLICATE_VALUE")
            .error("QUOTA_EXCEEDED")
            .example(fazt_sdk::json!({
                "app": "blog", "collection": "posts", "query": { "id": "first" },
                "changes": { "$inc": { "likes": 1 } }
            }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs update")
            .about("Change the documents that satisfy a query")
            .example(
                "storage docs update blog posts '{\"id\":\"first\"}' '{\"$inc\":{\"likes\":1}}'",
            )
            .argument(app_argument())
            .argument(collection_argument())
            .argument(Argument::required("query", "What they satisfy, as JSON"))
            .argument(Argument::required("changes", "What changes, as JSON"))
            .argument(Argument::switch("upsert", "Insert a document when there is none to change"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{updated} changed, inserted: {inserted}")
    }
}

impl Operate for UpdateDocuments {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        let (space, collections) = (space(input.user), &self.0.collections);
        let (query, changes) = (text(&input.query), text(&input.changes));
        if input.upsert {
            let done =
                collections.upsert(&call, &space, &input.collection, &query, &changes).await?;
            let inserted = done.inserted.map(|document| document.id);
            return Ok(Output { updated: done.updated, inserted });
        }
        let updated =
            collections.update(&call, &space, &input.collection, &query, &changes).await?;
        Ok(Output { updated, inserted: None })
    }
}
