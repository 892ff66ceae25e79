//! `GET /api/storage/{app}/kv`: keys and their values, page by page.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command, Format};
use fazt_sdk::operation::{List, Operate, Operation};
use fazt_sdk::services::kv::{Entry, Kv as _};
use fazt_sdk::{Json, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument, value_of};

/// Lists values.
#[derive(Debug)]
pub(crate) struct ListValues(pub(super) Context);

fn limit_default() -> u32 {
    100
}

/// Which values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose values they are; without one, those that are shared.
    user: Option<String>,
    /// Only keys that start with this.
    #[serde(default)]
    prefix: String,
    /// How many, from 1 to 1000.
    #[serde(default = "limit_default")]
    limit: u32,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// A value under a key.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValueView {
    /// The key.
    key: String,
    /// The value.
    value: Json,
    /// Bytes of the value's JSON.
    size_bytes: usize,
    /// When it expires, in milliseconds since 1970; nothing for a value that stays.
    expires_at_ms: Option<u64>,
}

impl ValueView {
    pub(super) fn new(key: String, entry: &Entry) -> Result<Self> {
        Ok(Self {
            key,
            value: value_of(&entry.value)?,
            size_bytes: entry.value.len(),
            expires_at_ms: entry.expires_at_ms,
        })
    }
}

impl ListValues {
    pub(super) const KEY: &str = "GET /api/storage/{app}/kv";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/kv")
            .paginated()
            .summary("The values that an app keeps under keys")
            .example(fazt_sdk::json!({ "app": "blog", "prefix": "visits:", "limit": 10 }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage kv list")
            .about("List the values that an app keeps under keys")
            .example("storage kv list blog --prefix visits:")
            .argument(app_argument())
            .argument(user_argument())
            .argument(Argument::option("prefix", "Only keys that start with this"))
            .argument(Argument::option("limit", "How many, from 1 to 1000; 100 without it"))
            .argument(Argument::option("cursor", "Where the page before ended"))
            .calls(Self::KEY)
            .column("KEY", "key")
            .column("VALUE", "value")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column_as("EXPIRES", "expires_at_ms", Format::Time)
    }
}

impl Operate for ListValues {
    type Input = Input;
    type Output = List<ValueView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let call = self.0.call(call, &input.app).await?;
        let space = space(input.user);
        let page = self.0.values.list(&call, &space, &input.prefix, input.limit, input.cursor);
        let page = page.await?;
        let items = page.entries.into_iter().map(|(key, entry)| ValueView::new(key, &entry));
        Ok(List { items: items.collect::<Result<_>>()?, next: page.next })
    }
}
