//! `GET /api/plugins/{name}`, `fazt plugin info`.

use fazt_sdk::prelude::*;
use fazt_sdk::service::InterfaceId;

use super::{Node, Parts};
use crate::registry::State;

struct InfoOfPlugin(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
}

/// A plugin with all that it contributes and needs.
#[derive(Serialize, JsonSchema)]
struct Info {
    name: String,
    version: String,
    about: String,
    state: &'static str,
    /// Why it does not run.
    failure: Option<String>,
    origin: &'static str,
    enabled: bool,
    provides: Vec<String>,
    requires: Vec<String>,
    uses: Vec<String>,
    contributes: Vec<String>,
    routes: Vec<String>,
    operations: Vec<String>,
    commands: Vec<String>,
    bindings: Vec<String>,
    settings: Vec<String>,
    migrations: Vec<String>,
    events: Vec<String>,
}

impl Operate for InfoOfPlugin {
    type Input = Input;
    type Output = Info;

    async fn operate(&self, _: &Call, input: Input) -> Result<Info> {
        let entry = self.0.core()?.registry.find(&input.name)?;
        let manifest = &entry.manifest;
        let ids = |ids: &[InterfaceId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(Info {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            about: manifest.about.clone(),
            state: entry.state.name(),
            failure: if let State::Failed(error) = &entry.state {
                Some(error.message().to_owned())
            } else {
                None
            },
            origin: entry.origin.name(),
            enabled: entry.enabled,
            provides: ids(&manifest.provides),
            requires: ids(&manifest.requires),
            uses: ids(&manifest.uses),
            contributes: ids(&manifest.contributes),
            routes: manifest
                .routes
                .iter()
                .map(|route| {
                    format!("{} {}", route.method.map_or("any", Method::as_str), route.pattern)
                })
                .collect(),
            operations: manifest.operations.iter().map(Operation::key).collect(),
            commands: manifest.commands.iter().map(|command| command.words.join(" ")).collect(),
            bindings: manifest
                .bindings
                .iter()
                .map(|binding| format!("fazt.{}", binding.name))
                .collect(),
            settings: manifest
                .settings
                .iter()
                .map(|setting| format!("{}.{}", manifest.name, setting.name))
                .collect(),
            migrations: manifest
                .migrations
                .iter()
                .map(|migration| migration.name.clone())
                .collect(),
            events: manifest
                .subscriptions
                .iter()
                .map(|subscription| subscription.event.clone())
                .collect(),
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = InfoOfPlugin(parts.node());
    let mut command = Command::new("plugin info")
        .about("Show what a plugin contributes and needs")
        .example("plugin info hosting")
        .argument(Argument::required("name", "The plugin"))
        .calls("GET /api/plugins/{name}");
    for field in [
        "name",
        "version",
        "about",
        "state",
        "failure",
        "origin",
        "enabled",
        "provides",
        "requires",
        "uses",
        "routes",
        "operations",
        "commands",
        "bindings",
        "settings",
    ] {
        command = command.column(&field.to_uppercase(), field);
    }
    parts
        .operation(
            Operation::get::<InfoOfPlugin>("/api/plugins/{name}")
                .summary("One plugin with all that it contributes and needs")
                .error("NO_SUCH_PLUGIN"),
            run,
        )
        .command(command)
}
