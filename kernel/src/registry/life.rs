//! The life of plugins: one is started, connected, disconnected and stopped; all are, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abi_stable::std_types::RResult;
use fazt_abi::host::RawHost;
use fazt_abi::instance::RawInstance;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};

use super::service::{Consumer, Provided};
use super::{Entry, KERNEL, Origin, Registry, Running, State, wiring};
use crate::Core;
use crate::cartridge::{Migration, Owner};
use crate::events::Subscriber;
use crate::host::PluginHost;
use crate::tasks::Tasks;
use crate::telemetry::Level;

/// How long a plugin that stops may take to finish its calls and tasks.
const DRAIN: Duration = Duration::from_secs(10);

/// How long calls that were cut off may take to be dropped.
const CUT: Duration = Duration::from_secs(1);

/// Delay before a plugin that did not start is tried again; doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(5 * 60);

impl Registry {
    /// Takes in the kernel's own operations and services. They go the same way as a plugin's.
    ///
    /// # Errors
    /// What is wrong with its manifest.
    pub(crate) async fn adopt_kernel(
        &self,
        core: &Core,
        manifest: Manifest,
        instance: RawInstance,
    ) -> Result<()> {
        wiring::check_contents(&manifest)?;
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
            library: None,
        };
        self.entries(|entries| entries.insert(KERNEL.to_owned(), entry));
        self.rebuild_table();
        Ok(())
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

    pub(super) fn fail(&self, plugin: &str, error: Error) {
        if let Ok(core) = self.core() {
            let message = format!("the plugin {plugin} does not run: {error}");
            core.telemetry.failure(KERNEL, &message, &error, "");
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
            // A stored value that is wrong keeps that plugin from starting, not the node.
            drop(core.config.declare(name, &entry.manifest.settings));
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
                    // Whoever disabled, removed or started it meanwhile had the last word.
                    if !matches!(entry.state, State::Failed(_)) {
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
    pub(super) async fn start(&self, name: &str) -> Result<()> {
        let core = self.core()?;
        let entry = self.find(name)?;
        if matches!(entry.state, State::Running(_)) {
            return Ok(());
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(Error::unavailable("the node is stopping"));
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
        core.workers.end_of(&running.name);
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
    pub(super) async fn stop(&self, name: &str) -> Result<()> {
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
        self.stopping.store(true, Ordering::Release);
        if let Ok(core) = self.core() {
            core.jobs.close();
        }
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
                core.telemetry.failure(KERNEL, error.message(), &error, "");
            }
        }
    }
}
