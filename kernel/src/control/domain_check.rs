//! `POST /api/domains/{name}/check`, `fazt domain check`.

use fazt_sdk::prelude::*;

use super::domain_list::DomainRow;
use super::{Node, Parts};
use crate::Core;
use crate::directory::check::{self, Report};
use crate::directory::domain_name;

struct CheckDomain(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The whole host name.
    name: String,
}

/// A domain, and what a check of it found.
#[derive(Serialize, JsonSchema)]
pub(super) struct Checked {
    #[serde(flatten)]
    domain: DomainRow,
    /// What the name resolves to.
    addresses: Vec<String>,
    /// Those of them that this machine has. Behind a router no machine has the address that the world
    /// sees.
    own_addresses: Vec<String>,
    /// Who answered on port 80, and what.
    answered: Option<String>,
    /// What to do, one step each; empty when nothing is wrong.
    advice: Vec<String>,
}

impl Checked {
    pub(super) fn of(core: &Core, report: Report) -> Self {
        let own = report.addresses.iter().filter(|address| address.is_this_machine);
        let own_addresses = own.map(|address| address.ip.clone()).collect();
        let addresses = report.addresses.into_iter().map(|address| address.ip).collect();
        Self {
            domain: DomainRow::of(&report.domain, &core.directory.now()),
            addresses,
            own_addresses,
            answered: report.answered,
            advice: report.advice,
        }
    }
}

impl Operate for CheckDomain {
    type Input = Input;
    type Output = Checked;

    async fn operate(&self, _: &Call, input: Input) -> Result<Checked> {
        let core = self.0.core()?;
        let report = check::check(&core, &domain_name::spelled(&input.name)).await?;
        Ok(Checked::of(&core, report))
    }
}

/// The columns of what a check found.
pub(super) fn columns(command: Command) -> Command {
    command
        .column("NAME", "name")
        .column("STATE", "state")
        .column("TARGET", "target")
        .column("ADDRESSES", "addresses")
        .column("OF THIS MACHINE", "own_addresses")
        .column("ANSWERED BY", "answered")
        .column("PROBLEM", "problem")
        .column("WHAT TO DO", "advice")
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = CheckDomain(parts.node());
    parts
        .operation(
            Operation::post::<CheckDomain>("/api/domains/{name}/check")
                .summary("Tries to reach the node under a domain, and says what stands in the way")
                .error("NO_SUCH_DOMAIN")
                .error("NOT_RUNNING")
                .example(serde_json::json!({"name": "www.example.com"})),
            run,
        )
        .command(columns(
            Command::new("domain check")
                .about("Find out what keeps a domain from leading here")
                .example("domain check www.example.com")
                .argument(Argument::required("name", "The whole host name"))
                .calls("POST /api/domains/{name}/check"),
        ))
}
