//! `GET /api/storage/{app}/blobs`: objects, page by page.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command, Format};
use fazt_sdk::operation::{List, Operate, Operation};
use fazt_sdk::services::objects::{Object, Objects as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument};
use crate::hex;

/// Lists objects.
#[derive(Debug)]
pub(crate) struct ListObjects(pub(super) Context);

fn limit_default() -> u32 {
    100
}

/// Which objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose objects they are; without one, those that are shared.
    user: Option<String>,
    /// Only paths that start with this.
    #[serde(default)]
    prefix: String,
    /// How many, from 1 to 1000.
    #[serde(default = "limit_default")]
    limit: u32,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// An object.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ObjectView {
    /// Its path.
    path: String,
    /// Bytes of its content.
    size_bytes: u64,
    /// What it is served as.
    content_type: String,
    /// SHA-256 of the content, in hexadecimal digits.
    sha256: String,
    /// When its content was put, in milliseconds since 1970.
    updated_at_ms: u64,
}

impl ObjectView {
    fn new(object: Object) -> Self {
        Self {
            path: object.path,
            size_bytes: object.size,
            content_type: object.content_type,
            sha256: hex::encode(&object.hash),
            updated_at_ms: object.updated_at_ms,
        }
    }
}

impl ListObjects {
    pub(super) const KEY: &str = "GET /api/storage/{app}/blobs";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/blobs")
            .paginated()
            .summary("The objects of an app")
            .example(fazt_sdk::json!({ "app": "blog", "prefix": "photos/", "limit": 10 }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage objects list")
            .about("List the objects of an app")
            .example("storage objects list blog --prefix photos/")
            .argument(app_argument())
            .argument(user_argument())
            .argument(Argument::option("prefix", "Only paths that start with this"))
            .argument(Argument::option("limit", "How many, from 1 to 1000; 100 without it"))
            .argument(Argument::option("cursor", "Where the page before ended"))
            .calls(Self::KEY)
            .column("PATH", "path")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column("TYPE", "content_type")
            .column_as("CHANGED", "updated_at_ms", Format::Time)
    }
}

impl Operate for ListObjects {
    type Input = Input;
    type Output = List<ObjectView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let call = self.0.call(call, &input.app).await?;
        let space = space(input.user);
        let page = self.0.objects.list(&call, &space, &input.prefix, input.limit, input.cursor);
        let page = page.await?;
        Ok(List { items: page.objects.into_iter().map(ObjectView::new).collect(), next: page.next })
    }
}
