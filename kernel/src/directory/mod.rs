//! The directory: apps, and the names that lead to them.
//!
//! An alias is a label below the node's domain, a domain is a whole host name of its own. The whole
//! directory is a snapshot in memory that is swapped after a commit; looking a host up takes no lock
//! and touches no disk. A change copies the one map that it touches.

mod aliases;
mod apps;
mod apps_service;
pub(crate) mod check;
pub(crate) mod domain_name;
mod domains;
pub(crate) mod label;
pub(crate) mod lineage;
pub(crate) mod probe;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fazt_sdk::{AppId, Error, Result};

use crate::cartridge::{Cartridge, Owner, SqlError, TxError, WriteTx};

pub(crate) use apps_service::AppsService;
pub(crate) use domains::no_such_domain;

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) name: String,
    pub(crate) created_at_ms: u64,
    /// The app that it was copied from, which may be gone.
    pub(crate) forked_from: Option<AppId>,
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
    /// One of several apps for each visitor; the heaviest share first.
    Split(Arc<[Share]>),
}

/// One app of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) app: AppId,
    /// Visitors of each hundred.
    pub(crate) weight: u8,
}

/// A host name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) leads_to: LeadsTo,
    pub(crate) created_at_ms: u64,
    /// When the node was first reached under the name. Until then it answers as an unknown host.
    pub(crate) verified_at_ms: Option<u64>,
    /// When that was last tried.
    pub(crate) checked_at_ms: Option<u64>,
    /// Why it did not work.
    pub(crate) problem: Option<String>,
}

/// What a domain leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeadsTo {
    /// An app.
    App(AppId),
    /// The same path on another host, by a redirect.
    Host(Arc<str>),
}

/// The most apps of one node.
pub(crate) const APPS_MAX: u64 = 10_000;

/// The most aliases of one node.
pub(crate) const ALIASES_MAX: u64 = 20_000;

/// The most domains of one node.
pub(crate) const DOMAINS_MAX: u64 = 1_000;

/// The directory at one moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct Snapshot {
    pub(crate) apps: Arc<HashMap<AppId, Arc<App>>>,
    pub(crate) aliases: Arc<HashMap<String, Arc<Alias>>>,
    pub(crate) domains: Arc<HashMap<String, Arc<Domain>>>,
}

impl Snapshot {
    /// The app that `reference` names: an id, an alias of an app, or else the name that one app alone
    /// was created under, so that an app whose alias was taken away or split can still be named.
    pub(crate) fn find(&self, reference: &str) -> Option<&App> {
        self.find_exactly(reference).or_else(|| {
            let mut called = self.apps.values().filter(|app| app.name == reference);
            let found = called.next()?;
            called.next().is_none().then_some(&**found)
        })
    }

    /// The app that `reference`, an id or an alias, leads to.
    pub(crate) fn find_exactly(&self, reference: &str) -> Option<&App> {
        if let Ok(id) = reference.parse() {
            return self.app(id);
        }
        match self.aliases.get(reference)?.target {
            Target::App(id) => self.app(id),
            Target::Redirect(_) | Target::Reserved | Target::Split(_) => None,
        }
    }

    /// One app.
    pub(crate) fn app(&self, id: AppId) -> Option<&App> {
        self.apps.get(&id).map(|app| &**app)
    }

    /// The aliases that lead to `app` alone, the oldest first.
    pub(crate) fn aliases_of(&self, app: AppId) -> Vec<&Alias> {
        let aliases = self.aliases.values().map(|alias| &**alias);
        let mut found: Vec<_> = aliases.filter(|alias| alias.leads_to(app)).collect();
        found.sort_by_key(|alias| alias.age());
        found
    }

    /// The domains under which visitors reach `app`, the oldest first.
    pub(crate) fn domains_of(&self, app: AppId) -> Vec<&Domain> {
        let domains = self.domains.values().map(|domain| &**domain);
        let mut found: Vec<_> = domains.filter(|domain| domain.shows(app)).collect();
        found.sort_by_key(|domain| domain.age());
        found
    }

    /// The names of all apps at once.
    pub(crate) fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        for alias in self.aliases.values() {
            if let Target::App(app) = alias.target {
                names.0.entry(app).or_default().0.push(alias);
            }
        }
        for domain in self.domains.values() {
            if let LeadsTo::App(app) = domain.leads_to
                && domain.shows(app)
            {
                names.0.entry(app).or_default().1.push(domain);
            }
        }
        for (aliases, domains) in names.0.values_mut() {
            aliases.sort_by_key(|alias| alias.age());
            domains.sort_by_key(|domain| domain.age());
        }
        names
    }
}

/// The aliases that lead to each app alone, and its verified domains, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Names<'s>(HashMap<AppId, (Vec<&'s Alias>, Vec<&'s Domain>)>);

impl<'s> Names<'s> {
    /// The names of `app`.
    pub(crate) fn of(&self, app: AppId) -> (&[&'s Alias], &[&'s Domain]) {
        self.0.get(&app).map_or((&[], &[]), |(aliases, domains)| (aliases, domains))
    }
}

impl Alias {
    /// Whether it leads to `app` alone.
    pub(crate) fn leads_to(&self, app: AppId) -> bool {
        self.target == Target::App(app)
    }

    /// Where it stands among the aliases of an app.
    fn age(&self) -> (u64, &str) {
        (self.created_at_ms, &self.name)
    }
}

impl Domain {
    /// Whether the node was ever reached under the name.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified_at_ms.is_some()
    }

    /// Whether visitors who come by it see `app`.
    fn shows(&self, app: AppId) -> bool {
        self.is_verified() && self.leads_to == LeadsTo::App(app)
    }

    /// Where it stands among the domains of an app.
    fn age(&self) -> (u64, &str) {
        (self.created_at_ms, &self.name)
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

/// What a write does to the snapshot once it is on the disk.
type Change = Box<dyn FnOnce(&mut Snapshot) + Send>;

/// Why a write of the directory stops; what it did so far is undone.
enum Stop {
    /// The directory does not allow it.
    Refused(Error),
    /// The cartridge does not.
    Failed(TxError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<TxError> for Stop {
    fn from(error: TxError) -> Self {
        Self::Failed(error)
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Failed(error.into())
    }
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

    /// Writes what `run` does, all of it or nothing, and changes the snapshot after the sync.
    async fn write<T: Send + 'static>(
        &self,
        app: Option<AppId>,
        run: impl Fn(&WriteTx<'_>) -> Result<(T, Change), Stop> + Send + 'static,
    ) -> Result<T> {
        let refusal: Arc<Mutex<Option<Error>>> = Arc::default();
        let (snapshot, changing) = (Arc::clone(&self.snapshot), Arc::clone(&self.changing));
        let refused = Arc::clone(&refusal);
        let written =
            self.cartridge.write_value(&Owner::kernel(), app.map(|app| *app.key()), move |tx| {
                match run(tx) {
                    Ok((value, change)) => {
                        let (snapshot, changing) = (Arc::clone(&snapshot), Arc::clone(&changing));
                        tx.on_commit(Box::new(move || {
                            let guard = changing.lock().unwrap_or_else(PoisonError::into_inner);
                            let mut changed = Snapshot::clone(&snapshot.load());
                            change(&mut changed);
                            snapshot.store(Arc::new(changed));
                            drop(guard);
                        }));
                        Ok(value)
                    }
                    Err(Stop::Failed(error)) => Err(error),
                    Err(Stop::Refused(error)) => {
                        *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        Err(TxError::Aborted("the directory refused a change".to_owned()))
                    }
                }
            });
        written.await.map_err(|error| {
            let refusal = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refusal.unwrap_or_else(|| error.into())
        })
    }
}

/// The time of a write.
fn now_ms(tx: &WriteTx<'_>) -> u64 {
    u64::try_from(tx.now_ms()).unwrap_or(0)
}

/// Refuses one more of `what` when there are `count` of at most `most`.
fn refuse_past(what: &str, count: u64, most: u64) -> Result<(), Stop> {
    if count < most {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "this node has {count} {what}, which is the most that it takes; remove some first"
    ))
    .with_code("TOO_MANY")
    .into())
}

/// Puts an alias into the snapshot.
fn put_alias(snapshot: &mut Snapshot, alias: Alias) {
    Arc::make_mut(&mut snapshot.aliases).insert(alias.name.clone(), Arc::new(alias));
}

/// Puts an app into the snapshot.
fn put_app(snapshot: &mut Snapshot, app: App) {
    Arc::make_mut(&mut snapshot.apps).insert(app.id, Arc::new(app));
}
