//! `GET /api/apps`, `fazt app list`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::Apps as _;
use fazt_sdk::services::apps::App;

use super::{Node, Parts};
use crate::directory::AppsService;

struct ListApps(Node);

impl Operate for ListApps {
    type Input = NoInput;
    type Output = Vec<App>;

    async fn operate(&self, call: &Call, _: NoInput) -> Result<Vec<App>> {
        AppsService((self.0).0.clone()).list(call).await
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListApps(parts.node());
    parts
        .operation(
            Operation::get::<ListApps>("/api/apps")
                .summary("All apps, the oldest first")
                .for_app_keys(),
            run,
        )
        .command(
            Command::new("app list")
                .about("List the apps")
                .calls("GET /api/apps")
                .column("NAME", "name")
                .column("URL", "urls")
                .column("ID", "id")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
        )
}
