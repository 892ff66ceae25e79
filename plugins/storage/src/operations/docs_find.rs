//! `GET /api/storage/{app}/docs/{collection}`: documents, page by page.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{List, Operate, Operation};
use fazt_sdk::services::documents::{Documents as _, Find, Order};
use fazt_sdk::{Error, Json, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, app_argument, collection_argument, space, user_argument, value_of};

/// Finds documents.
#[derive(Debug)]
pub(crate) struct FindDocuments(pub(super) Context);

fn limit_default() -> u32 {
    100
}

fn everything() -> String {
    "{}".to_owned()
}

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
    /// What they satisfy, as JSON.
    #[serde(default = "everything")]
    query: String,
    /// The field by which they are sorted; by their insertion without one.
    sort: Option<String>,
    /// `asc` or `desc`.
    order: Option<String>,
    /// The fields that are shown; all without any.
    #[serde(default)]
    fields: Vec<String>,
    /// How many, from 1 to 1000.
    #[serde(default = "limit_default")]
    limit: u32,
    /// How many of the first are left out.
    #[serde(default)]
    offset: u32,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl Input {
    /// What is asked for, and where.
    pub(super) fn find(&self) -> Result<Find> {
        let order = match self.order.as_deref() {
            None => None,
            Some("asc") => Some(Order::Ascending),
            Some("desc") => Some(Order::Descending),
            Some(_) => return Err(Error::invalid("`order` is asc or desc")),
        };
        Ok(Find {
            query: self.query.clone(),
            sort: self.sort.clone(),
            order,
            fields: self.fields.clone(),
            limit: self.limit,
            offset: self.offset,
            cursor: self.cursor.clone(),
        })
    }

    pub(super) fn place(self) -> (String, Option<String>, String) {
        (self.app, self.user, self.collection)
    }
}

/// The arguments of a command that asks for documents.
pub(super) fn arguments(command: Command) -> Command {
    command
        .argument(app_argument())
        .argument(collection_argument())
        .argument(Argument::option("query", "What they satisfy, as JSON"))
        .argument(Argument::option("sort", "The field by which they are sorted"))
        .argument(Argument::option("order", "asc or desc"))
        .argument(Argument::list("fields", "The fields that are shown; all without any"))
        .argument(Argument::option("limit", "How many, from 1 to 1000; 100 without it"))
        .argument(Argument::option("offset", "How many of the first are left out"))
        .argument(Argument::option("cursor", "Where the page before ended"))
        .argument(user_argument())
}

impl FindDocuments {
    pub(super) const KEY: &str = "GET /api/storage/{app}/docs/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/docs/{collection}")
            .paginated()
            .summary("Documents of a collection")
            .error("INVALID_QUERY")
            .error("UNKNOWN_OPERATOR")
            .example(fazt_sdk::json!({
                "app": "blog", "collection": "posts", "query": "{\"draft\":false}", "sort": "date"
            }))
    }

    pub(super) fn command() -> Command {
        let command = Command::new("storage docs find")
            .about("Show documents of a collection")
            .example("storage docs find blog posts --query '{\"draft\":false}'");
        arguments(command).calls(Self::KEY).column("ID", "id").column("DOCUMENT", "")
    }
}

impl Operate for FindDocuments {
    type Input = Input;
    type Output = List<Json>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let find = input.find()?;
        let (app, user, collection) = input.place();
        let call = self.0.call(call, &app).await?;
        let page = self.0.collections.find(&call, &space(user), &collection, &find).await?;
        let items = page.documents.iter().map(|document| value_of(&document.to_json()));
        Ok(List { items: items.collect::<Result<_>>()?, next: page.next })
    }
}
