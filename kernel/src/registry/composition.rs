//! Changes of the composition: plugins are enabled, disabled, added and removed while the node runs.
//!
//! One change at a time, and each runs to its end, also when whoever asked for it has left: half a
//! change would leave a plugin that neither runs nor was stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fazt_abi::root::PluginRootRef;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};

use super::library::Loaded;
use super::store::{self, LibraryRow};
use super::wiring::{self, Wiring};
use super::{Entry, KERNEL, Origin, Registry, State, library};
use crate::Core;
use crate::cartridge::{BlobHash, Owner};

impl Registry {
    /// Enables a plugin and starts it with all that it requires; returns what was started.
    ///
    /// # Errors
    /// `NotFound`; what keeps it from starting. It stays disabled then.
    pub(crate) async fn enable(self: &Arc<Self>, name: &str) -> Result<Vec<String>> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        self.to_its_end(async move { this.enable_now(&name).await }).await
    }

    async fn enable_now(self: &Arc<Self>, name: &str) -> Result<Vec<String>> {
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
    pub(crate) async fn disable(
        self: &Arc<Self>,
        name: &str,
        cascade: bool,
    ) -> Result<Vec<String>> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        self.to_its_end(async move { this.disable_now(&name, cascade).await }).await
    }

    async fn disable_now(&self, name: &str, cascade: bool) -> Result<Vec<String>> {
        let _changing = self.changing.lock().await;
        self.not_the_kernel(name)?;
        self.find(name)?;
        let dependents: Vec<_> = self
            .wired(|wiring| wiring.dependents(name))
            .into_iter()
            .filter(|other| {
                self.find(other)
                    .is_ok_and(|entry| entry.enabled || matches!(entry.state, State::Running(_)))
            })
            .collect();
        if !dependents.is_empty() && !cascade {
            return Err(Error::conflict(format!(
                "{name} is required by {}; disable those too with --cascade",
                dependents.join(", ")
            ))
            .with_code("REQUIRED_BY_OTHERS"));
        }
        let mut all = dependents;
        all.push(name.to_owned());
        let order = self.wired(|wiring| wiring.start_order(&all)).unwrap_or_else(|_| all.clone());
        let (mut stopped, mut outcome) = (Vec::new(), Ok(()));
        for plugin in order.into_iter().rev().filter(|plugin| all.contains(plugin)) {
            self.remember(&plugin, false).await?;
            // One that does not stop well does not keep the others running.
            outcome = outcome.and(self.stop(&plugin).await);
            stopped.push(plugin);
        }
        outcome.map(|()| stopped)
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
    pub(crate) async fn check_library(self: &Arc<Self>, bytes: Bytes) -> Result<Manifest> {
        let loaded = self.load(bytes).await?;
        self.check_new(loaded.root, None)
    }

    /// Hashing and linking a library take long: not on a thread of the runtime.
    async fn load(self: &Arc<Self>, bytes: Bytes) -> Result<Loaded> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.libraries.load(&bytes))
            .await
            .map_err(|error| Error::internal(format!("the library was not loaded: {error}")))?
    }

    /// Adds a library to the cartridge and starts it, in the place of an older one of that name.
    ///
    /// # Errors
    /// As [`Self::check_library`]; what keeps it from starting. Nothing is added then, and the
    /// older one runs again.
    pub(crate) async fn add_library(self: &Arc<Self>, bytes: Bytes) -> Result<Arc<Manifest>> {
        let this = Arc::clone(self);
        self.to_its_end(async move { this.add_library_now(bytes).await }).await
    }

    async fn add_library_now(self: &Arc<Self>, bytes: Bytes) -> Result<Arc<Manifest>> {
        let _changing = self.changing.lock().await;
        let core = self.core()?;
        let loaded = self.load(bytes.clone()).await?;
        let manifest = Arc::new(self.check_new(loaded.root, None)?);
        let name = manifest.name.clone();
        let others: Vec<_> = self
            .list()
            .into_iter()
            .filter(|other| other.enabled && other.manifest.name != name)
            .map(|other| other.manifest)
            .collect();
        wiring::check_methods(&manifest, others.iter().map(|other| &**other))?;
        self.wired_with(&manifest, |wiring| {
            // What runs must still find what it requires, should the new one provide less.
            let running = self.list().into_iter().filter(|entry| {
                matches!(entry.state, State::Running(_)) && entry.manifest.name != KERNEL
            });
            let mut all: Vec<_> = running.map(|entry| entry.manifest.name.clone()).collect();
            all.push(name.clone());
            wiring.start_order(&all)
        })?;
        let before = self.find(&name).ok();
        let was_running =
            before.as_ref().is_some_and(|entry| matches!(entry.state, State::Running(_)));
        self.stop(&name).await?;
        let entry = Entry {
            manifest: Arc::clone(&manifest),
            origin: Origin::Library,
            enabled: true,
            state: State::Stopped,
            root: Some(loaded.root),
            library: loaded.file,
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

    async fn keep_library(&self, core: &Core, manifest: &Manifest, bytes: Bytes) -> Result<()> {
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
    pub(crate) async fn remove_library(self: &Arc<Self>, name: &str) -> Result<()> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        self.to_its_end(async move { this.remove_library_now(&name).await }).await
    }

    async fn remove_library_now(&self, name: &str) -> Result<()> {
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

    pub(super) async fn read_library(
        self: &Arc<Self>,
        core: &Core,
        row: &LibraryRow,
    ) -> Result<Loaded> {
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
        self.load(bytes.into()).await
    }

    /// Whether a library may join: a good manifest, and nothing owned twice.
    pub(super) fn check_new(
        &self,
        root: PluginRootRef,
        replaces: Option<&str>,
    ) -> Result<Manifest> {
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

    async fn to_its_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let change = self.core()?.runtime.spawn(change);
        change.await.map_err(|error| {
            Error::internal(format!("a change of the plugins was broken off: {error}"))
        })?
    }
}
