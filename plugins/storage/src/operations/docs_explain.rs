//! `GET /api/storage/{app}/explain/{collection}`: which way a query takes.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::command::Command;
use fazt_sdk::operation::{Operate, Operation};

use super::docs_find::{Input, arguments};
use super::{Context, space};
use crate::place::Place;

/// Explains a query.
#[derive(Debug)]
pub(crate) struct ExplainQuery(pub(super) Context);

impl ExplainQuery {
    pub(super) const KEY: &str = "GET /api/storage/{app}/explain/{collection}";

    pub(super) fn operation() -> Operation {
        Operation::get::<Self>("/api/storage/{app}/explain/{collection}")
            .summary("The steps that a query takes, and whether an index is used")
            .example(fazt_sdk::json!({ "app": "blog", "collection": "posts", "sort": "date" }))
    }

    pub(super) fn command() -> Command {
        let command = Command::new("storage docs explain")
            .about("Show the steps that a query takes, and whether an index is used")
            .example("storage docs explain blog posts --sort date");
        arguments(command).calls(Self::KEY).column("STEP", "")
    }
}

impl Operate for ExplainQuery {
    type Input = Input;
    type Output = Vec<String>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let find = input.find()?;
        let (app, user, collection) = input.place();
        let call = self.0.call(call, &app).await?;
        self.0.collections.explain(Place::of(&call, &space(user))?, &collection, &find).await
    }
}
