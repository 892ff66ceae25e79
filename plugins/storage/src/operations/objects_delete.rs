//! `DELETE /api/storage/{app}/blobs`: removes one object.

use fazt_sdk::call::Call;
use fazt_sdk::command::{Argument, Command};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::services::objects::Objects as _;
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, app_argument, space, user_argument};

/// Removes an object.
#[derive(Debug)]
pub(crate) struct DeleteObject(pub(super) Context);

/// Which object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// The user whose object it is; without one, what is shared.
    user: Option<String>,
    /// Its path.
    path: String,
}

/// What was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Its path.
    path: String,
}

impl DeleteObject {
    pub(super) const KEY: &str = "DELETE /api/storage/{app}/blobs";

    pub(super) fn operation() -> Operation {
        Operation::delete::<Self>("/api/storage/{app}/blobs")
            .summary("Remove one object")
            .example(fazt_sdk::json!({ "app": "blog", "path": "photos/cat.jpg" }))
    }

    pub(super) fn command() -> Command {
        Command::new("storage objects delete")
            .about("Remove one object")
            .example("storage objects delete blog photos/cat.jpg")
            .argument(app_argument())
            .argument(Argument::required("path", "Its path"))
            .argument(user_argument())
            .calls(Self::KEY)
            .says("{path} is gone")
    }
}

impl Operate for DeleteObject {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let call = self.0.call(call, &input.app).await?;
        if !self.0.objects.delete(&call, &space(input.user), &input.path).await? {
            return Err(Error::not_found(format!("there is no object `{}`", input.path)));
        }
        Ok(Output { path: input.path })
    }
}
