//! The plugin trait, and what a started plugin hands over.

use std::collections::HashMap;
use std::sync::Arc;

use abi_stable::std_types::{RResult, RVec};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::{RawRequest, RawResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::cartridge::{Cartridge, Transaction};
use crate::error::{Error, Result, to_raw};
use crate::event::{self, Event};
use crate::host::Host;
use crate::http::{Handler, Request, Response};
use crate::manifest::Manifest;
use crate::operation::Operate;
use crate::service::Provider;

/// A plugin.
///
/// Life cycle: `manifest` (pure, any number of times), the kernel migrates the plugin's tables,
/// `start` once, and at the end the tasks and handlers are drained and [`Started::on_stop`] runs.
/// A plugin that is stopped and started again gets a new value and a new host.
pub trait Plugin: Default + Send + Sync + 'static {
    /// What the plugin contributes and needs. Pure: no I/O, no state, the same every time.
    fn manifest(&self) -> Manifest;

    /// Validates settings, looks up services, starts tasks, and hands over a handler for
    /// everything that the manifest declares. Blocks for no longer than a few milliseconds.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working, in a sentence for the owner.
    fn start(&self, host: Host) -> Result<Started>;

    /// Serves as a worker process on descriptor `channel`; returns the exit code.
    fn worker(&self, channel: i32) -> i32 {
        let _ = channel;
        // EX_USAGE of sysexits.h: this plugin has no workers.
        64
    }
}

pub(crate) type Answer<T> = FfiFuture<RResult<T, RawError>>;
pub(crate) type HandleFn = Arc<dyn Fn(Call, RawRequest) -> Answer<RawResponse> + Send + Sync>;
pub(crate) type JsonFn = Arc<dyn Fn(Call, RVec<u8>) -> Answer<RVec<u8>> + Send + Sync>;
pub(crate) type DeliverFn = Arc<dyn Fn(u64, Vec<Bytes>) -> Answer<()> + Send + Sync>;
pub(crate) type StopFn = Box<dyn FnOnce() -> Answer<()> + Send>;

/// What a started plugin hands over: a handler for each thing that its manifest declares.
#[derive(Default)]
#[must_use]
pub struct Started {
    pub(crate) handlers: HashMap<String, HandleFn>,
    pub(crate) operations: HashMap<String, JsonFn>,
    pub(crate) bindings: HashMap<String, JsonFn>,
    pub(crate) subscriptions: HashMap<&'static str, DeliverFn>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) stop: Option<StopFn>,
    pub(crate) twice: Vec<String>,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Started")
            .field("handlers", &self.handlers.keys())
            .field("operations", &self.operations.keys())
            .field("bindings", &self.bindings.keys())
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

impl Started {
    /// Nothing handed over yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the routes with this pattern.
    pub fn handle(mut self, pattern: &str, handler: impl Handler) -> Self {
        let handler = Arc::new(handler);
        let shim: HandleFn = Arc::new(move |call, request| {
            let handler = Arc::clone(&handler);
            guarded(async move {
                to_raw(
                    handler.call(&call, Request::from_raw(request)).await.map(Response::into_raw),
                )
            })
        });
        if self.handlers.insert(pattern.to_owned(), shim).is_some() {
            self.twice.push(format!("the route {pattern}"));
        }
        self
    }

    /// Runs the operation `key`, as in `"GET /api/visits/{app}"`.
    pub fn operation(mut self, key: &str, operation: impl Operate) -> Self {
        let operation = Arc::new(operation);
        let shim: JsonFn = Arc::new(move |call, input| {
            let operation = Arc::clone(&operation);
            guarded(
                async move { to_raw(operate(&*operation, &call, &input).await.map(RVec::from)) },
            )
        });
        if self.operations.insert(key.to_owned(), shim).is_some() {
            self.twice.push(format!("the operation {key}"));
        }
        self
    }

    /// Runs the JavaScript binding `name` with the list of its arguments.
    pub fn bind<A, T, W, F>(mut self, name: &str, work: W) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        W: Fn(Call, A) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let work = Arc::new(work);
        let binding = name.to_owned();
        let shim: JsonFn = Arc::new(move |call, arguments| {
            let (work, binding) = (Arc::clone(&work), binding.clone());
            guarded(async move {
                let result = async move {
                    let arguments = serde_json::from_slice(&arguments)
                        .map_err(|error| Error::invalid(format!("fazt.{binding}: {error}")))?;
                    encode(&work(call, arguments).await?)
                };
                to_raw(result.await.map(RVec::from))
            })
        });
        if self.bindings.insert(name.to_owned(), shim).is_some() {
            self.twice.push(format!("the binding {name}"));
        }
        self
    }

    /// Listens to published events `E`, in batches, best effort.
    pub fn on<E, W, F>(mut self, work: W) -> Self
    where
        E: Event,
        W: Fn(Vec<E>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let work = Arc::new(work);
        let shim: DeliverFn = Arc::new(move |_, batch| {
            let work = Arc::clone(&work);
            guarded(async move {
                to_raw(match event::decode::<E>(batch) {
                    Ok(events) => work(events).await,
                    Err(error) => Err(error),
                })
            })
        });
        if self.subscriptions.insert(E::NAME, shim).is_some() {
            self.twice.push(format!("the event {}", E::NAME));
        }
        self
    }

    /// Follows emitted events `E` through the log. `work` runs inside a write of the plugin; the
    /// cursor advances in the same transaction, so each event takes effect exactly once.
    pub fn follow<E, W>(mut self, cartridge: &Cartridge, plugin: &str, work: W) -> Self
    where
        E: Event + Sync + Clone,
        W: Fn(&Transaction<'_>, &[E]) -> Result<()> + Send + Sync + 'static,
    {
        let (work, cartridge) = (Arc::new(work), cartridge.clone());
        let subscriber: Arc<str> = format!("{plugin}/{}", E::NAME).into();
        let shim: DeliverFn = Arc::new(move |sequence, batch| {
            let (work, cartridge, subscriber) =
                (Arc::clone(&work), cartridge.clone(), Arc::clone(&subscriber));
            guarded(async move {
                let events = match event::decode::<E>(batch) {
                    Ok(events) => events,
                    Err(error) => return to_raw(Err(error)),
                };
                let written = cartridge.write(None, move |transaction| {
                    work(transaction, &events)?;
                    transaction.advance(&subscriber, sequence)
                });
                to_raw(written.await)
            })
        });
        if self.subscriptions.insert(E::NAME, shim).is_some() {
            self.twice.push(format!("the event {}", E::NAME));
        }
        self
    }

    /// Offers a service, as in `.provide(VisitCountsApi::of(store))`.
    pub fn provide(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Runs `work` when the plugin is stopped, after its handlers and tasks were drained.
    pub fn on_stop<W, F>(mut self, work: W) -> Self
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.stop = Some(Box::new(move || {
            let work = work();
            guarded(async move { to_raw(work.await) })
        }));
        self
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::internal(format!("a reply has no JSON form: {error}")))
}

async fn operate<O: Operate>(operation: &O, call: &Call, input: &[u8]) -> Result<Vec<u8>> {
    let input = serde_json::from_slice(input)
        .map_err(|error| Error::invalid(format!("the input is wrong: {error}")))?;
    encode(&operation.operate(call, input).await?)
}
