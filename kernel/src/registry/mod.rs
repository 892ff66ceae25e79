//! The registry: which plugins there are, which run, and what each of them owns.
//!
//! Life cycle of a plugin: *describe* (pure) → *migrate* → *configure* (settings are checked) →
//! *start* → *stop* (routes and services are withdrawn, calls and tasks are drained, then the
//! plugin's own stop runs). When a step fails, what was done for that plugin is undone; the other
//! plugins and the node go on.
//!
//! `life.rs` starts and stops, `composition.rs` changes what there is.

pub(crate) mod bindings;
mod composition;
pub(crate) mod contained;
mod elf;
pub(crate) mod gate;
pub(crate) mod library;
mod life;
pub(crate) mod service;
mod store;
pub(crate) mod wiring;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use fazt_abi::instance::RawInstance;
use fazt_abi::root::PluginRootRef;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::routing::table::Table;
use crate::tasks::Tasks;
use crate::telemetry::Level;
use gate::{Gate, Inside};
use library::Libraries;
use wiring::Wiring;

/// A plugin that is compiled in.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name, as in its manifest.
    pub name: &'static str,
    /// Makes its root.
    pub root: fn() -> PluginRootRef,
}

/// Where a plugin's code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    Library,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Library => "library",
        }
    }
}

/// What a plugin does at the moment.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Stopped,
    Running(Arc<Running>),
    /// It could not be loaded or started; the sentence says why.
    Failed(Error),
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running(_) => "running",
            Self::Failed(_) => "failed",
        }
    }
}

/// A plugin that this node knows.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) origin: Origin,
    pub(crate) enabled: bool,
    pub(crate) state: State,
    root: Option<PluginRootRef>,
    /// What it was loaded from; nothing when it is compiled in.
    library: Option<Arc<File>>,
}

/// A plugin that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: Arc<str>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) instance: RawInstance,
    pub(crate) gate: Arc<Gate>,
    tasks: Arc<Tasks>,
    alive: Arc<AtomicBool>,
}

impl Running {
    /// Lets one call in.
    ///
    /// # Errors
    /// `Unavailable` when the plugin is being stopped.
    pub(crate) fn enter(&self) -> Result<Inside> {
        self.gate
            .enter()
            .ok_or_else(|| Error::unavailable(format!("the plugin {} is stopping", self.name)))
    }
}

type Entries = BTreeMap<String, Entry>;

/// All plugins of a node.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    libraries: Libraries,
    table: ArcSwap<Table>,
    /// Counts the changes of what runs.
    generation: AtomicU64,
    /// One change of the composition at a time.
    changing: tokio::sync::Mutex<()>,
    /// Set once everything is to be stopped: nothing starts any more.
    stopping: AtomicBool,
    core: Weak<Core>,
    /// The exact set named on the command line, instead of what the cartridge says.
    selection: Option<Vec<String>>,
}

/// The name under which the kernel's own operations are listed.
pub(crate) const KERNEL: &str = "fazt";

impl Registry {
    pub(crate) fn new(core: Weak<Core>, selection: Option<Vec<String>>) -> Self {
        Self {
            entries: Mutex::default(),
            libraries: Libraries::default(),
            table: ArcSwap::default(),
            generation: AtomicU64::new(0),
            changing: tokio::sync::Mutex::default(),
            stopping: AtomicBool::new(false),
            core,
            selection,
        }
    }

    fn core(&self) -> Result<Arc<Core>> {
        self.core.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }

    fn entries<T>(&self, work: impl FnOnce(&mut Entries) -> T) -> T {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All plugins, by name, the kernel's own entry included.
    pub(crate) fn list(&self) -> Vec<Entry> {
        self.entries(|entries| entries.values().cloned().collect())
    }

    /// What a worker of `plugin` is to load; nothing when the plugin is compiled in.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for a library where workers cannot load any.
    pub(crate) fn library_of(&self, plugin: &str) -> Result<Option<Arc<File>>> {
        let entry = self.find(plugin)?;
        match (entry.origin, entry.library) {
            (Origin::BuiltIn, _) => Ok(None),
            (Origin::Library, Some(file)) => Ok(Some(file)),
            (Origin::Library, None) => Err(Error::unavailable(format!(
                "on this system a library has no worker processes; {plugin} has to be compiled in"
            ))),
        }
    }

    /// One plugin.
    ///
    /// # Errors
    /// `NotFound`, naming those that are there.
    pub(crate) fn find(&self, name: &str) -> Result<Entry> {
        self.entries(|entries| {
            entries.get(name).cloned().ok_or_else(|| {
                let known: Vec<_> = entries.keys().map(String::as_str).collect();
                Error::not_found(format!(
                    "there is no plugin `{name}`; this node has: {}",
                    known.join(", ")
                ))
                .with_code("NO_SUCH_PLUGIN")
            })
        })
    }

    /// Grows with every change of what runs.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The routes of all running plugins.
    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// Takes in compiled-in plugins and the libraries of the cartridge.
    /// A library that cannot be loaded is kept as failed. To be called once, after
    /// [`Self::adopt_kernel`].
    ///
    /// # Errors
    /// `Conflict` when two compiled-in plugins own the same thing; what the cartridge says.
    pub(crate) async fn describe(self: &Arc<Self>, built_in: &[BuiltIn]) -> Result<()> {
        let core = self.core()?;
        for plugin in built_in {
            let root = (plugin.root)();
            let manifest = library::manifest(root)?;
            let entry = Entry {
                manifest: Arc::new(manifest),
                origin: Origin::BuiltIn,
                enabled: true,
                state: State::Stopped,
                root: Some(root),
                library: None,
            };
            let name = entry.manifest.name.clone();
            if self.entries(|entries| entries.insert(name.clone(), entry)).is_some() {
                return Err(Error::conflict(format!("two compiled-in plugins are named {name}")));
            }
        }
        let manifests: Vec<_> = self.list().into_iter().map(|entry| entry.manifest).collect();
        wiring::check_ownership(manifests.iter().map(|manifest| &**manifest))?;
        for row in store::all(&core.cartridge).await? {
            let Some(stored) = row.library else {
                self.entries(|entries| {
                    if let Some(entry) = entries.get_mut(&row.name) {
                        entry.enabled = row.enabled;
                    }
                });
                continue;
            };
            let loaded = self.read_library(&core, &stored).await.and_then(|loaded| {
                self.check_new(loaded.root, Some(&row.name)).map(|manifest| (loaded, manifest))
            });
            let entry = match loaded {
                Ok((loaded, manifest)) => Entry {
                    manifest: Arc::new(manifest),
                    origin: Origin::Library,
                    enabled: row.enabled,
                    state: State::Stopped,
                    root: Some(loaded.root),
                    library: loaded.file,
                },
                Err(error) => {
                    core.telemetry.log(
                        Level::Error,
                        KERNEL,
                        &format!("the plugin {} is not loaded: {error}", row.name),
                        "",
                    );
                    let manifest = serde_json::from_str(&stored.manifest)
                        .unwrap_or_else(|_| Manifest::new(&row.name, "unknown"));
                    Entry {
                        manifest: Arc::new(manifest),
                        origin: Origin::Library,
                        enabled: row.enabled,
                        state: State::Failed(error),
                        root: None,
                        library: None,
                    }
                }
            };
            self.entries(|entries| entries.insert(row.name, entry));
        }
        Ok(())
    }

    fn wired<T>(&self, work: impl FnOnce(&Wiring<'_>) -> T) -> T {
        let entries = self.entries(|entries| entries.clone());
        let manifests =
            entries.iter().map(|(name, entry)| (name.clone(), &*entry.manifest)).collect();
        work(&Wiring::new(&manifests))
    }

    fn rebuild_table(&self) {
        let running: Vec<_> = self.entries(|entries| {
            entries
                .values()
                .filter_map(|entry| {
                    if let State::Running(running) = &entry.state {
                        Some(Arc::clone(running))
                    } else {
                        None
                    }
                })
                .collect()
        });
        self.table.store(Arc::new(Table::build(&running)));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
