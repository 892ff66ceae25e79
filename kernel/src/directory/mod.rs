//! The directory: apps, and the names that lead to them.
//!
//! An alias is a label below the node's domain. The whole directory is a snapshot in memory that is
//! swapped after a commit; looking a host up takes no lock and touches no disk.

mod apps_service;
pub(crate) mod label;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fazt_sdk::{AppId, Error, Result};

use crate::cartridge::{Cartridge, Owner};

pub(crate) use apps_service::AppsService;

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) name: String,
    pub(crate) created_at_ms: u64,
}

/// A label below the node's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) created_at_ms: u64,
}

/// What an alias leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An app.
    App(AppId),
    /// Another address, by a redirect.
    Redirect(Arc<str>),
    /// Nothing yet: the name is kept free.
    Reserved,
}

/// The directory at one moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct Snapshot {
    pub(crate) apps: HashMap<AppId, App>,
    pub(crate) aliases: HashMap<String, Alias>,
}

impl Snapshot {
    /// The app that `reference`, an id or an alias, names.
    pub(crate) fn find(&self, reference: &str) -> Option<&App> {
        if let Ok(id) = reference.parse() {
            return self.apps.get(&id);
        }
        match self.aliases.get(reference)?.target {
            Target::App(id) => self.apps.get(&id),
            Target::Redirect(_) | Target::Reserved => None,
        }
    }

    /// The aliases of `app`, the oldest first.
    pub(crate) fn aliases_of(&self, app: AppId) -> Vec<&Alias> {
        let mut found: Vec<_> =
            self.aliases.values().filter(|alias| alias.target == Target::App(app)).collect();
        found.sort_by(|one, other| {
            (one.created_at_ms, &one.name).cmp(&(other.created_at_ms, &other.name))
        });
        found
    }
}

/// The directory of a node.
#[derive(Debug)]
pub(crate) struct Directory {
    cartridge: Cartridge,
    /// Also captured by commit hooks, which run on the writer's thread.
    snapshot: Arc<ArcSwap<Snapshot>>,
    changing: Arc<Mutex<()>>,
}

impl Directory {
    /// Reads the directory into memory.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(cartridge: &Cartridge) -> Result<Self> {
        let snapshot = cartridge.scan_value(&Owner::kernel(), store::snapshot).await?;
        Ok(Self {
            cartridge: cartridge.clone(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            changing: Arc::default(),
        })
    }

    /// The directory now.
    pub(crate) fn now(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Swaps the snapshot for a changed copy. Runs on the writer's thread, after the sync.
    fn changer(
        &self,
        change: impl FnOnce(&mut Snapshot) + Send + 'static,
    ) -> Box<dyn FnOnce() + Send> {
        let (snapshot, changing) = (Arc::clone(&self.snapshot), Arc::clone(&self.changing));
        Box::new(move || {
            let guard = changing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Snapshot::clone(&snapshot.load());
            change(&mut changed);
            snapshot.store(Arc::new(changed));
            drop(guard);
        })
    }

    /// The app behind alias `name`; made, with that alias, when neither is there. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that is reserved or a redirect.
    pub(crate) async fn ensure(self: &Arc<Self>, name: &str, id: AppId) -> Result<App> {
        label::check(name)?;
        let (this, name) = (Arc::clone(self), name.to_owned());
        let made = self.cartridge.write_value(&Owner::kernel(), Some(*id.key()), move |tx| {
            let now_ms = u64::try_from(tx.now_ms()).unwrap_or(0);
            if let Some(target) = store::alias_target(tx, &name)? {
                return match target {
                    Target::App(id) => Ok(store::app(tx, id)?.ok_or_else(|| Error::internal(format!("the alias {name} leads to an app that is gone")))),
                    Target::Redirect(_) => Ok(Err(Error::conflict(format!("{name} is a redirect; remove it with `fazt alias remove {name}`, or deploy under another name")))),
                    Target::Reserved => Ok(Err(Error::conflict(format!("{name} is reserved; remove the reservation with `fazt alias remove {name}`, or deploy under another name")))),
                };
            }
            let app = App { id, name: name.clone(), created_at_ms: now_ms };
            let alias = Alias { name: name.clone(), target: Target::App(id), created_at_ms: now_ms };
            store::insert_app(tx, &app)?;
            store::insert_alias(tx, &alias)?;
            let inserted = app.clone();
            tx.on_commit(this.changer(move |snapshot| {
                snapshot.apps.insert(inserted.id, inserted);
                snapshot.aliases.insert(alias.name.clone(), alias);
            }));
            Ok(Ok(app))
        });
        made.await?
    }

    /// Adds an alias. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that is taken, `NotFound` for an
    /// app that is not there.
    pub(crate) async fn add_alias(self: &Arc<Self>, name: &str, target: Target) -> Result<Alias> {
        label::check(name)?;
        let (this, name) = (Arc::clone(self), name.to_owned());
        let added = self.cartridge.write_value(&Owner::kernel(), None, move |tx| {
            if store::alias_target(tx, &name)?.is_some() {
                return Ok(Err(Error::conflict(format!(
                    "the alias {name} is taken; see `fazt alias list`"
                ))
                .with_code("ALIAS_TAKEN")));
            }
            if let Target::App(id) = target
                && store::app(tx, id)?.is_none()
            {
                return Ok(Err(Error::not_found(format!("there is no app {id}"))));
            }
            let alias = Alias {
                name: name.clone(),
                target: target.clone(),
                created_at_ms: u64::try_from(tx.now_ms()).unwrap_or(0),
            };
            store::insert_alias(tx, &alias)?;
            let inserted = alias.clone();
            tx.on_commit(this.changer(move |snapshot| {
                snapshot.aliases.insert(inserted.name.clone(), inserted);
            }));
            Ok(Ok(alias))
        });
        added.await?
    }

    /// Removes an alias; with `only`, one that leads to that app. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name; `Denied` when it leads elsewhere.
    pub(crate) async fn remove_alias(
        self: &Arc<Self>,
        name: &str,
        only: Option<AppId>,
    ) -> Result<()> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let removed = self.cartridge.write_value(&Owner::kernel(), None, move |tx| {
            if let Some(app) = only
                && store::alias_target(tx, &name)? != Some(Target::App(app))
            {
                return Ok(Err(Error::denied(
                    "a key for one app removes aliases of that app only",
                )));
            }
            if !store::delete_alias(tx, &name)? {
                return Ok(Err(Error::not_found(format!(
                    "there is no alias {name}; see `fazt alias list`"
                ))));
            }
            let name = name.clone();
            tx.on_commit(this.changer(move |snapshot| {
                snapshot.aliases.remove(&name);
            }));
            Ok(Ok(()))
        });
        removed.await?
    }

    /// Removes an app and its aliases, and tells every plugin that follows. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is no such app.
    pub(crate) async fn remove_app(self: &Arc<Self>, id: AppId) -> Result<()> {
        let this = Arc::clone(self);
        let removed = self.cartridge.write_value(&Owner::kernel(), Some(*id.key()), move |tx| {
            if !store::delete_app(tx, id)? {
                return Ok(Err(Error::not_found(format!("there is no app {id}"))));
            }
            let event = fazt_sdk::event::AppRemoved { app: id };
            tx.emit(
                <fazt_sdk::event::AppRemoved as fazt_sdk::Event>::NAME,
                &fazt_sdk::wire::to_vec(&event),
            )?;
            tx.on_commit(this.changer(move |snapshot| {
                snapshot.apps.remove(&id);
                snapshot.aliases.retain(|_, alias| alias.target != Target::App(id));
            }));
            Ok(Ok(()))
        });
        removed.await?
    }
}
