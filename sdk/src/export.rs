//! The shims between [`Plugin`] and the boundary; `export_plugin!` makes them a library's root.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RResult, RString, RVec};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::bytes::RawBytes;
use fazt_abi::call::RawCall;
use fazt_abi::error::RawError;
use fazt_abi::host::RawHost;
use fazt_abi::http::{RawRequest, RawResponse};
use fazt_abi::instance::{self, RawInstance};
use fazt_abi::root::{PluginRootRef, RawPlugin};

use crate::call::Call;
use crate::error::{Error, Result, to_raw};
use crate::host::Host;
use crate::manifest::Manifest;
use crate::plugin::{Answer, DeliverFn, HandleFn, JsonFn, Plugin, Started, StopFn};
use crate::service::Provider;

/// The root of plugin `P`, for a binary that compiles it in.
#[must_use]
pub fn root_of<P: Plugin>() -> PluginRootRef {
    fazt_abi::root::root_of::<Export<P>>()
}

/// A [`Plugin`] in the terms of the boundary.
#[doc(hidden)]
#[derive(Debug)]
pub struct Export<P>(PhantomData<P>);

impl<P: Plugin> RawPlugin for Export<P> {
    fn describe() -> RResult<RString, RawError> {
        let json = serde_json::to_string(&P::default().manifest())
            .map_err(|error| Error::internal(format!("the manifest has no JSON form: {error}")));
        to_raw(json.map(RString::from))
    }

    fn start(host: RawHost) -> RResult<RawInstance, RawError> {
        to_raw(instance_of::<P>(host))
    }

    fn worker_main(channel: i32) -> i32 {
        P::default().worker(channel)
    }
}

fn instance_of<P: Plugin>(host: RawHost) -> Result<RawInstance> {
    let plugin = P::default();
    let manifest = plugin.manifest();
    let started = plugin.start(Host::from_raw(host))?;
    assemble(&manifest, started)
}

/// Matches what a plugin declared with what it handed over. For the kernel, whose own operations
/// go the same way.
///
/// # Errors
/// `Invalid` when the two differ.
#[doc(hidden)]
pub fn assemble(manifest: &Manifest, mut started: Started) -> Result<RawInstance> {
    let mut wrong = std::mem::take(&mut started.twice);
    wrong.iter_mut().for_each(|what| what.push_str(" is handed over twice"));

    let mut take = |found: Option<JsonFn>, what: String| {
        if found.is_none() {
            wrong.push(format!("{what} is declared but not handed over"));
        }
        found
    };
    let operations: Vec<_> = manifest
        .operations
        .iter()
        .filter_map(|operation| {
            take(
                started.operations.remove(&operation.key()),
                format!("the operation {}", operation.key()),
            )
        })
        .collect();
    let bindings: Vec<_> = manifest
        .bindings
        .iter()
        .filter_map(|binding| {
            take(started.bindings.remove(&binding.name), format!("the binding {}", binding.name))
        })
        .collect();
    // Several routes may share a pattern with different methods, and so a handler.
    let handlers: Vec<_> = manifest
        .routes
        .iter()
        .filter_map(|route| {
            let found = started.handlers.get(&route.pattern).cloned();
            if found.is_none() {
                wrong.push(format!("the route {} is declared but not handed over", route.pattern));
            }
            found
        })
        .collect();
    let subscriptions: Vec<_> = manifest
        .subscriptions
        .iter()
        .filter_map(|subscription| {
            let found = started.subscriptions.remove(subscription.event.as_str());
            if found.is_none() {
                wrong.push(format!(
                    "the event {} is declared but not handed over",
                    subscription.event
                ));
            }
            found
        })
        .collect();
    let providers: Vec<_> = manifest
        .provides
        .iter()
        .chain(&manifest.contributes)
        .filter_map(|id| {
            let at = started.providers.iter().position(|provider| provider.id == *id);
            if at.is_none() {
                wrong.push(format!("the service {id} is declared but not handed over"));
            }
            at.map(|at| started.providers.remove(at))
        })
        .collect();

    let declared = |pattern: &String| manifest.routes.iter().any(|route| route.pattern == *pattern);
    wrong.extend(
        started
            .handlers
            .keys()
            .filter(|pattern| !declared(pattern))
            .map(|pattern| format!("the route {pattern} is handed over but not declared")),
    );
    wrong.extend(
        started
            .operations
            .keys()
            .map(|key| format!("the operation {key} is handed over but not declared")),
    );
    wrong.extend(
        started
            .bindings
            .keys()
            .map(|name| format!("the binding {name} is handed over but not declared")),
    );
    wrong.extend(
        started
            .subscriptions
            .keys()
            .map(|name| format!("the event {name} is handed over but not declared")),
    );
    wrong.extend(
        started
            .providers
            .iter()
            .map(|provider| format!("the service {} is handed over but not declared", provider.id)),
    );
    if !wrong.is_empty() {
        wrong.sort();
        return Err(Error::invalid(format!(
            "the plugin {} is not whole: {}",
            manifest.name,
            wrong.join("; ")
        )));
    }
    let instance = Instance {
        handlers,
        operations,
        bindings,
        subscriptions,
        providers,
        stop: Mutex::new(started.stop),
    };
    Ok(RawInstance::new(Arc::new(instance)))
}

struct Instance {
    handlers: Vec<HandleFn>,
    operations: Vec<JsonFn>,
    bindings: Vec<JsonFn>,
    subscriptions: Vec<DeliverFn>,
    providers: Vec<Provider>,
    stop: Mutex<Option<StopFn>>,
}

fn unknown<T: Send + 'static>(what: &str, number: u32) -> Answer<T> {
    FfiFuture::new(std::future::ready(RResult::RErr(RawError::from(Error::internal(format!(
        "the kernel asked for {what} number {number}, which the manifest does not have"
    ))))))
}

impl instance::Instance for Instance {
    fn handle(
        self: &Arc<Self>,
        route: u32,
        call: &RawCall,
        request: RawRequest,
    ) -> Answer<RawResponse> {
        match self.handlers.get(route as usize) {
            Some(handler) => handler(Call::from_raw(call), request),
            None => unknown("route", route),
        }
    }

    fn operate(
        self: &Arc<Self>,
        operation: u32,
        call: &RawCall,
        input: RVec<u8>,
    ) -> Answer<RVec<u8>> {
        match self.operations.get(operation as usize) {
            Some(run) => run(Call::from_raw(call), input),
            None => unknown("operation", operation),
        }
    }

    fn bind(
        self: &Arc<Self>,
        binding: u32,
        call: &RawCall,
        arguments: RVec<u8>,
    ) -> Answer<RVec<u8>> {
        match self.bindings.get(binding as usize) {
            Some(run) => run(Call::from_raw(call), arguments),
            None => unknown("binding", binding),
        }
    }

    fn call(
        self: &Arc<Self>,
        service: u32,
        method: u32,
        call: &RawCall,
        arguments: RVec<u8>,
    ) -> Answer<RVec<u8>> {
        match self.providers.get(service as usize) {
            Some(provider) => provider.call(method, Call::from_raw(call), arguments),
            None => unknown("service", service),
        }
    }

    fn deliver(
        self: &Arc<Self>,
        subscription: u32,
        sequence: u64,
        batch: RVec<RawBytes>,
    ) -> Answer<()> {
        match self.subscriptions.get(subscription as usize) {
            Some(deliver) => deliver(sequence, batch.into_iter().map(Bytes::from).collect()),
            None => unknown("subscription", subscription),
        }
    }

    fn stop(self: &Arc<Self>) -> Answer<()> {
        match self.stop.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(stop) => stop(),
            None => FfiFuture::new(std::future::ready(RResult::ROk(()))),
        }
    }
}

/// Makes a library a plugin: `export_plugin!(Visits);`, once, in the cdylib only.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        $crate::abi::export_root!($crate::export::Export<$plugin>);
    };
}
