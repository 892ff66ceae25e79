//! `GET /api/apps/{app}/lineage`, `fazt app lineage`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::lineage::family;

struct Lineage(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias.
    app: String,
}

/// One app of a family. The lines are in the order of reading: each app, then what was copied from it.
#[derive(Serialize, JsonSchema)]
struct MemberRow {
    id: AppId,
    name: String,
    /// The app that it was copied from; it may be gone.
    forked_from: Option<AppId>,
    /// Steps from the first line.
    depth: u32,
    /// The name behind the strokes of a tree, for people.
    tree: String,
    aliases: Vec<String>,
    created_at_ms: u64,
}

impl Operate for Lineage {
    type Input = Input;
    type Output = Vec<MemberRow>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<MemberRow>> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?;
        let directory = core.directory.now();
        let names = directory.names();
        let row = |member: crate::directory::lineage::Member<'_>| MemberRow {
            id: member.app.id,
            name: member.app.name.clone(),
            forked_from: member.app.forked_from,
            depth: member.depth,
            tree: format!("{}{}", member.strokes, member.app.name),
            aliases: names.of(member.app.id).0.iter().map(|alias| alias.name.clone()).collect(),
            created_at_ms: member.app.created_at_ms,
        };
        Ok(family(&directory, app.id).into_iter().map(row).collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Lineage(parts.node());
    // The family has other apps, which a key for one app does not learn about.
    let operation = Operation {
        for_app_keys: false,
        ..Operation::get::<Lineage>("/api/apps/{app}/lineage")
            .summary("Which app was copied from which, in the family of one")
            .example(serde_json::json!({"app": "blog"}))
    };
    parts.operation(operation, run).command(
        Command::new("app lineage")
            .about("Show which app was copied from which")
            .example("app lineage blog")
            .argument(Argument::required("app", "Id or alias of the app"))
            .calls("GET /api/apps/{app}/lineage")
            .column("APP", "tree")
            .column("ALIASES", "aliases")
            .column("ID", "id")
            .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
    )
}
