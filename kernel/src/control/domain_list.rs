//! `GET /api/domains`, `fazt domain list`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::{Domain, LeadsTo, Snapshot};

struct ListDomains(Node);

/// A domain.
#[derive(Serialize, JsonSchema)]
pub(super) struct DomainRow {
    pub(super) name: String,
    /// `verified`, or `pending` until the node was reached under the name.
    pub(super) state: &'static str,
    /// `app` or `redirect`.
    kind: &'static str,
    /// Name of the app, or the host that it redirects to.
    target: String,
    /// The app.
    app: Option<AppId>,
    /// Why the latest check failed.
    pub(super) problem: Option<String>,
    created_at_ms: u64,
    verified_at_ms: Option<u64>,
    checked_at_ms: Option<u64>,
}

impl DomainRow {
    pub(super) fn of(domain: &Domain, directory: &Snapshot) -> Self {
        let (kind, target, app) = match &domain.leads_to {
            LeadsTo::App(id) => {
                let name = directory.app(*id).map(|app| app.name.clone()).unwrap_or_default();
                ("app", name, Some(*id))
            }
            LeadsTo::Host(host) => ("redirect", host.to_string(), None),
        };
        Self {
            name: domain.name.clone(),
            state: if domain.is_verified() { "verified" } else { "pending" },
            kind,
            target,
            app,
            problem: domain.problem.clone(),
            created_at_ms: domain.created_at_ms,
            verified_at_ms: domain.verified_at_ms,
            checked_at_ms: domain.checked_at_ms,
        }
    }
}

impl Operate for ListDomains {
    type Input = NoInput;
    type Output = Vec<DomainRow>;

    async fn operate(&self, call: &Call, _: NoInput) -> Result<Vec<DomainRow>> {
        let core = self.0.core()?;
        let directory = core.directory.now();
        let visible = |domain: &&Domain| {
            call.limited_to().is_none_or(|only| domain.leads_to == LeadsTo::App(only))
        };
        let mut rows: Vec<_> = directory
            .domains
            .values()
            .map(|domain| &**domain)
            .filter(visible)
            .map(|domain| DomainRow::of(domain, &directory))
            .collect();
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListDomains(parts.node());
    parts
        .operation(
            Operation::get::<ListDomains>("/api/domains")
                .summary("All domains, by name")
                .for_app_keys(),
            run,
        )
        .command(
            Command::new("domain list")
                .about("List the domains")
                .calls("GET /api/domains")
                .column("NAME", "name")
                .column("STATE", "state")
                .column("KIND", "kind")
                .column("TARGET", "target")
                .column("PROBLEM", "problem"),
        )
}
