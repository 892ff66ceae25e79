//! The files of active deployments, in memory: what a request is answered from.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fazt_sdk::AppId;
use fazt_sdk::cartridge::{Cartridge, Query};
use fazt_sdk::{ErrorKind, Result};

use crate::model::{DeploymentId, Entry, StoredDeployment, StoredFile};
use crate::resolve::Routing;
use crate::store;

/// The files of one deployment. Never changes.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) deployment: DeploymentId,
    pub(crate) routing: Routing,
    files: HashMap<Box<str>, Entry>,
}

impl Index {
    pub(crate) fn new(deployment: DeploymentId, is_spa: bool, files: Vec<StoredFile>) -> Self {
        let routing = if is_spa { Routing::SinglePage } else { Routing::Files };
        let files = files.into_iter().map(|file| (file.path, file.entry)).collect();
        Self { deployment, routing, files }
    }

    /// The file at the canonical `path`.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.files.get(path)
    }

    fn load(query: &impl Query, app: AppId) -> Result<Option<Self>> {
        let Some(StoredDeployment { id, is_spa, .. }) = store::active(query, app)? else {
            return Ok(None);
        };
        let files = store::files(query, &id)?;
        Ok(Some(Self::new(id, is_spa, files)))
    }
}

/// What an app serves: an index, or nothing when it has no active deployment.
type Site = Option<Arc<Index>>;

struct Slot {
    site: Site,
    /// The epoch in which somebody last asked for it.
    used: AtomicU64,
}

impl Slot {
    /// Files, and one more so that an app without files counts too.
    fn weight(&self) -> usize {
        1 + self.site.as_ref().map_or(0, |index| index.files.len())
    }
}

/// The indexes of the apps that were asked for lately; the others are read when they are asked for.
///
/// An index never goes back: what was read while something was activated is used once and not kept.
pub(crate) struct Indexes {
    cartridge: Cartridge,
    /// The most files in all indexes together; one index alone may be over it.
    entries_max: usize,
    slots: RwLock<HashMap<AppId, Slot>>,
    /// Counts activations and loads. Held while `slots` is changed.
    epoch: Mutex<u64>,
    /// The epoch again, for those who only ask.
    now: AtomicU64,
}

impl Indexes {
    pub(crate) fn new(cartridge: Cartridge, entries_max: usize) -> Self {
        Self {
            cartridge,
            entries_max,
            slots: RwLock::default(),
            epoch: Mutex::new(0),
            now: AtomicU64::new(0),
        }
    }

    /// What `app` serves, out of memory; nothing when it is not there.
    pub(crate) fn get(&self, app: AppId) -> Option<Site> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&app)?;
        slot.used.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(slot.site.clone())
    }

    /// What `app` serves. Reads the cartridge when it is not in memory.
    pub(crate) async fn load(&self, app: AppId) -> Result<Site> {
        if let Some(site) = self.get(app) {
            return Ok(site);
        }
        let before = *self.lock();
        let site = match self.cartridge.read(|reader| Index::load(reader, app)) {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                self.cartridge.scan(move |reader| Index::load(reader, app)).await?
            }
            other => other?,
        };
        let site = site.map(Arc::new);
        let epoch = self.lock();
        if *epoch == before {
            self.keep(epoch, app, site.clone());
        }
        Ok(site)
    }

    /// From now on `app` serves `index`.
    pub(crate) fn activate(&self, app: AppId, index: Arc<Index>) {
        self.keep(self.lock(), app, Some(index));
    }

    /// From now on `app` serves what the cartridge says.
    pub(crate) fn forget(&self, app: AppId) {
        let epoch = self.lock();
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(&app);
        self.advance(epoch);
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, mut epoch: MutexGuard<'_, u64>) {
        *epoch += 1;
        self.now.store(*epoch, Ordering::Relaxed);
    }

    fn keep(&self, epoch: MutexGuard<'_, u64>, app: AppId, site: Site) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(app, Slot { site, used: AtomicU64::new(*epoch + 1) });
        let mut total: usize = slots.values().map(Slot::weight).sum();
        while total > self.entries_max && slots.len() > 1 {
            let idle = slots
                .iter()
                .filter(|(other, _)| **other != app)
                .min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed))
                .map(|(other, _)| *other);
            let Some(slot) = idle.and_then(|idle| slots.remove(&idle)) else { break };
            total -= slot.weight();
        }
        drop(slots);
        self.advance(epoch);
    }
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes").field("entries_max", &self.entries_max).finish_non_exhaustive()
    }
}
