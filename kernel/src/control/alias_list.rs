//! `GET /api/aliases`, `fazt alias list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::{Alias, Share, Target};

struct ListAliases(Node);

/// An alias.
#[derive(Serialize, JsonSchema)]
pub(super) struct AliasRow {
    name: String,
    /// `app`, `redirect`, `reserved` or `split`.
    kind: &'static str,
    /// Id of the app, the address of the redirect, or the apps of the split with their weights.
    target: String,
    created_at_ms: u64,
}

impl From<&Alias> for AliasRow {
    fn from(alias: &Alias) -> Self {
        let (kind, target) = match &alias.target {
            Target::App(id) => ("app", id.to_string()),
            Target::Redirect(url) => ("redirect", url.to_string()),
            Target::Reserved => ("reserved", String::new()),
            Target::Split(shares) => {
                let share = |share: &Share| format!("{}:{}", share.app, share.weight);
                ("split", shares.iter().map(share).collect::<Vec<_>>().join(", "))
            }
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
        let aliases = directory.aliases.values().map(|alias| &**alias);
        let visible = |alias: &&Alias| call.limited_to().is_none_or(|only| alias.leads_to(only));
        let mut rows: Vec<AliasRow> = aliases.filter(visible).map(AliasRow::from).collect();
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
