//! The files of deployments, in memory: what a request is answered from.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fazt_sdk::AppId;
use fazt_sdk::Result;
use fazt_sdk::cartridge::{Cartridge, Reader};
use foldhash::fast::RandomState;

use crate::listing::{self, Listed};
use crate::markdown;
use crate::model::{DeploymentId, Entry, PreviewLabel, StoredDeployment, StoredFile, Variants};
use crate::resolve::{Resolution, Routing, Viewer, names_file, resolve};
use crate::site_rules::{RuleFiles, SiteRules};
use crate::store;
use crate::visibility::Visibility;

/// The files of one deployment. Never changes.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) deployment: DeploymentId,
    pub(crate) routing: Routing,
    pub(crate) rules: Arc<SiteRules>,
    /// Whether a `main.js` at the root, which is server code, answers what is no file.
    pub(crate) has_server: bool,
    files: HashMap<Box<str>, File, RandomState>,
    /// Folders whose page is reached with a `/` at the end.
    folders: HashSet<Box<str>, RandomState>,
}

/// A file of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) entry: Entry,
    /// The compressed forms of the content, as far as they were made when the index was read.
    pub(crate) variants: Option<Arc<Variants>>,
}

impl Index {
    pub(crate) fn new(
        deployment: DeploymentId,
        is_spa: bool,
        files: Vec<StoredFile>,
        rules: Arc<SiteRules>,
    ) -> Self {
        let routing = if is_spa { Routing::SinglePage } else { Routing::Files };
        let folders = folders_with_files(&files);
        let is_server = |file: &StoredFile| {
            &*file.path == "main.js" && file.entry.visibility == Visibility::Server
        };
        let has_server = files.iter().any(is_server);
        let named = |StoredFile { path, entry, variants }| (path, File { entry, variants });
        let files = files.into_iter().map(named).collect();
        Self { deployment, routing, rules, has_server, files, folders }
    }

    /// The file at the canonical `path`, and that path.
    pub(crate) fn get(&self, path: &str) -> Option<(&str, &File)> {
        self.files.get_key_value(path).map(|(path, file)| (&**path, file))
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (&**path, file))
    }

    /// What answers `path`, which starts with `/`.
    pub(crate) fn resolve(&self, path: &str, routing: Routing) -> Resolution<(&str, &File)> {
        // Nobody is known before sign-in to apps exists.
        let found = resolve(path, routing, Viewer::Anonymous, |path| self.seen(path));
        if self.folders.is_empty() {
            return found;
        }
        let bare = path.strip_prefix('/').unwrap_or(path);
        match (found, bare.strip_suffix('/')) {
            (Resolution::WithoutSlash, Some(folder)) if self.folders.contains(folder) => {
                self.page_of(folder).map_or(Resolution::WithoutSlash, Resolution::File)
            }
            (Resolution::File((file, _)), None) if self.folders.contains(bare) && file != bare => {
                Resolution::WithSlash
            }
            (found, _) => found,
        }
    }

    /// The page of a folder that is reached with a `/`: its `index.html`, if no file is called as the
    /// folder is.
    fn page_of(&self, folder: &str) -> Option<(&str, &File)> {
        self.get(&format!("{folder}/index.html"))
    }

    /// Whether a file answers `path`, which starts with `/`; whoever may see it.
    pub(crate) fn has(&self, path: &str) -> bool {
        names_file(path, &|path: &str| self.seen(path))
    }

    /// The file that says in Markdown what the page at `path` says.
    pub(crate) fn markdown(&self, path: &str) -> Option<(&str, &File)> {
        markdown::find(path, Viewer::Anonymous, |path| self.seen(path))
    }

    /// The page that shows what is in the folder at `path`, if the site wants that. Walks over all
    /// files.
    pub(crate) fn listing(&self, path: &str) -> Option<String> {
        let listed = |(path, file): (_, &File)| Listed {
            path,
            visibility: file.entry.visibility,
            size: file.entry.size,
        };
        let files = self.files.iter().map(|(path, file)| listed((&**path, file)));
        if self.rules.lists_folders { listing::page(path, files) } else { None }
    }

    fn seen(&self, path: &str) -> Option<(Visibility, (&str, &File))> {
        self.get(path).map(|named| (named.1.entry.visibility, named))
    }

    fn load(reader: &Reader<'_>, found: Option<StoredDeployment>) -> Result<Option<Self>> {
        let Some(StoredDeployment { id, is_spa, .. }) = found else { return Ok(None) };
        let files = store::files(reader, &id)?;
        let rules = RuleFiles::read(reader, &files)?.rules();
        Ok(Some(Self::new(id, is_spa, files, Arc::new(rules))))
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

/// The folders that have a page and other files beside it, or below it in folders without a page: links
/// of that page are relative to the folder, so its address ends in `/`. A page that is alone does not
/// need one.
fn folders_with_files(files: &[StoredFile]) -> HashSet<Box<str>, RandomState> {
    let mut pages: HashSet<&str, RandomState> = HashSet::default();
    pages.extend(files.iter().filter_map(|file| folder_of_page(&file.path)));
    let mut folders = HashSet::default();
    if pages.is_empty() {
        return folders;
    }
    let is_sent = |file: &&StoredFile| file.entry.visibility != Visibility::Server;
    let is_other = |file: &&StoredFile| folder_of_page(&file.path).is_none();
    for file in files.iter().filter(is_sent).filter(is_other) {
        let mut above = file.path.rsplit_once('/').map(|(folder, _)| folder);
        while let Some(folder) = above {
            if pages.contains(folder) {
                if !folders.contains(folder) {
                    folders.insert(folder.into());
                }
                break;
            }
            above = folder.rsplit_once('/').map(|(folder, _)| folder);
        }
    }
    folders
}

/// The folder whose page this file is.
fn folder_of_page(path: &str) -> Option<&str> {
    path.strip_suffix("/index.html")
}

/// A deployment by the name in its own host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Preview {
    app: AppId,
    label: [u8; PreviewLabel::CHARS],
}

/// The indexes of the deployments that were asked for lately; the others are read when they are asked
/// for.
#[derive(Debug)]
pub(crate) struct Indexes {
    cartridge: Cartridge,
    active: Slots<AppId>,
    previews: Slots<Preview>,
}

/// One file in so many is kept for previews: they are looked at by few.
const PREVIEW_SHARE: usize = 4;

impl Indexes {
    /// Keeps indexes of at most `entries_max` files together, and a quarter more for previews; one
    /// index alone may be over it.
    pub(crate) fn new(cartridge: Cartridge, entries_max: usize) -> Self {
        let previews = Slots::new(entries_max / PREVIEW_SHARE);
        Self { cartridge, active: Slots::new(entries_max), previews }
    }

    /// What `app` serves, out of memory; nothing when it is not there.
    pub(crate) fn get(&self, app: AppId) -> Option<Site> {
        self.active.get(app)
    }

    /// What `app` serves. Reads the cartridge when it is not in memory.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(&self, app: AppId) -> Result<Site> {
        if let Some(site) = self.get(app) {
            return Ok(site);
        }
        let before = self.active.epoch();
        let read = move |reader: &Reader<'_>| Index::load(reader, store::active(reader, app)?);
        let site = store::read(&self.cartridge, read).await?.map(Arc::new);
        self.active.offer(before, app, site.clone());
        Ok(site)
    }

    /// Reads again what `app` serves, when it is in memory: something is new about its contents. What is
    /// there serves until then.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn refresh(&self, app: AppId) -> Result<()> {
        self.previews.forget_all(|preview| preview.app == app);
        if self.get(app).is_none() {
            return Ok(());
        }
        let before = self.active.epoch();
        let read = move |reader: &Reader<'_>| Index::load(reader, store::active(reader, app)?);
        let site = self.cartridge.scan(read).await?.map(Arc::new);
        self.active.offer(before, app, site);
        // Something else changed meanwhile, and what was read may be old.
        if self.active.epoch() != before.next() {
            self.active.forget(app);
        }
        Ok(())
    }

    /// The deployment of `app` that `label` names. Reads the cartridge when it is not in memory.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn preview(&self, app: AppId, label: &str) -> Result<Site> {
        let Some(wanted) = PreviewLabel::parse(label) else { return Ok(None) };
        let Ok(label) = wanted.as_str().as_bytes().try_into() else { return Ok(None) };
        let preview = Preview { app, label };
        if let Some(site) = self.previews.get(preview) {
            return Ok(site);
        }
        let before = self.previews.epoch();
        let read = move |reader: &Reader<'_>| {
            Index::load(reader, store::find_preview(reader, app, &wanted)?)
        };
        let site = store::read(&self.cartridge, read).await?.map(Arc::new);
        // Labels that name nothing are not kept: anybody can think of any number of them.
        if site.is_some() {
            self.previews.offer(before, preview, site.clone());
        }
        Ok(site)
    }

    /// From now on `app` serves `index`, and its previews what the cartridge says.
    pub(crate) fn activate(&self, app: AppId, index: Arc<Index>) {
        self.active.activate(app, index);
        self.previews.forget_all(|preview| preview.app == app);
    }

    /// From now on `app` and its previews serve what the cartridge says.
    pub(crate) fn forget(&self, app: AppId) {
        self.active.forget(app);
        self.previews.forget_all(|preview| preview.app == app);
    }
}

/// A moment between two changes of [`Slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch(u64);

impl Epoch {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What is in memory.
///
/// An index never goes back: one that was read while something was activated is not taken in.
struct Slots<K> {
    entries_max: usize,
    slots: RwLock<HashMap<K, Slot, RandomState>>,
    /// Counts changes. Held while `slots` is changed.
    epoch: Mutex<u64>,
    /// The epoch again, for those who only ask.
    now: AtomicU64,
}

impl<K: Copy + Eq + Hash> Slots<K> {
    fn new(entries_max: usize) -> Self {
        Self {
            entries_max,
            slots: RwLock::default(),
            epoch: Mutex::default(),
            now: AtomicU64::new(0),
        }
    }

    fn get(&self, key: K) -> Option<Site> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&key)?;
        slot.used.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(slot.site.clone())
    }

    /// This moment: to be taken before something is read that will be offered.
    fn epoch(&self) -> Epoch {
        Epoch(*self.lock())
    }

    /// Takes in what was read, unless something changed since `before`.
    fn offer(&self, before: Epoch, key: K, site: Site) {
        let epoch = self.lock();
        if before == Epoch(*epoch) {
            self.keep(epoch, key, site);
        }
    }

    fn activate(&self, key: K, index: Arc<Index>) {
        self.keep(self.lock(), key, Some(index));
    }

    fn forget(&self, key: K) {
        let epoch = self.lock();
        self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.advance(epoch);
    }

    fn forget_all(&self, is_meant: impl Fn(&K) -> bool) {
        let epoch = self.lock();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|key, _| !is_meant(key));
        drop(slots);
        self.advance(epoch);
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, mut epoch: MutexGuard<'_, u64>) {
        *epoch += 1;
        self.now.store(*epoch, Ordering::Relaxed);
    }

    fn keep(&self, epoch: MutexGuard<'_, u64>, key: K, site: Site) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(key, Slot { site, used: AtomicU64::new(*epoch + 1) });
        let mut total: usize = slots.values().map(Slot::weight).sum();
        while total > self.entries_max && slots.len() > 1 {
            let idle = slots
                .iter()
                .filter(|(other, _)| **other != key)
                .min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed))
                .map(|(other, _)| *other);
            let Some(slot) = idle.and_then(|idle| slots.remove(&idle)) else { break };
            total -= slot.weight();
        }
        drop(slots);
        self.advance(epoch);
    }
}

impl<K> std::fmt::Debug for Slots<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("entries_max", &self.entries_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: u8) -> AppId {
        AppId::from_key([name; 12]).unwrap()
    }

    fn index(deployment: u8, files: usize) -> Arc<Index> {
        let random = [deployment; 12];
        let id = DeploymentId::from_random(&random).unwrap();
        let entry = Entry::new("a", [0; 32], 0, Visibility::Public);
        let file = |number: usize| StoredFile::new(&number.to_string(), entry);
        Arc::new(Index::new(id, false, (0..files).map(file).collect(), Arc::default()))
    }

    fn served(slots: &Slots<AppId>, app: AppId) -> Option<Option<DeploymentId>> {
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
