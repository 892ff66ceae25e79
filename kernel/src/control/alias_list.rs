//! `GET /api/aliases`, `fazt alias list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::{Alias, Target};

struct ListAliases(Node);

/// An alias.
#[derive(Serialize, JsonSchema)]
pub(super) struct AliasRow {
    name: String,
    /// `app`, `redirect` or `reserved`.
    kind: &'static str,
    /// Id of the app, or the address of the redirect.
    target: String,
    created_at_ms: u64,
}

impl From<&Alias> for AliasRow {
    fn from(alias: &Alias) -> Self {
        let (kind, target) = match &alias.target {
            Target::App(id) => ("app", id.to_string()),
            Target::Redirect(url) => ("redirect", url.to_string()),
            Target::Reserved => ("reserved", String::new()),
        };
        Self { name: alias.name.clone(), kind, target, created_at_ms: alias.created_at_ms }
    }
}

impl Operate for ListAliases {
    type Input = NoInput;
    type Output = Vec<AliasRow>;

    async fn operate(&self, call: &Call, _: NoInput) -> Result<Vec<AliasRow>> {
        let core = self.0.core()?;
        let directory = core.directory.now();
        let visible = |alias: &&Alias| match (&alias.target, call.limited_to()) {
            (Target::App(id), Some(only)) => *id == only,
            (Target::Redirect(_) | Target::Reserved, Some(_)) => false,
            (_, None) => true,
        };
        let mut rows: Vec<AliasRow> =
            directory.aliases.values().filter(visible).map(AliasRow::from).collect();
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListAliases(parts.node());
    parts
        .operation(
            Operation::get::<ListAliases>("/api/aliases")
                .summary("All aliases, by name")
                .for_app_keys(),
            run,
        )
        .command(
            Command::new("alias list")
                .about("List the aliases")
                .calls("GET /api/aliases")
                .column("NAME", "name")
                .column("KIND", "kind")
                .column("TARGET", "target")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
        )
}
