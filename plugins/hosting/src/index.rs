//! The files of active deployments, in memory: what a request is answered from.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fazt_sdk::AppId;
use fazt_sdk::Result;
use fazt_sdk::cartridge::{Cartridge, Query};

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
#[derive(Debug)]
pub(crate) struct Indexes {
    cartridge: Cartridge,
    slots: Slots,
}

impl Indexes {
    /// Keeps indexes of at most `entries_max` files together; one index alone may be over it.
    pub(crate) fn new(cartridge: Cartridge, entries_max: usize) -> Self {
        Self { cartridge, slots: Slots::new(entries_max) }
    }

    /// What `app` serves, out of memory; nothing when it is not there.
    pub(crate) fn get(&self, app: AppId) -> Option<Site> {
        self.slots.get(app)
    }

    /// What `app` serves. Reads the cartridge when it is not in memory.
    pub(crate) async fn load(&self, app: AppId) -> Result<Site> {
        if let Some(site) = self.get(app) {
            return Ok(site);
        }
        let before = self.slots.epoch();
        let site = store::read(&self.cartridge, move |reader| Index::load(reader, app)).await?;
        let site = site.map(Arc::new);
        self.slots.offer(before, app, site.clone());
        Ok(site)
    }

    /// From now on `app` serves `index`.
    pub(crate) fn activate(&self, app: AppId, index: Arc<Index>) {
        self.slots.activate(app, index);
    }

    /// From now on `app` serves what the cartridge says.
    pub(crate) fn forget(&self, app: AppId) {
        self.slots.forget(app);
    }
}

/// A moment between two changes of [`Slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch(u64);

/// What is in memory.
///
/// An index never goes back: one that was read while something was activated is not taken in.
struct Slots {
    entries_max: usize,
    slots: RwLock<HashMap<AppId, Slot>>,
    /// Counts changes. Held while `slots` is changed.
    epoch: Mutex<u64>,
    /// The epoch again, for those who only ask.
    now: AtomicU64,
}

impl Slots {
    fn new(entries_max: usize) -> Self {
        Self {
            entries_max,
            slots: RwLock::default(),
            epoch: Mutex::default(),
            now: AtomicU64::new(0),
        }
    }

    fn get(&self, app: AppId) -> Option<Site> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&app)?;
        slot.used.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(slot.site.clone())
    }

    /// This moment: to be taken before something is read that will be offered.
    fn epoch(&self) -> Epoch {
        Epoch(*self.lock())
    }

    /// Takes in what was read, unless something changed since `before`.
    fn offer(&self, before: Epoch, app: AppId, site: Site) {
        let epoch = self.lock();
        if before == Epoch(*epoch) {
            self.keep(epoch, app, site);
        }
    }

    fn activate(&self, app: AppId, index: Arc<Index>) {
        self.keep(self.lock(), app, Some(index));
    }

    fn forget(&self, app: AppId) {
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

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("entries_max", &self.entries_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visibility::Visibility;

    fn app(name: u8) -> AppId {
        AppId::from_key([name; 12]).unwrap()
    }

    fn index(deployment: u8, files: usize) -> Arc<Index> {
        let random = [deployment; 12];
        let id = DeploymentId::from_random(&random).unwrap();
        let entry = Entry::new("a", [0; 32], 0, Visibility::Public);
        let file = |number: usize| StoredFile::new(&number.to_string(), entry);
        Arc::new(Index::new(id, false, (0..files).map(file).collect()))
    }

    fn served(slots: &Slots, app: AppId) -> Option<Option<DeploymentId>> {
        Some(slots.get(app)?.map(|index| index.deployment.clone()))
    }

    #[test]
    fn what_was_read_before_a_change_is_not_taken_in() {
        let (old, new) = (index(1, 1), index(2, 1));
        let expected = Some(Some(new.deployment.clone()));
        let slots = Slots::new(100);
        let before = slots.epoch();
        slots.activate(app(b'a'), Arc::clone(&new));
        slots.offer(before, app(b'a'), Some(Arc::clone(&old)));
        assert_eq!(served(&slots, app(b'a')), expected);

        let before = slots.epoch();
        slots.forget(app(b'a'));
        slots.offer(before, app(b'a'), Some(new));
        assert_eq!(served(&slots, app(b'a')), None);
        slots.offer(slots.epoch(), app(b'a'), None);
        assert_eq!(served(&slots, app(b'a')), Some(None));
    }

    #[test]
    fn the_apps_that_are_asked_for_least_make_room() {
        let slots = Slots::new(10);
        for name in [b'a', b'b', b'c'] {
            slots.activate(app(name), index(1, 2));
        }
        assert!(slots.get(app(b'a')).is_some(), "9 of 10: each counts its files and one more");
        slots.activate(app(b'd'), index(1, 2));
        let left = |name| slots.get(app(name)).is_some();
        assert_eq!([b'a', b'b', b'c', b'd'].map(left), [true, false, true, true]);
        slots.activate(app(b'e'), index(1, 1000));
        assert_eq!([b'a', b'b', b'c', b'd', b'e'].map(left), [false, false, false, false, true]);
    }
}
