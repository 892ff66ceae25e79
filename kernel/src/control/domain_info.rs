//! `GET /api/domains/{name}`, `fazt domain info`.

use fazt_sdk::prelude::*;

use super::domain_list::DomainRow;
use super::{Node, Parts};
use crate::directory::{LeadsTo, domain_name, no_such_domain};

struct InfoOfDomain(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The whole host name.
    name: String,
}

impl Operate for InfoOfDomain {
    type Input = Input;
    type Output = DomainRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<DomainRow> {
        let core = self.0.core()?;
        let directory = core.directory.now();
        let name = domain_name::spelled(&input.name);
        let found = directory.domains.get(&name);
        if let Some(only) = call.limited_to()
            && found.is_none_or(|domain| domain.leads_to != LeadsTo::App(only))
        {
            return Err(Error::denied("a key for one app sees domains of that app only"));
        }
        let domain = found.ok_or_else(|| no_such_domain(&name))?;
        Ok(DomainRow::of(domain, &directory))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = InfoOfDomain(parts.node());
    parts
        .operation(
            Operation::get::<InfoOfDomain>("/api/domains/{name}")
                .summary("One domain, with what its latest check found")
                .for_app_keys()
                .error("NO_SUCH_DOMAIN")
                .example(serde_json::json!({"name": "www.example.com"})),
            run,
        )
        .command(
            Command::new("domain info")
                .about("Show one domain")
                .example("domain info www.example.com")
                .argument(Argument::required("name", "The whole host name"))
                .calls("GET /api/domains/{name}")
                .column("NAME", "name")
                .column("STATE", "state")
                .column("KIND", "kind")
                .column("TARGET", "target")
                .column("PROBLEM", "problem")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time)
                .column_as("VERIFIED", "verified_at_ms", fazt_sdk::command::Format::Time)
                .column_as("CHECKED", "checked_at_ms", fazt_sdk::command::Format::Time),
        )
}
