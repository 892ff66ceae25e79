//! Service slots: where calls find whoever provides an interface at that moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RResult, RVec};
use arc_swap::ArcSwapOption;
use fazt_abi::FfiFuture;
use fazt_abi::call::RawCall;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::host::{RawService, ServiceHandle};
use fazt_abi::instance::RawInstance;
use fazt_sdk::service::InterfaceId;
use fazt_sdk::{Error, Result};

use super::contained::stopped;
use super::gate::Gate;

type Reply = RResult<RVec<u8>, RawError>;

/// Who provides an interface now.
#[derive(Debug)]
pub(crate) struct Provided {
    /// Name of the plugin.
    pub(crate) plugin: Arc<str>,
    /// The hashes of its methods, in order.
    pub(crate) methods: Vec<u64>,
    /// Position in the plugin's provides and contributes, together.
    pub(crate) index: u32,
    pub(crate) instance: RawInstance,
    pub(crate) gate: Arc<Gate>,
}

/// Who asks for a handle.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// Name of the plugin.
    pub(crate) plugin: Arc<str>,
    /// False once it was stopped: its handles lead nowhere then.
    pub(crate) alive: Arc<AtomicBool>,
}

impl Consumer {
    /// The kernel, which uses services as a plugin does and is never stopped.
    pub(crate) fn kernel() -> Self {
        Self { plugin: super::KERNEL.into(), alive: Arc::new(AtomicBool::new(true)) }
    }
}

/// The place of one interface, or of one plugin's contribution to it.
#[derive(Debug)]
struct Slot {
    name: String,
    major: u32,
    provided: ArcSwapOption<Provided>,
}

#[derive(Debug, PartialEq, Eq, Hash, Clone)]
struct Key {
    name: String,
    major: u32,
    /// Set for a contribution: the plugin that makes it.
    contributor: Option<Arc<str>>,
}

/// All slots of a node.
#[derive(Debug, Default)]
pub(crate) struct Services {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

impl Services {
    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(key).or_insert_with_key(|key| {
            Arc::new(Slot {
                name: key.name.clone(),
                major: key.major,
                provided: ArcSwapOption::empty(),
            })
        });
        Arc::clone(slot)
    }

    /// Offers `interface`; calls go to `provided` from now on.
    pub(crate) fn provide(&self, interface: &InterfaceId, contributes: bool, provided: Provided) {
        let contributor = contributes.then(|| Arc::clone(&provided.plugin));
        let key = Key { name: interface.name.clone(), major: interface.major, contributor };
        self.slot(key).provided.store(Some(Arc::new(provided)));
    }

    /// Takes back all that `plugin` offers; calls that run go on.
    pub(crate) fn withdraw(&self, plugin: &str) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            if slot.provided.load().as_ref().is_some_and(|provided| &*provided.plugin == plugin) {
                slot.provided.store(None);
            }
        }
    }

    /// A handle for a consumer that knows `methods`.
    ///
    /// # Errors
    /// `Invalid` when today's provider has other methods under the same name.
    pub(crate) fn handle(
        &self,
        consumer: &Consumer,
        name: &str,
        major: u32,
        methods: &[u64],
    ) -> Result<RawService> {
        let key = Key { name: name.to_owned(), major, contributor: None };
        let consumer = consumer.clone();
        let handle = Handle { slot: self.slot(key), consumer, methods: methods.into() };
        if let Some(provided) = handle.slot.provided.load().as_ref() {
            handle.check(provided)?;
        }
        Ok(RawService::new(Arc::new(handle)))
    }

    /// Handles to all contributions of today.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub(crate) fn contributions(
        &self,
        consumer: &Consumer,
        name: &str,
        major: u32,
        methods: &[u64],
    ) -> Result<Vec<RawService>> {
        let slots: Vec<Arc<Slot>> = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let mut found: Vec<_> = slots
                .iter()
                .filter(|(key, slot)| {
                    key.name == name
                        && key.major == major
                        && key.contributor.is_some()
                        && slot.provided.load().is_some()
                })
                .collect();
            found.sort_by(|(one, _), (other, _)| one.contributor.cmp(&other.contributor));
            found.into_iter().map(|(_, slot)| Arc::clone(slot)).collect()
        };
        slots
            .into_iter()
            .map(|slot| {
                let consumer = consumer.clone();
                let handle = Handle { slot, consumer, methods: methods.into() };
                if let Some(provided) = handle.slot.provided.load().as_ref() {
                    handle.check(provided)?;
                }
                Ok(RawService::new(Arc::new(handle)))
            })
            .collect()
    }
}

/// What a consumer holds.
#[derive(Debug)]
struct Handle {
    slot: Arc<Slot>,
    consumer: Consumer,
    /// The hashes of the methods that the consumer knows.
    methods: Box<[u64]>,
}

impl Handle {
    /// Methods that both know must be the same; the longer list is the newer side.
    fn check(&self, provided: &Provided) -> Result<()> {
        let service = format_args!("{}/{}", self.slot.name, self.slot.major);
        compare(&self.consumer.plugin, &self.methods, &provided.plugin, &provided.methods, service)
    }

    fn unavailable(&self) -> Error {
        Error::unavailable(format!(
            "no plugin provides {}/{} right now",
            self.slot.name, self.slot.major
        ))
    }
}

/// Whether a consumer and a provider know the same methods, as far as both know them.
///
/// # Errors
/// `Invalid`, naming the service, the method's number and both plugins.
pub(crate) fn compare(
    consumer: &str,
    known: &[u64],
    provider: &str,
    provided: &[u64],
    service: impl std::fmt::Display,
) -> Result<()> {
    match known.iter().zip(provided).position(|(ours, theirs)| ours != theirs) {
        None => Ok(()),
        Some(number) => Err(Error::invalid(format!(
            "the plugin {consumer} was built for another {service} than the plugin {provider} provides: method number {} differs; build both against the same version of the interface",
            number + 1
        ))
        .with_code("SERVICE_DIFFERS")),
    }
}

fn failed(error: Error) -> FfiFuture<Reply> {
    FfiFuture::new(std::future::ready(RResult::RErr(error.into())))
}

impl ServiceHandle for Handle {
    fn call(
        self: &Arc<Self>,
        method: u32,
        call: &RawCall,
        arguments: RVec<u8>,
    ) -> FfiFuture<Reply> {
        if !self.consumer.alive.load(Ordering::Acquire) {
            return failed(stopped());
        }
        let provided = self.slot.provided.load();
        let Some(provided) = provided.as_ref() else {
            return failed(self.unavailable());
        };
        let index = method as usize;
        if self.methods.get(index) != provided.methods.get(index) {
            return failed(match self.check(provided) {
                Err(error) => error,
                Ok(()) => Error::unavailable(format!(
                    "the plugin {} provides an older {}/{} without method number {method}; update it",
                    provided.plugin, self.slot.name, self.slot.major
                )),
            });
        }
        let Some(inside) = provided.gate.enter() else {
            return failed(self.unavailable());
        };
        let reply = provided.instance.call(provided.index, method, call, arguments);
        guarded(async move {
            inside.run(reply).await.unwrap_or_else(|| RResult::RErr(stopped().into()))
        })
    }

    fn available(self: &Arc<Self>) -> bool {
        self.slot.provided.load().is_some()
    }

    fn provider(self: &Arc<Self>) -> RVec<u8> {
        self.slot
            .provided
            .load()
            .as_ref()
            .map_or_else(RVec::new, |provided| RVec::from(provided.plugin.as_bytes().to_vec()))
    }
}
