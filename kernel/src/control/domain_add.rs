//! `POST /api/domains`, `fazt domain add`.

use fazt_sdk::prelude::*;

use super::domain_check::{Checked, columns};
use super::{Node, Parts};
use crate::directory::check::{self, Report};
use crate::directory::{LeadsTo, domain_name};

struct AddDomain(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The whole host name, in ASCII.
    name: String,
    /// Id or alias of the app that it leads to.
    app: Option<String>,
    /// The host name that it redirects to, with path and query.
    redirect_to: Option<String>,
}

impl Operate for AddDomain {
    type Input = Input;
    type Output = Checked;

    async fn operate(&self, call: &Call, input: Input) -> Result<Checked> {
        let core = self.0.core()?;
        let name = domain_name::checked(&input.name, &core.domain())?;
        let leads_to = match (input.app, input.redirect_to) {
            (Some(app), None) => LeadsTo::App(core.find_app(call, &app)?.id),
            (None, Some(host)) => LeadsTo::Host(other_host(&host, &name)?.into()),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("a domain leads to an app or redirects, not both"));
            }
            (None, None) => {
                return Err(Error::invalid(
                    "say where the domain leads: --app with an app, or --redirect-to with a host name",
                ));
            }
        };
        let domain = core.directory.add_domain(&name, leads_to).await?;
        let report = if core.is_command() {
            let advice = vec![format!("Start the node; it checks {name} by itself")];
            Report { domain, addresses: Vec::new(), answered: None, advice }
        } else {
            check::check(&core, &name).await?
        };
        Ok(Checked::of(&core, report))
    }
}

/// The host that a domain redirects to: any name, also one of the node's own.
fn other_host(host: &str, name: &str) -> Result<String> {
    let host = domain_name::checked(host, NOBODY)?;
    if host == name {
        return Err(Error::invalid(format!("{name} cannot redirect to itself")));
    }
    Ok(host)
}

/// No node has that name.
const NOBODY: &str = "invalid";

pub(super) fn add(parts: Parts) -> Parts {
    let run = AddDomain(parts.node());
    parts
        .operation(
            Operation::post::<AddDomain>("/api/domains")
                .summary("Makes a host name of one's own lead to an app, or redirect to another; it answers once the node was reached under it")
                .error("BAD_DOMAIN")
                .error("DOMAIN_TAKEN")
                .error("REDIRECT_CHAIN")
                .error("NO_SUCH_APP")
                .example(serde_json::json!({"name": "www.example.com", "app": "blog"})),
            run,
        )
        .command(columns(
            Command::new("domain add")
                .about("Make a host name of your own lead to an app")
                .example("domain add www.example.com --app blog")
                .argument(Argument::required("name", "The whole host name"))
                .argument(Argument::option("app", "Id or alias of the app"))
                .argument(Argument::option("redirect_to", "Redirect to this host name instead"))
                .calls("POST /api/domains"),
        ))
}
