//! `GET /api/plugins`, `fazt plugin list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct ListPlugins(Node);

/// A plugin.
#[derive(Serialize, JsonSchema)]
struct PluginRow {
    name: String,
    version: String,
    /// `running`, `stopped` or `failed`.
    state: &'static str,
    /// `built in` or `library`.
    origin: &'static str,
    enabled: bool,
    about: String,
}

impl Operate for ListPlugins {
    type Input = NoInput;
    type Output = Vec<PluginRow>;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vec<PluginRow>> {
        let entries = self.0.core()?.registry.list();
        Ok(entries
            .into_iter()
            .map(|entry| PluginRow {
                name: entry.manifest.name.clone(),
                version: entry.manifest.version.clone(),
                state: entry.state.name(),
                origin: entry.origin.name(),
                enabled: entry.enabled,
                about: entry.manifest.about.clone(),
            })
            .collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListPlugins(parts.node());
    parts
        .operation(
            Operation::get::<ListPlugins>("/api/plugins").summary("All plugins, by name"),
            run,
        )
        .command(
            Command::new("plugin list")
                .about("List the plugins")
                .calls("GET /api/plugins")
                .column("NAME", "name")
                .column("VERSION", "version")
                .column("STATE", "state")
                .column("ORIGIN", "origin")
                .column("ENABLED", "enabled")
                .column("ABOUT", "about"),
        )
}
