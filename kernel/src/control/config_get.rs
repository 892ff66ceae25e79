//! `GET /api/settings/{name}`, `fazt server config get`.

use fazt_sdk::prelude::*;

use super::config_list::SettingRow;
use super::{Node, Parts};

struct GetSetting(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
}

impl Operate for GetSetting {
    type Input = Input;
    type Output = SettingRow;

    async fn operate(&self, _: &Call, input: Input) -> Result<SettingRow> {
        self.0.core()?.config.resolved(&input.name).map(SettingRow::from)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = GetSetting(parts.node());
    parts
        .operation(
            Operation::get::<GetSetting>("/api/settings/{name}")
                .summary("One setting")
                .error("NO_SUCH_SETTING"),
            run,
        )
        .command(
            Command::new("server config get")
                .about("Show one setting")
                .example("server config get server.domain")
                .argument(Argument::required("name", "Full name of the setting"))
                .calls("GET /api/settings/{name}")
                .column("NAME", "name")
                .column("VALUE", "value")
                .column("DEFAULT", "default")
                .column("FROM", "origin")
                .column("MEANING", "doc"),
        )
}
