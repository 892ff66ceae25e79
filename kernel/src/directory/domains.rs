//! Changes of domains.

use std::sync::Arc;

use fazt_sdk::{Error, Result};

use super::{DOMAINS_MAX, Directory, Domain, LeadsTo, now_ms, refuse_past, store};

impl Directory {
    /// Adds a domain, of which nothing is known yet. `name` and the host of a redirect are canonical.
    /// Durable.
    ///
    /// # Errors
    /// `Conflict` for a name that is there, and for a redirect to a redirect; `NotFound` for an app
    /// that is not there.
    pub(crate) async fn add_domain(&self, name: &str, leads_to: LeadsTo) -> Result<Domain> {
        let name = name.to_owned();
        self.write(None, move |tx| {
            if store::domain(tx, &name)?.is_some() {
                return Err(Error::conflict(format!(
                    "the domain {name} is there already; see `fazt domain info {name}`"
                ))
                .with_code("DOMAIN_TAKEN")
                .into());
            }
            match &leads_to {
                LeadsTo::App(id) if store::app(tx, *id)?.is_none() => {
                    return Err(Error::not_found(format!("there is no app {id}")).into());
                }
                LeadsTo::App(_) => {}
                LeadsTo::Host(host) => {
                    let onward =
                        store::domain(tx, host)?.and_then(|domain| match domain.leads_to {
                            LeadsTo::Host(onward) => Some(onward),
                            LeadsTo::App(_) => None,
                        });
                    if let Some(onward) = onward {
                        return Err(chain(&name, host, &onward).into());
                    }
                    if let Some(before) = store::domain_redirecting_to(tx, &name)? {
                        return Err(chain(&before, &name, host).into());
                    }
                }
            }
            refuse_past("domains", store::domains(tx)?, DOMAINS_MAX)?;
            let domain = Domain {
                name: name.clone(),
                leads_to: leads_to.clone(),
                created_at_ms: now_ms(tx),
                verified_at_ms: None,
                checked_at_ms: None,
                problem: None,
            };
            store::insert_domain(tx, &domain)?;
            let inserted = domain.clone();
            Ok((domain, Box::new(move |snapshot| put(snapshot, inserted))))
        })
        .await
    }

    /// Notes what a check of a domain found: nothing wrong, or a problem. What was verified once stays
    /// so: a resolver that fails for an hour takes no site down. Durable.
    ///
    /// # Errors
    /// `NotFound` when the domain is gone by now.
    pub(crate) async fn domain_checked(
        &self,
        name: &str,
        problem: Option<String>,
    ) -> Result<Domain> {
        let name = name.to_owned();
        self.write(None, move |tx| {
            let Some(mut domain) = store::domain(tx, &name)? else {
                return Err(no_such_domain(&name).into());
            };
            let now_ms = now_ms(tx);
            domain.checked_at_ms = Some(now_ms);
            if problem.is_none() {
                domain.verified_at_ms = domain.verified_at_ms.or(Some(now_ms));
            }
            domain.problem.clone_from(&problem);
            store::update_domain_check(tx, &domain)?;
            let changed = domain.clone();
            Ok((domain, Box::new(move |snapshot| put(snapshot, changed))))
        })
        .await
    }

    /// Removes a domain. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub(crate) async fn remove_domain(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.write(None, move |tx| {
            if !store::delete_domain(tx, &name)? {
                return Err(no_such_domain(&name).into());
            }
            let name = name.clone();
            Ok((
                (),
                Box::new(move |snapshot| {
                    Arc::make_mut(&mut snapshot.domains).remove(&name);
                }),
            ))
        })
        .await
    }
}

fn put(snapshot: &mut super::Snapshot, domain: Domain) {
    Arc::make_mut(&mut snapshot.domains).insert(domain.name.clone(), Arc::new(domain));
}

fn chain(name: &str, host: &str, onward: &str) -> Error {
    Error::conflict(format!(
        "{name} would redirect to {host}, which redirects to {onward}; redirect to {onward} at once"
    ))
    .with_code("REDIRECT_CHAIN")
}

/// There is no such domain.
pub(crate) fn no_such_domain(name: &str) -> Error {
    Error::not_found(format!("there is no domain {name}; see `fazt domain list`"))
        .with_code("NO_SUCH_DOMAIN")
}
