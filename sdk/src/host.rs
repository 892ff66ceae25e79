//! The host: a plugin's only door to the world.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use abi_stable::std_types::{RResult, RSlice, RStr};
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::bytes::RawBytes;
use fazt_abi::closure::{self, RawOnce, RawTask};
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::host::RawHost;
use serde::de::DeserializeOwned;

use crate::call::{Call, CallBuilder, Principal};
use crate::cartridge::Cartridge;
use crate::error::{Error, Result, from_raw, to_raw};
use crate::event::Event;
use crate::http::{PreparedHead, push_field};
use crate::ids::AppId;
use crate::service::{Interface, InterfaceId, Service};
use crate::spool::Spool;
use crate::wire;

/// The host as one plugin sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host(RawHost);

impl Host {
    #[doc(hidden)]
    #[must_use]
    pub fn from_raw(raw: RawHost) -> Self {
        Self(raw)
    }

    /// The cartridge.
    #[must_use]
    pub fn cartridge(&self) -> Cartridge {
        Cartridge(self.0.clone())
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(self.0.clone())
    }

    /// Background work.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks(self.0.clone())
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> Log {
        Log(self.0.clone())
    }

    /// A call of the node itself, for work that nobody asked for: a task, or what a task begins. It has
    /// a request id of its own and no deadline.
    #[must_use]
    pub fn call(&self) -> Call {
        let mut number = [0; 8];
        for (at, byte) in number.iter_mut().zip(self.random(8)) {
            *at = byte;
        }
        CallBuilder::new(Principal::System, u64::from_le_bytes(number)).build()
    }

    /// A handle to service `I`. It is always handed out when the manifest names the service under
    /// `requires` or `uses`; calls answer `Unavailable` while nobody provides it.
    ///
    /// # Errors
    /// `Invalid` when the manifest does not name `I`, or its provider's methods differ.
    pub fn service<I: Interface>(&self) -> Result<Service<I>> {
        let id = InterfaceId::of::<I>();
        from_raw(self.0.service(
            RStr::from_str(&id.name),
            id.major,
            RSlice::from_slice(&id.methods),
        ))
        .map(Service::from_raw)
    }

    /// Handles to all who contribute to the extension point `I` now.
    ///
    /// # Errors
    /// `Invalid` when a contributor's methods differ.
    pub fn contributions<I: Interface>(&self) -> Result<Vec<Service<I>>> {
        let id = InterfaceId::of::<I>();
        let all = from_raw(self.0.contributions(
            RStr::from_str(&id.name),
            id.major,
            RSlice::from_slice(&id.methods),
        ))?;
        Ok(all.into_iter().map(Service::from_raw).collect())
    }

    /// The value of the plugin's own setting `name`: command line, else cartridge, else default.
    ///
    /// # Errors
    /// `Invalid` when the manifest has no such setting or it is not a `T`.
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let json = from_raw(self.0.setting(RStr::from_str(name)))?;
        serde_json::from_str(&json)
            .map_err(|error| Error::invalid(format!("the setting `{name}`: {error}")))
    }

    /// Tells those who listen now. Best effort.
    pub fn publish<E: Event>(&self, event: &E) {
        self.0.publish(
            RStr::from_str(E::NAME),
            RawBytes::from(bytes::Bytes::from(wire::to_vec(event))),
        );
    }

    /// Runs `work`, which may keep a processor busy, on a thread that answers no requests. A few run at
    /// a time, the rest wait. What began runs to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// `Internal` when `work` panicked; `Unavailable` when the node is stopping.
    pub async fn blocking<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let aside = Arc::new(Aside { work: Mutex::new(Some(work)), result: Mutex::new(None) });
        from_raw(self.0.blocking(RawOnce::new(Arc::clone(&aside))).await)?;
        aside.result()
    }

    /// Runs `work` on the one thread for what can wait: it gets the processor when nobody else wants
    /// it. One piece runs at a time, so pieces are to be small.
    ///
    /// # Errors
    /// `Busy` when too many wait; as [`Self::blocking`].
    pub async fn idle<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let aside = Arc::new(Aside { work: Mutex::new(Some(work)), result: Mutex::new(None) });
        from_raw(self.0.idle(RawOnce::new(Arc::clone(&aside))).await)?;
        aside.result()
    }

    /// A scratch file for one large upload.
    ///
    /// # Errors
    /// `Full` when the disk is.
    pub fn spool(&self) -> Result<Spool> {
        from_raw(self.0.spool()).map(Spool::new)
    }

    /// Makes a response head ready to be sent many times without being built again. Of a 304 it
    /// sends what a 304 repeats (RFC 9110 §15.4.5).
    ///
    /// # Errors
    /// `Invalid` for a name or value that HTTP does not allow.
    pub fn prepare<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<PreparedHead> {
        let mut fields = Vec::with_capacity(HEAD_BYTES_COMMON);
        for (name, value) in headers {
            push_field(&mut fields, name, value.as_bytes());
        }
        from_raw(self.0.prepare(RSlice::from_slice(&fields))).map(PreparedHead)
    }

    /// `len` random bytes (at most 4096), fit for keys.
    #[must_use]
    pub fn random(&self, len: u32) -> Vec<u8> {
        self.0.random(len).into_vec()
    }

    /// A new app id.
    ///
    /// # Errors
    /// `Internal` when the system has no randomness.
    pub fn new_app_id(&self) -> Result<AppId> {
        AppId::from_random(&self.random(64))
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    /// Seals `plain` so that only this plugin opens it, under the same label.
    ///
    /// # Errors
    /// `Unavailable` when the sealing key is not at hand.
    pub fn seal(&self, label: &str, plain: &[u8]) -> Result<Vec<u8>> {
        from_raw(self.0.seal(RStr::from_str(label), RSlice::from_slice(plain)))
            .map(|sealed| sealed.into_vec())
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// `Invalid` when it was changed, or sealed under another label or by another plugin.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        from_raw(self.0.open(RStr::from_str(label), RSlice::from_slice(sealed)))
            .map(|plain| plain.into_vec())
    }
}

/// Work for another thread, and where its result is left.
struct Aside<T, W> {
    work: Mutex<Option<W>>,
    result: Mutex<Option<T>>,
}

impl<T, W> Aside<T, W> {
    fn result(&self) -> Result<T> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| Error::internal("work on another thread panicked"))
    }
}

impl<T, W> closure::Once for Aside<T, W>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    fn run(self: &Arc<Self>) {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            let result = work();
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    }
}

/// The host's time; never ask the system.
#[derive(Debug, Clone)]
pub struct Clock(RawHost);

impl Clock {
    /// Milliseconds since 1970, by the wall clock. May jump.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.0.unix_ms()
    }

    /// Time since the host started; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.monotonic_ns())
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // The only way for a timer to fail is that the host is going away: then waiting is moot.
        drop(self.0.sleep(ns).await);
    }
}

/// Supervised background work. It ends when the plugin stops.
#[derive(Debug, Clone)]
pub struct Tasks(RawHost);

impl Tasks {
    /// Starts a task. When it fails or panics it is started again, with back-off from 1 s to 5 min.
    ///
    /// # Errors
    /// `Conflict` when a task of that name runs already.
    pub fn spawn<F, W>(&self, name: &str, work: W) -> Result<()>
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        from_raw(self.0.spawn(RStr::from_str(name), RawTask::new(Arc::new(Shim(work)))))
    }

    /// Runs `work` every `interval`, first after one interval, never twice at a time.
    ///
    /// # Errors
    /// `Conflict` when a task of that name runs already; `Invalid` for an interval under 1 ms.
    pub fn every<F, W>(&self, name: &str, interval: Duration, work: W) -> Result<()>
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        from_raw(self.0.every(RStr::from_str(name), ns, RawTask::new(Arc::new(Shim(work)))))
    }
}

struct Shim<W>(W);

impl<F, W> closure::Task for Shim<W>
where
    W: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    fn run(self: &Arc<Self>) -> FfiFuture<RResult<(), RawError>> {
        let work = (self.0)();
        guarded(async move { to_raw(work.await) })
    }
}

/// What the fields of most heads take, in bytes.
const HEAD_BYTES_COMMON: usize = 1024;

/// The log: a sentence that reads alone, and fields to filter on.
#[derive(Debug, Clone)]
pub struct Log(RawHost);

impl Log {
    fn write(&self, level: u8, message: &str, fields: &serde_json::Value) {
        let fields = if fields.is_null() { String::new() } else { fields.to_string() };
        self.0.log(level, RStr::from_str(message), RStr::from_str(&fields));
    }

    /// Something failed that somebody should look at.
    pub fn error(&self, message: &str, fields: serde_json::Value) {
        self.write(1, message, &fields);
    }

    /// Something is odd but handled.
    pub fn warn(&self, message: &str, fields: serde_json::Value) {
        self.write(2, message, &fields);
    }

    /// Something happened that an owner wants to know.
    pub fn info(&self, message: &str, fields: serde_json::Value) {
        self.write(3, message, &fields);
    }

    /// For whoever looks for a fault.
    pub fn debug(&self, message: &str, fields: serde_json::Value) {
        self.write(4, message, &fields);
    }
}
