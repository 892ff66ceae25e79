//! `DELETE /api/storage/{app}/docs/{collection}`: removes documents.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::Documents as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, collection_argument, space, user_argument};

/// Removes documents.
#[derive(Debug)]
pub(crate) struct DeleteDocuments(pub(super) Context);

/// Which documents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose documents they are; without one, those that are shared.
    user: Option<String>,
    /// The collection.
    collection: String,
    /// What they satisfy, as JSON; `{}` for all.
    query: String,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// How many documents are gone.
    deleted: u64,
}

impl DeleteDocuments {
    pub(super) const KEY: &str = "DELETE /api/storage/{app}/docs/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::delete::<Self>("/api/storage/{app}/docs/{collection}")
            .summary("Remove the documents that satisfy a query")
            .error("INVALID_QUERY")
            .error("UNKNOWN_OPERATOR")
            .example(fazt_sdk::json!({
                "app": "blog", "collection": "posts", "query": "{\"id\":\"first\"}"
            }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs delete")
            .about("Remove the documents that satisfy a query")
            .example("storage docs delete blog posts '{\"id\":\"first\"}'")
            .argument(app_argument())
            .argument(collection_argument())
            .argument(Argument::required("query", "What they satisfy, as JSON; {} for all"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{deleted} deleted")
    }
}

impl Operate for DeleteDocuments {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        let space = space(input.user);
        let deleted = self.0.collections.delete(&call, &space, &input.collection, &input.query);
        Ok(Output { deleted: deleted.await? })
    }
}
