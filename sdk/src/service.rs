//! Services: typed interfaces that plugins offer each other.
//!
//! `#[service("visits.counts", 1)]` on a trait makes the interface; [`Provider`]s are handed over
//! in `Started::provide`, and a [`Service`] is what a consumer holds. A `Service` forwards each
//! call to whoever provides the interface at that moment: when the provider goes away its calls
//! answer `Unavailable`, when it comes back they work again, without the consumer doing anything.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use abi_stable::std_types::{RResult, RVec};
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::host::RawService;

use crate::call::Call;
use crate::error::{Error, Result, from_raw, to_raw};
use crate::wire::{self, Wire};

/// The key of a service interface. Made by `#[service]`.
pub trait Interface: 'static {
    /// The name, `plugin.what`.
    const NAME: &'static str;
    /// The major version; a change that consumers would notice is a new one.
    const MAJOR: u32;
    /// The methods, in order. Later versions only append.
    const METHODS: &'static [Method];
}

/// One method of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// A hash of its name, its arguments and its result.
    pub hash: u64,
}

impl Method {
    /// A method out of the shapes of its arguments and its result.
    #[must_use]
    pub const fn new(name: &'static str, arguments: &[u64], output: u64) -> Self {
        let mut hash = wire::hash(wire::HASH_START, name.as_bytes());
        let mut at = 0;
        while at < arguments.len() {
            hash = wire::hash(hash, &arguments[at].to_le_bytes());
            at += 1;
        }
        hash = wire::hash(hash, b"->");
        Self { name, hash: wire::hash(hash, &output.to_le_bytes()) }
    }
}

/// Name, major and methods of an interface, as the registry compares them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InterfaceId {
    /// The name.
    pub name: String,
    /// The major version.
    pub major: u32,
    /// The hashes of the methods, in order.
    pub methods: Vec<u64>,
}

impl InterfaceId {
    /// The id of interface `I`.
    #[must_use]
    pub fn of<I: Interface>() -> Self {
        Self {
            name: I::NAME.to_owned(),
            major: I::MAJOR,
            methods: I::METHODS.iter().map(|method| method.hash).collect(),
        }
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.name, self.major)
    }
}

/// A handle to a service; implements the interface's trait. Cheap to clone.
pub struct Service<I> {
    raw: RawService,
    interface: PhantomData<fn() -> I>,
}

impl<I> Clone for Service<I> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), interface: PhantomData }
    }
}

impl<I: Interface> fmt::Debug for Service<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Service({}/{})", I::NAME, I::MAJOR)
    }
}

impl<I: Interface> Service<I> {
    #[doc(hidden)]
    #[must_use]
    pub fn from_raw(raw: RawService) -> Self {
        Self { raw, interface: PhantomData }
    }

    /// Whether somebody provides it now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.raw.available()
    }

    /// Name of the plugin that provides it now; empty when nobody does.
    #[must_use]
    pub fn provider(&self) -> String {
        String::from_utf8_lossy(&self.raw.provider()).into_owned()
    }

    #[doc(hidden)]
    pub fn invoke<T: Wire>(
        &self,
        method: u32,
        call: &Call,
        arguments: Vec<u8>,
    ) -> impl Future<Output = Result<T>> + Send + use<T, I> {
        let reply = self.raw.call(method, call.as_raw(), RVec::from(arguments));
        async move {
            let reply = from_raw(reply.await)?;
            wire::from_slice(&reply).map_err(Error::from)
        }
    }
}

type Dispatch = dyn Fn(u32, Call, RVec<u8>) -> FfiFuture<RResult<RVec<u8>, RawError>> + Send + Sync;

/// An implementation of an interface, ready to be offered. Made by `NameApi::of(…)`.
#[derive(Clone)]
pub struct Provider {
    pub(crate) id: InterfaceId,
    dispatch: Arc<Dispatch>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Provider({})", self.id)
    }
}

impl Provider {
    #[doc(hidden)]
    pub fn new<I, D, F>(dispatch: D) -> Self
    where
        I: Interface,
        D: Fn(u32, Call, RVec<u8>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<u8>>> + Send + 'static,
    {
        let dispatch = move |method, call, arguments| {
            let reply = dispatch(method, call, arguments);
            guarded(async move { to_raw(reply.await.map(RVec::from)) })
        };
        Self { id: InterfaceId::of::<I>(), dispatch: Arc::new(dispatch) }
    }

    /// The interface that it implements.
    #[must_use]
    pub fn interface(&self) -> &InterfaceId {
        &self.id
    }

    #[doc(hidden)]
    #[must_use]
    pub fn call(
        &self,
        method: u32,
        call: Call,
        arguments: RVec<u8>,
    ) -> FfiFuture<RResult<RVec<u8>, RawError>> {
        (self.dispatch)(method, call, arguments)
    }
}

#[doc(hidden)]
#[must_use]
pub fn no_such_method<I: Interface>(number: u32) -> Error {
    Error::unavailable(format!(
        "the provider of {}/{} is older and has no method number {number}; update it",
        I::NAME,
        I::MAJOR
    ))
}
