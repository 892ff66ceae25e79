//! `GET /api/apps/{app}`, `fazt app info`.

use fazt_sdk::prelude::*;
use fazt_sdk::service::InterfaceId;
use fazt_sdk::services::{AppData as _, AppDataApi};

use super::{Node, Parts};
use crate::registry::service::Consumer;

struct InfoOfApp(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias.
    app: String,
}

/// An app with what it uses.
#[derive(Serialize, JsonSchema)]
struct Info {
    id: AppId,
    name: String,
    created_at_ms: u64,
    /// The app that it was copied from; it may be gone.
    forked_from: Option<AppId>,
    aliases: Vec<String>,
    urls: Vec<String>,
    usage: Vec<UsageRow>,
}

/// How much of something the app uses.
#[derive(Serialize, JsonSchema)]
struct UsageRow {
    plugin: String,
    what: String,
    count: u64,
    bytes: u64,
}

impl Operate for InfoOfApp {
    type Input = Input;
    type Output = Info;

    async fn operate(&self, call: &Call, input: Input) -> Result<Info> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?;
        let id = InterfaceId::of::<AppDataApi>();
        let mut usage = Vec::new();
        for data in
            core.services.contributions(&Consumer::kernel(), &id.name, id.major, &id.methods)?
        {
            let data = Service::<AppDataApi>::from_raw(data);
            let plugin = data.provider();
            let rows = data.usage(call, app.id).await?;
            usage.extend(rows.into_iter().map(|row| UsageRow {
                plugin: plugin.clone(),
                what: row.what,
                count: row.count,
                bytes: row.bytes,
            }));
        }
        let origin = core.directory.now().app(app.id).and_then(|app| app.forked_from);
        // A key for one app does not learn which others there are.
        let origin = origin.filter(|_| call.limited_to().is_none());
        Ok(Info {
            id: app.id,
            name: app.name,
            created_at_ms: app.created_at_ms,
            forked_from: origin,
            aliases: app.aliases,
            urls: app.urls,
            usage,
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = InfoOfApp(parts.node());
    parts
        .operation(
            Operation::get::<InfoOfApp>("/api/apps/{app}")
                .summary("One app, by id or alias, with what it uses")
                .example(serde_json::json!({"app": "blog"})),
            run,
        )
        .command(
            Command::new("app info")
                .about("Show one app")
                .example("app info blog")
                .argument(Argument::required("app", "Id or alias of the app"))
                .calls("GET /api/apps/{app}")
                .column("ID", "id")
                .column("NAME", "name")
                .column("URLS", "urls")
                .column("COPY OF", "forked_from")
                .column("USAGE", "usage")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
        )
}
