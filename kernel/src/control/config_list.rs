//! `GET /api/settings`, `fazt server config list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::config::Resolved;

struct ListSettings(Node);

/// A setting with its value.
#[derive(Serialize, JsonSchema)]
pub(super) struct SettingRow {
    name: String,
    value: serde_json::Value,
    default: serde_json::Value,
    /// `command line`, `cartridge` or `default`.
    origin: &'static str,
    doc: String,
}

impl From<Resolved> for SettingRow {
    fn from(resolved: Resolved) -> Self {
        Self {
            name: resolved.name,
            value: resolved.value,
            default: resolved.setting.default,
            origin: resolved.origin.name(),
            doc: resolved.setting.doc,
        }
    }
}

impl Operate for ListSettings {
    type Input = NoInput;
    type Output = Vec<SettingRow>;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vec<SettingRow>> {
        Ok(self.0.core()?.config.all().into_iter().map(SettingRow::from).collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListSettings(parts.node());
    parts
        .operation(
            Operation::get::<ListSettings>("/api/settings")
                .summary("All settings with values, defaults and units"),
            run,
        )
        .command(
            Command::new("server config list")
                .about("List the settings")
                .calls("GET /api/settings")
                .column("NAME", "name")
                .column("VALUE", "value")
                .column("FROM", "origin")
                .column("MEANING", "doc"),
        )
}
