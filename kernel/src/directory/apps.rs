//! Changes of apps.

use std::sync::Arc;

use fazt_sdk::{AppId, Error, Result};

use super::{
    ALIASES_MAX, APPS_MAX, Alias, App, Directory, LeadsTo, Stop, Target, label, now_ms, put_alias,
    put_app, refuse_past, store,
};
use crate::cartridge::{SqlError, WriteTx};

impl Directory {
    /// The app behind alias `name`; made, with that alias, when neither is there. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that does not lead to an app.
    pub(crate) async fn ensure(&self, name: &str, id: AppId) -> Result<App> {
        label::check(name)?;
        let name = name.to_owned();
        self.write(Some(id), move |tx| {
            let Some(alias) = store::alias(tx, &name)? else {
                label::check_new_app(&name)?;
                return made(tx, id, &name, true, None);
            };
            let Target::App(id) = alias.target else {
                return Err(no_app(&alias).into());
            };
            let app = store::app(tx, id)?.ok_or_else(|| {
                Error::internal(format!("the alias {name} leads to an app that is gone"))
            })?;
            Ok((app, Box::new(|_| {})))
        })
        .await
    }

    /// What [`ensure`](Self::ensure) would refuse `name` for, as far as it is known now.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub(crate) fn check_ensure(&self, name: &str) -> Result<()> {
        match self.now().aliases.get(name).map(|alias| (alias, &alias.target)) {
            Some((_, Target::App(_))) => Ok(()),
            Some((alias, _)) => Err(no_app(alias)),
            None => label::check_new_app(name),
        }
    }

    /// Makes an app, with the alias `name` that leads to it. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that is taken.
    pub(crate) async fn create(&self, name: &str, id: AppId) -> Result<App> {
        label::check_new_app(name)?;
        let name = name.to_owned();
        self.write(Some(id), move |tx| {
            if store::alias(tx, &name)?.is_some() {
                return Err(Error::conflict(format!(
                    "the alias {name} is taken; see `fazt alias info {name}`"
                ))
                .with_code("ALIAS_TAKEN")
                .into());
            }
            made(tx, id, &name, true, None)
        })
        .await
    }

    /// Makes an app that is to become a copy of `from`. No alias leads to it yet. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label.
    pub(crate) async fn create_copy(&self, name: &str, id: AppId, from: AppId) -> Result<App> {
        label::check_new_app(name)?;
        let name = name.to_owned();
        self.write(Some(id), move |tx| made(tx, id, &name, false, Some(from))).await
    }

    /// Removes an app, its aliases and its domains, does `also` in the same write, and tells every
    /// plugin that follows. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is no such app; `Conflict` when visitors of a split are sent to it.
    pub(crate) async fn remove_app(
        &self,
        id: AppId,
        also: impl Fn(&WriteTx<'_>) -> Result<(), SqlError> + Send + 'static,
    ) -> Result<()> {
        self.write(Some(id), move |tx| {
            if let Some(split) = store::split_with(tx, id)? {
                return Err(Error::conflict(format!(
                    "the alias {split} sends visitors to this app; split it anew without the app, or remove it with `fazt alias remove {split}`"
                ))
                .with_code("APP_IN_SPLIT")
                .into());
            }
            if !store::delete_app(tx, id)? {
                return Err(Error::not_found(format!("there is no app {id}")).into());
            }
            also(tx)?;
            let event = fazt_sdk::event::AppRemoved { app: id };
            tx.emit(
                <fazt_sdk::event::AppRemoved as fazt_sdk::Event>::NAME,
                &fazt_sdk::wire::to_vec(&event),
            )?;
            Ok((
                (),
                Box::new(move |snapshot| {
                    Arc::make_mut(&mut snapshot.apps).remove(&id);
                    Arc::make_mut(&mut snapshot.aliases).retain(|_, alias| !alias.leads_to(id));
                    if snapshot.domains.values().any(|domain| domain.leads_to == LeadsTo::App(id)) {
                        Arc::make_mut(&mut snapshot.domains)
                            .retain(|_, domain| domain.leads_to != LeadsTo::App(id));
                    }
                }),
            ))
        })
        .await
    }
}

/// Why nothing is deployed to an alias that leads to no app.
fn no_app(alias: &Alias) -> Error {
    let name = &alias.name;
    let why = match alias.target {
        Target::Split(_) => {
            return Error::conflict(format!(
                "{name} is split between several apps; name the one that is meant by its id, which `fazt alias info {name}` shows"
            ));
        }
        Target::Redirect(_) => "a redirect",
        Target::Reserved | Target::App(_) => "reserved",
    };
    Error::conflict(format!(
        "{name} is {why}; take that away with `fazt alias remove {name}`, or deploy under another name"
    ))
}

/// Makes an app inside a write, with an alias of its name if it is to have one.
fn made(
    tx: &WriteTx<'_>,
    id: AppId,
    name: &str,
    has_alias: bool,
    forked_from: Option<AppId>,
) -> Result<(App, super::Change), Stop> {
    refuse_past("apps", store::apps(tx)?, APPS_MAX)?;
    let created_at_ms = now_ms(tx);
    let app = App { id, name: name.to_owned(), created_at_ms, forked_from };
    store::insert_app(tx, &app)?;
    let alias =
        has_alias.then(|| Alias { name: name.to_owned(), target: Target::App(id), created_at_ms });
    if let Some(alias) = &alias {
        refuse_past("aliases", store::aliases(tx)?, ALIASES_MAX)?;
        store::put_alias(tx, alias)?;
    }
    let inserted = app.clone();
    Ok((
        app,
        Box::new(move |snapshot| {
            put_app(snapshot, inserted);
            if let Some(alias) = alias {
                put_alias(snapshot, alias);
            }
        }),
    ))
}
