//! `POST /api/storage/{app}/indexes/{collection}`: declares an index, or removes it.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::documents::Documents as _;
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, collection_argument, space, user_argument};

/// Declares or removes an index.
#[derive(Debug)]
pub(crate) struct SetIndex(pub(super) Context);

/// Which index.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose documents they are; without one, those that are shared.
    user: Option<String>,
    /// The collection.
    collection: String,
    /// The field.
    field: String,
    /// No two documents have the same value there.
    #[serde(default)]
    unique: bool,
    /// Remove the index.
    #[serde(default)]
    remove: bool,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The field.
    field: String,
    /// `indexed` or `not indexed`.
    state: &'static str,
}

impl SetIndex {
    pub(super) const KEY: &str = "POST /api/storage/{app}/indexes/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::post::<Self>("/api/storage/{app}/indexes/{collection}")
            .summary("Declare an index of a collection, or remove it")
            .error("INDEX_DIFFERS")
            .error("DUPLICATE_VALUE")
            .example(fazt_sdk::json!({ "app": "blog", "collection": "posts", "field": "date" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage docs index")
            .about("Declare an index of a collection, or remove it")
            .example("storage docs index blog posts date")
            .argument(app_argument())
            .argument(collection_argument())
            .argument(Argument::required("field", "The field, with dots for fields of fields"))
            .argument(Argument::switch("unique", "No two documents have the same value there"))
            .argument(Argument::switch("remove", "Remove the index"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{field} is {state}")
    }
}

impl Operate for SetIndex {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        let (space, collections) = (space(input.user), &self.0.collections);
        let Input { collection, field, unique, remove, .. } = input;
        if !remove {
            collections.index(&call, &space, &collection, &field, unique).await?;
            return Ok(Output { field, state: "indexed" });
        }
        if !collections.remove_index(&call, &space, &collection, &field).await? {
            return Err(Error::not_found(format!("`{collection}` has no index of `{field}`")));
        }
        Ok(Output { field, state: "not indexed" })
    }
}
