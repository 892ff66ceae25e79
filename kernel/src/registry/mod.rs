//! The registry: which plugins there are, which run, and what each of them owns.
//!
//! Life cycle of a plugin: *describe* (pure) → *migrate* → *configure* (settings are checked) →
//! *start* → *stop* (routes and services are withdrawn, calls and tasks are drained, then the
//! plugin's own stop runs). When a step fails, what was done for that plugin is undone; the other
//! plugins and the node go on.

pub(crate) mod contained;
mod elf;
pub(crate) mod gate;
pub(crate) mod library;
pub(crate) mod service;
mod store;
pub(crate) mod wiring;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use abi_stable::std_types::RResult;
use arc_swap::ArcSwap;
use fazt_abi::host::RawHost;
use fazt_abi::instance::RawInstance;
use fazt_abi::root::PluginRootRef;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::cartridge::{BlobHash, Migration, Owner};
use crate::events::Subscriber;
use crate::host::PluginHost;
use crate::routing::table::Table;
use crate::tasks::Tasks;
use crate::telemetry::Level;
use gate::Gate;
use library::Libraries;
use service::{Consumer, Provided};
use store::LibraryRow;
use wiring::Wiring;

/// How long a plugin that stops may take to finish its calls and tasks.
const DRAIN: Duration = Duration::from_secs(10);

/// How long calls that were cut off may take to be dropped.
const CUT: Duration = Duration::from_secs(1);

/// Delay before a plugin that did not start is tried again; doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(5 * 60);

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

type Entries = BTreeMap<String, Entry>;

/// All plugins of a node.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    libraries: Libraries,
    table: ArcSwap<Table>,
    /// One change of the composition at a time.
    changing: tokio::sync::Mutex<()>,
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
            changing: tokio::sync::Mutex::default(),
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

    /// The routes of all running plugins.
    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// Takes in the kernel's own operations, compiled-in plugins and the libraries of the cartridge.
    /// A library that cannot be loaded is kept as failed.
    ///
    /// # Errors
    /// `Conflict` when two compiled-in plugins own the same thing; what the cartridge says.
    pub(crate) async fn describe(&self, built_in: &[BuiltIn]) -> Result<()> {
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
            };
            self.entries(|entries| entries.insert(entry.manifest.name.clone(), entry));
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
            let loaded = self.read_library(&core, &stored).await.and_then(|root| {
                self.check_new(root, Some(&row.name)).map(|manifest| (root, manifest))
            });
            let entry = match loaded {
                Ok((root, manifest)) => Entry {
                    manifest: Arc::new(manifest),
                    origin: Origin::Library,
                    enabled: row.enabled,
                    state: State::Stopped,
                    root: Some(root),
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
                    }
                }
            };
            self.entries(|entries| entries.insert(row.name, entry));
        }
        Ok(())
    }

    async fn read_library(&self, core: &Core, row: &LibraryRow) -> Result<PluginRootRef> {
        if row.target != library::target() {
            return Err(Error::invalid(format!(
                "its library was built for {}, this node is {}; add the library for this machine",
                row.target,
                library::target()
            ))
            .with_code("LIBRARY_REFUSED"));
        }
        let hash = BlobHash(row.hash);
        let bytes = core
            .cartridge
            .scan_value(&Owner::kernel(), move |reader| Ok(reader.read_blob(hash)?))
            .await?;
        let bytes = bytes.ok_or_else(|| {
            Error::internal("its library is missing in the cartridge; add it again")
        })?;
        if library::hash(&bytes) != row.hash {
            return Err(Error::internal("its library in the cartridge is damaged; add it again"));
        }
        self.libraries.load(&bytes)
    }

    /// Whether a library may join: a good manifest, and nothing owned twice.
    fn check_new(&self, root: PluginRootRef, replaces: Option<&str>) -> Result<Manifest> {
        let manifest = library::manifest(root)?;
        let name = manifest.name.as_str();
        if replaces.is_some_and(|replaces| replaces != name) {
            return Err(Error::invalid(format!("its library calls itself {name}")));
        }
        self.entries(|entries| {
            if entries.get(name).is_some_and(|entry| entry.origin == Origin::BuiltIn) {
                return Err(Error::conflict(format!("the plugin {name} is compiled into this fazt; a library of that name cannot join")));
            }
            let others = entries.values().map(|entry| &*entry.manifest).filter(|other| other.name != name);
            wiring::check_ownership(others.chain(std::iter::once(&manifest)))
        })?;
        Ok(manifest)
    }

    fn wired<T>(&self, work: impl FnOnce(&Wiring<'_>) -> T) -> T {
        let entries = self.entries(|entries| entries.clone());
        let manifests =
            entries.iter().map(|(name, entry)| (name.clone(), &*entry.manifest)).collect();
        work(&Wiring::new(&manifests))
    }

    /// Which plugins are to run, in the order of their start. Those that require what is not there
    /// are left out and marked as failed, unless the command line asked for exactly them.
    fn wanted(&self) -> Result<Vec<String>> {
        if let Some(selection) = &self.selection {
            return self
                .wired(|wiring| wiring.start_order(selection))
                .map_err(|error| error.context("--plugins"));
        }
        let enabled: Vec<_> = self.entries(|entries| {
            entries
                .values()
                .filter(|entry| entry.enabled && entry.manifest.name != KERNEL)
                .map(|entry| entry.manifest.name.clone())
                .collect()
        });
        let mut order: Vec<String> = Vec::new();
        for plugin in enabled {
            match self.wired(|wiring| wiring.start_order(std::slice::from_ref(&plugin))) {
                Ok(needed) => {
                    for name in needed {
                        if !order.contains(&name) {
                            order.push(name);
                        }
                    }
                }
                Err(error) => self.fail(&plugin, error),
            }
        }
        Ok(order)
    }

    fn fail(&self, plugin: &str, error: Error) {
        if let Ok(core) = self.core() {
            core.telemetry.log(
                Level::Error,
                KERNEL,
                &format!("the plugin {plugin} does not run: {error}"),
                "",
            );
        }
        self.entries(|entries| {
            if let Some(entry) = entries.get_mut(plugin) {
                entry.state = State::Failed(error);
            }
        });
    }

    /// Starts everything that is wanted; returns the names, in order. A plugin that does not start
    /// is kept as failed and tried again later, and so are those that require it.
    ///
    /// # Errors
    /// What is wrong with the selection of the command line.
    pub(crate) async fn start_all(self: &Arc<Self>) -> Result<Vec<String>> {
        let _changing = self.changing.lock().await;
        let order = self.wanted()?;
        let core = self.core()?;
        for name in &order {
            let entry = self.find(name)?;
            core.config.declare(name, &entry.manifest.settings)?;
        }
        core.config.check_overrides()?;
        let mut started = Vec::new();
        for name in order {
            match self.start(&name).await {
                Ok(()) => started.push(name),
                Err(error) => {
                    // What was not loaded will not be by itself; that was said already.
                    if self.find(&name)?.root.is_some() {
                        self.fail(&name, error);
                        self.retry_later(&name);
                    }
                }
            }
        }
        Ok(started)
    }

    fn retry_later(self: &Arc<Self>, name: &str) {
        let Ok(core) = self.core() else { return };
        let (registry, name) = (Arc::downgrade(self), name.to_owned());
        let retry = format!("registry.retry.{name}");
        drop(core.tasks.spawn(&retry, move || {
            let (registry, name) = (registry.clone(), name.clone());
            async move {
                let mut delay = RETRY_FIRST;
                loop {
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(RETRY_LAST);
                    let Some(registry) = registry.upgrade() else { return Ok(()) };
                    let _changing = registry.changing.lock().await;
                    let Ok(entry) = registry.find(&name) else { return Ok(()) };
                    if !entry.enabled || !matches!(entry.state, State::Failed(_)) {
                        return Ok(());
                    }
                    match registry.start(&name).await {
                        Ok(()) => return Ok(()),
                        Err(error) => registry.fail(&name, error),
                    }
                }
            }
        }));
    }

    /// Starts one plugin whose requirements run.
    async fn start(&self, name: &str) -> Result<()> {
        let core = self.core()?;
        let entry = self.find(name)?;
        if matches!(entry.state, State::Running(_)) {
            return Ok(());
        }
        let root = match (entry.root, &entry.state) {
            (Some(root), _) => root,
            (None, State::Failed(error)) => return Err(error.clone()),
            (None, _) => return Err(Error::internal(format!("the plugin {name} has no code"))),
        };
        let manifest = entry.manifest;
        let alive = Arc::new(AtomicBool::new(true));
        let consumer = Consumer { plugin: name.into(), alive: Arc::clone(&alive) };
        for required in &manifest.requires {
            let handle = core.services.handle(
                &consumer,
                &required.name,
                required.major,
                &required.methods,
            )?;
            if !handle.available() {
                return Err(Error::unavailable(format!(
                    "it requires {required}, whose provider does not run"
                )));
            }
        }
        let owner = Owner::plugin(name)?;
        let migrations: Vec<_> = manifest
            .migrations
            .iter()
            .map(|migration| Migration { name: &migration.name, sql: &migration.sql })
            .collect();
        core.cartridge.migrate(&owner, &migrations).await?;
        core.config.declare(name, &manifest.settings)?;

        let tasks = Arc::new(Tasks::new(
            name,
            core.runtime.clone(),
            Arc::clone(&core.telemetry),
            core.is_command(),
        ));
        let host = PluginHost {
            core: self.core.clone(),
            owner: owner.clone(),
            manifest: Arc::clone(&manifest),
            tasks: Arc::clone(&tasks),
            consumer,
        };
        let launched = root.launch(RawHost::new(Arc::new(host))).map_err(Error::from);
        let running = match launched {
            Ok(instance) => Arc::new(Running {
                name: name.into(),
                manifest,
                instance,
                gate: Arc::default(),
                tasks,
                alive,
            }),
            Err(error) => {
                alive.store(false, Ordering::Release);
                tasks.stop(DRAIN).await;
                return Err(error);
            }
        };
        if let Err(error) = self.connect(&core, &owner, &running).await {
            drop(self.disconnect(&core, &running).await);
            return Err(error);
        }
        self.entries(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.state = State::Running(running);
            }
        });
        self.rebuild_table();
        Ok(())
    }

    /// Offers a started plugin's services and delivers its events.
    async fn connect(&self, core: &Core, owner: &Owner, running: &Arc<Running>) -> Result<()> {
        let manifest = &running.manifest;
        let offers = manifest
            .provides
            .iter()
            .map(|id| (id, false))
            .chain(manifest.contributes.iter().map(|id| (id, true)));
        for (index, (interface, contributes)) in offers.enumerate() {
            let provided = Provided {
                plugin: Arc::clone(&running.name),
                methods: interface.methods.clone(),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                instance: running.instance.clone(),
                gate: Arc::clone(&running.gate),
            };
            core.services.provide(interface, contributes, provided);
        }
        if core.is_command() {
            return Ok(());
        }
        for (number, subscription) in manifest.subscriptions.iter().enumerate() {
            let subscriber = Subscriber {
                plugin: Arc::clone(&running.name),
                instance: running.instance.clone(),
                gate: Arc::clone(&running.gate),
                number: u32::try_from(number).unwrap_or(u32::MAX),
            };
            if subscription.durable {
                core.events.follow(&subscription.event, owner, subscriber, &running.tasks).await?;
            } else {
                core.events.listen(&subscription.event, subscriber, &running.tasks)?;
            }
        }
        Ok(())
    }

    async fn disconnect(&self, core: &Core, running: &Running) -> Result<()> {
        core.services.withdraw(&running.name);
        core.events.forget(&running.name);
        let stayed = running.gate.drain(DRAIN).await;
        if stayed > 0 {
            let message = format!(
                "the plugin {} was stopped while {stayed} of its calls still ran after {} s; they were ended",
                running.name,
                DRAIN.as_secs()
            );
            core.telemetry.log(Level::Warn, KERNEL, &message, "");
            running.gate.cut();
            running.gate.drain(CUT).await;
        }
        running.tasks.stop(DRAIN).await;
        let stopped = tokio::time::timeout(DRAIN, running.instance.stop()).await;
        running.alive.store(false, Ordering::Release);
        match stopped {
            Ok(RResult::ROk(())) => Ok(()),
            Ok(RResult::RErr(error)) => Err(Error::from(error)
                .context(format!("the plugin {} did not stop well", running.name))),
            Err(_) => Err(Error::timeout(format!(
                "the plugin {} did not stop within {} s",
                running.name,
                DRAIN.as_secs()
            ))),
        }
    }

    /// Stops one plugin; nothing when it does not run.
    async fn stop(&self, name: &str) -> Result<()> {
        let core = self.core()?;
        let running = self.entries(|entries| {
            let entry = entries.get_mut(name)?;
            match std::mem::replace(&mut entry.state, State::Stopped) {
                State::Running(running) => Some(running),
                State::Stopped | State::Failed(_) => None,
            }
        });
        let Some(running) = running else { return Ok(()) };
        self.rebuild_table();
        self.disconnect(&core, &running).await
    }

    /// Stops everything, in reverse order of the start. Errors are logged: the node goes down.
    pub(crate) async fn stop_all(&self) {
        let _changing = self.changing.lock().await;
        let running: Vec<String> = self.entries(|entries| {
            entries
                .iter()
                .filter(|(_, entry)| matches!(entry.state, State::Running(_)))
                .map(|(name, _)| name.clone())
                .collect()
        });
        let order = self.wired(|wiring| wiring.start_order(&running)).unwrap_or(running);
        for name in order.iter().rev().filter(|name| *name != KERNEL) {
            if let (Err(error), Ok(core)) = (self.stop(name).await, self.core()) {
                core.telemetry.log(Level::Error, KERNEL, error.message(), "");
            }
        }
    }

    /// Takes in the kernel's own operations and services. They go the same way as a plugin's.
    pub(crate) async fn adopt_kernel(
        &self,
        core: &Core,
        manifest: Manifest,
        instance: RawInstance,
    ) -> Result<()> {
        wiring::check_manifest(&manifest)?;
        let manifest = Arc::new(manifest);
        let tasks = Arc::new(Tasks::new(
            KERNEL,
            core.runtime.clone(),
            Arc::clone(&core.telemetry),
            core.is_command(),
        ));
        let running = Arc::new(Running {
            name: KERNEL.into(),
            manifest: Arc::clone(&manifest),
            instance,
            gate: Arc::default(),
            tasks,
            alive: Arc::new(AtomicBool::new(true)),
        });
        self.connect(core, &Owner::kernel(), &running).await?;
        let entry = Entry {
            manifest,
            origin: Origin::BuiltIn,
            enabled: true,
            state: State::Running(running),
            root: None,
        };
        self.entries(|entries| entries.insert(KERNEL.to_owned(), entry));
        self.rebuild_table();
        Ok(())
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
    }

    /// Enables a plugin and starts it with all that it requires; returns what was started.
    ///
    /// # Errors
    /// `NotFound`; what keeps it from starting. It stays disabled then.
    pub(crate) async fn enable(self: &Arc<Self>, name: &str) -> Result<Vec<String>> {
        let _changing = self.changing.lock().await;
        self.not_the_kernel(name)?;
        self.find(name)?;
        let order = self.wired(|wiring| wiring.start_order(&[name.to_owned()]))?;
        let mut started = Vec::new();
        for plugin in order.into_iter().filter(|plugin| plugin != KERNEL) {
            if !matches!(self.find(&plugin)?.state, State::Running(_)) {
                self.start(&plugin).await.map_err(|error| {
                    error.context(format!("the plugin {plugin} does not start"))
                })?;
                started.push(plugin.clone());
            }
            self.remember(&plugin, true).await?;
        }
        Ok(started)
    }

    /// Disables a plugin and stops it; with `cascade` also those that require it. Returns what was
    /// stopped, in order.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when others require it and `cascade` is not given.
    pub(crate) async fn disable(&self, name: &str, cascade: bool) -> Result<Vec<String>> {
        let _changing = self.changing.lock().await;
        self.not_the_kernel(name)?;
        self.find(name)?;
        let dependents: Vec<_> = self
            .wired(|wiring| wiring.dependents(name))
            .into_iter()
            .filter(|other| {
                // With a selection on the command line a disabled plugin may run.
                self.find(other)
                    .is_ok_and(|entry| entry.enabled || matches!(entry.state, State::Running(_)))
            })
            .collect();
        if !dependents.is_empty() && !cascade {
            return Err(Error::conflict(format!(
                "{} required by {}; disable those too with --cascade",
                name.to_owned() + " is",
                dependents.join(", ")
            ))
            .with_code("REQUIRED_BY_OTHERS"));
        }
        let mut all = dependents;
        all.push(name.to_owned());
        let order = self.wired(|wiring| wiring.start_order(&all)).unwrap_or_else(|_| all.clone());
        let mut stopped = Vec::new();
        for plugin in order.into_iter().rev().filter(|plugin| all.contains(plugin)) {
            self.remember(&plugin, false).await?;
            let outcome = self.stop(&plugin).await;
            stopped.push(plugin);
            outcome?;
        }
        Ok(stopped)
    }

    fn not_the_kernel(&self, name: &str) -> Result<()> {
        if name == KERNEL {
            return Err(Error::invalid(
                "fazt itself is always there; it cannot be enabled, disabled or removed",
            ));
        }
        Ok(())
    }

    async fn remember(&self, name: &str, enabled: bool) -> Result<()> {
        let core = self.core()?;
        let stored = name.to_owned();
        core.cartridge
            .write_value(&Owner::kernel(), None, move |tx| store::set_enabled(tx, &stored, enabled))
            .await?;
        self.entries(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.enabled = enabled;
            }
        });
        Ok(())
    }

    /// Looks at a library without adding it. It is loaded into this process.
    ///
    /// # Errors
    /// `Invalid` or `Conflict`, one sentence that says why it is refused.
    pub(crate) fn check_library(&self, bytes: &[u8]) -> Result<Manifest> {
        let root = self.libraries.load(bytes)?;
        self.check_new(root, None)
    }

    /// Adds a library to the cartridge and starts it, in the place of an older one of that name.
    ///
    /// # Errors
    /// As [`Self::check_library`]; what keeps it from starting. Nothing is added then, and the
    /// older one runs again.
    pub(crate) async fn add_library(self: &Arc<Self>, bytes: Vec<u8>) -> Result<Arc<Manifest>> {
        let _changing = self.changing.lock().await;
        let core = self.core()?;
        let root = self.libraries.load(&bytes)?;
        let manifest = Arc::new(self.check_new(root, None)?);
        let name = manifest.name.clone();
        self.wired_with(&manifest, |wiring| wiring.start_order(std::slice::from_ref(&name)))?;
        let others: Vec<_> = self
            .list()
            .into_iter()
            .filter(|other| other.enabled && other.manifest.name != name)
            .map(|other| other.manifest)
            .collect();
        wiring::check_methods(&manifest, others.iter().map(|other| &**other))?;
        let before = self.find(&name).ok();
        let was_running =
            before.as_ref().is_some_and(|entry| matches!(entry.state, State::Running(_)));
        self.stop(&name).await?;
        let entry = Entry {
            manifest: Arc::clone(&manifest),
            origin: Origin::Library,
            enabled: true,
            state: State::Stopped,
            root: Some(root),
        };
        self.entries(|entries| entries.insert(name.clone(), entry));
        let added = match self.start(&name).await {
            Ok(()) => self.keep_library(&core, &manifest, bytes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = added {
            drop(self.stop(&name).await);
            self.entries(|entries| match before {
                Some(before) => {
                    entries.insert(name.clone(), Entry { state: State::Stopped, ..before })
                }
                None => entries.remove(&name),
            });
            if was_running && let Err(again) = self.start(&name).await {
                self.fail(&name, again);
            }
            return Err(error.context(format!("the plugin {name} was not added")));
        }
        Ok(manifest)
    }

    fn wired_with<T>(&self, manifest: &Manifest, work: impl FnOnce(&Wiring<'_>) -> T) -> T {
        let entries = self.entries(|entries| entries.clone());
        let mut manifests: BTreeMap<_, _> =
            entries.iter().map(|(name, entry)| (name.clone(), &*entry.manifest)).collect();
        manifests.insert(manifest.name.clone(), manifest);
        work(&Wiring::new(&manifests))
    }

    async fn keep_library(&self, core: &Core, manifest: &Manifest, bytes: Vec<u8>) -> Result<()> {
        let json = serde_json::to_string(manifest)
            .map_err(|error| Error::internal(format!("the manifest has no JSON form: {error}")))?;
        let mut upload = core.cartridge.upload_blob(&Owner::kernel(), None);
        upload.push(&bytes).await?;
        let hash = upload.finish(None).await?;
        let (name, row) = (
            manifest.name.clone(),
            LibraryRow { manifest: json, hash: hash.0, target: library::target() },
        );
        Ok(core
            .cartridge
            .write_value(&Owner::kernel(), None, move |tx| store::put_library(tx, &name, &row))
            .await?)
    }

    /// Stops a library and takes it out of the cartridge. Its tables stay.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a compiled-in plugin or when others require it.
    pub(crate) async fn remove_library(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let core = self.core()?;
        self.not_the_kernel(name)?;
        if self.find(name)?.origin == Origin::BuiltIn {
            return Err(Error::conflict(format!(
                "the plugin {name} is compiled into this fazt and cannot be removed; `fazt plugin disable {name}` switches it off"
            )));
        }
        let dependents = self.wired(|wiring| wiring.dependents(name));
        if !dependents.is_empty() {
            return Err(Error::conflict(format!(
                "{name} is required by {}; remove those first",
                dependents.join(", ")
            ))
            .with_code("REQUIRED_BY_OTHERS"));
        }
        let stopped = self.stop(name).await;
        let stored = name.to_owned();
        core.cartridge
            .write_value(&Owner::kernel(), None, move |tx| store::delete(tx, &stored))
            .await?;
        self.entries(|entries| entries.remove(name));
        self.rebuild_table();
        stopped
    }
}
