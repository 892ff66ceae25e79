//! `PUT /api/settings/{name}`, `fazt server config set`.

use fazt_sdk::prelude::*;

use super::config_list::SettingRow;
use super::{Node, Parts};

struct SetSetting(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    /// As a person writes it: `10 MiB`, `15 s`, `on`.
    value: String,
}

impl Operate for SetSetting {
    type Input = Input;
    type Output = SettingRow;

    async fn operate(&self, _: &Call, input: Input) -> Result<SettingRow> {
        let core = self.0.core()?;
        let resolved = core.config.set(&input.name, &input.value).await?;
        core.settings_changed();
        Ok(SettingRow::from(resolved))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = SetSetting(parts.node());
    parts.operation(Operation::put::<SetSetting>("/api/settings/{name}").summary("Sets one setting in the cartridge").error("NO_SUCH_SETTING"), run).command(
        Command::new("server config set")
            .about("Set one setting in the cartridge")
            .example("server config set server.domain example.com")
            .argument(Argument::required("name", "Full name of the setting"))
            .argument(Argument::required("value", "The value, such as 10 MiB, 15 s or on"))
            .calls("PUT /api/settings/{name}")
            .says("{name} is {value} now ({origin}); listeners and plugins take it up at the next start"),
    )
}
