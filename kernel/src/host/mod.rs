//! The host as one plugin sees it: every door of the kernel, in the plugin's name.

mod cartridge;
mod spool;
mod upload;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::closure::{RawOnce, RawScan, RawTask, RawWrite, ReaderVisitor};
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::host::{Host, RawService, RawSpool, RawUpload};
use fazt_abi::http::RawPrepared;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::cartridge::Owner;
use crate::edge::PreparedHead;
use crate::registry::service::Consumer;
use crate::tasks::Tasks;
use crate::telemetry::Level;

/// One plugin's host. Made anew at each start; refuses work once the plugin was stopped.
pub(crate) struct PluginHost {
    pub(crate) core: Weak<Core>,
    pub(crate) owner: Owner,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) tasks: Arc<Tasks>,
    /// The plugin as a user of services; says whether it still runs.
    pub(crate) consumer: Consumer,
}

type Answer<T> = FfiFuture<RResult<T, RawError>>;

/// The most random bytes of one call.
const RANDOM_BYTES_MAX: u32 = 4096;

pub(crate) fn to_raw<T>(result: Result<T>) -> RResult<T, RawError> {
    match result {
        Ok(value) => RResult::ROk(value),
        Err(error) => RResult::RErr(error.into()),
    }
}

fn ready<T: Send + 'static>(result: Result<T>) -> Answer<T> {
    FfiFuture::new(std::future::ready(to_raw(result)))
}

impl PluginHost {
    fn core(&self) -> Result<Arc<Core>> {
        if !self.consumer.alive.load(Ordering::Acquire) {
            return Err(Error::unavailable(format!(
                "the plugin {} was stopped; its work after that is refused",
                self.manifest.name
            )));
        }
        self.core.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }

    fn may_call(&self, name: &str, major: u32) -> Result<()> {
        let manifest = &self.manifest;
        let named = [&manifest.requires, &manifest.uses, &manifest.provides, &manifest.contributes]
            .into_iter()
            .flatten()
            .any(|id| id.name == name && id.major == major);
        if named {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the plugin {} looks up {name}/{major} but does not name it; add `.requires` or `.uses` to its manifest",
            manifest.name
        )))
    }
}

impl Host for PluginHost {
    fn unix_ms(self: &Arc<Self>) -> u64 {
        self.core.upgrade().map_or(0, |core| core.now_ms())
    }

    fn monotonic_ns(self: &Arc<Self>) -> u64 {
        self.core.upgrade().map_or(0, |core| core.monotonic_ns())
    }

    fn sleep(self: &Arc<Self>, ns: u64) -> Answer<()> {
        guarded(async move {
            tokio::time::sleep(Duration::from_nanos(ns)).await;
            RResult::ROk(())
        })
    }

    fn random(self: &Arc<Self>, len: u32) -> RVec<u8> {
        let random = self.core().and_then(|core| core.random(len.min(RANDOM_BYTES_MAX) as usize));
        random.map_or_else(|_| RVec::new(), RVec::from)
    }

    fn log(self: &Arc<Self>, level: u8, message: RStr<'_>, fields: RStr<'_>) {
        if let Some(core) = self.core.upgrade() {
            core.telemetry.log(Level::from_number(level), &self.manifest.name, &message, &fields);
        }
    }

    fn read(self: &Arc<Self>, visit: ReaderVisitor<'_>) -> RResult<(), RawError> {
        to_raw(self.core().and_then(|core| cartridge::read(&core.cartridge, &self.owner, visit)))
    }

    fn scan(self: &Arc<Self>, job: RawScan) -> Answer<()> {
        match self.core() {
            Ok(core) => cartridge::scan(&core.cartridge, &self.owner, job),
            Err(error) => ready(Err(error)),
        }
    }

    fn write(self: &Arc<Self>, app: &[u8; 12], job: RawWrite) -> Answer<()> {
        match self.core() {
            Ok(core) => cartridge::write(&core.cartridge, &self.owner, app_key(app), job),
            Err(error) => ready(Err(error)),
        }
    }

    fn put_blobs(self: &Arc<Self>, app: &[u8; 12], contents: RVec<RawBytes>) -> Answer<RVec<u8>> {
        match self.core() {
            Ok(core) => {
                let contents = contents.into_iter().map(Bytes::from).collect();
                upload::put_blobs(&core, &self.owner, app_key(app), contents)
            }
            Err(error) => ready(Err(error)),
        }
    }

    fn upload(self: &Arc<Self>, app: &[u8; 12]) -> RResult<RawUpload, RawError> {
        to_raw(self.core().map(|core| {
            upload::begin(&core.cartridge, &self.owner, app_key(app), self.consumer.clone())
        }))
    }

    fn setting(self: &Arc<Self>, name: RStr<'_>) -> RResult<RString, RawError> {
        let full = format!("{}.{}", self.manifest.name, name.as_str());
        to_raw(
            self.core()
                .and_then(|core| core.config.get(&full))
                .map(|value| RString::from(value.to_string())),
        )
    }

    fn service(
        self: &Arc<Self>,
        name: RStr<'_>,
        major: u32,
        methods: RSlice<'_, u64>,
    ) -> RResult<RawService, RawError> {
        to_raw(
            self.may_call(&name, major).and_then(|()| {
                self.core()?.services.handle(&self.consumer, &name, major, &methods)
            }),
        )
    }

    fn contributions(
        self: &Arc<Self>,
        name: RStr<'_>,
        major: u32,
        methods: RSlice<'_, u64>,
    ) -> RResult<RVec<RawService>, RawError> {
        let all = self
            .may_call(&name, major)
            .and_then(|()| self.core())
            .and_then(|core| core.services.contributions(&self.consumer, &name, major, &methods));
        to_raw(all.map(RVec::from))
    }

    fn spawn(self: &Arc<Self>, name: RStr<'_>, task: RawTask) -> RResult<(), RawError> {
        let spawned = self.core().and_then(|_| self.tasks.spawn(&name, move || run(task.clone())));
        to_raw(spawned)
    }

    fn every(self: &Arc<Self>, name: RStr<'_>, ns: u64, task: RawTask) -> RResult<(), RawError> {
        let interval = Duration::from_nanos(ns);
        to_raw(
            self.core().and_then(|_| self.tasks.every(&name, interval, move || run(task.clone()))),
        )
    }

    fn publish(self: &Arc<Self>, name: RStr<'_>, payload: RawBytes) {
        if let Ok(core) = self.core() {
            core.events.publish(&name, &Bytes::from(payload));
        }
    }

    fn spool(self: &Arc<Self>) -> RResult<RawSpool, RawError> {
        to_raw(self.core().and_then(|core| spool::create(core.cartridge.path())))
    }

    fn prepare(self: &Arc<Self>, fields: RSlice<'_, u8>) -> RResult<RawPrepared, RawError> {
        to_raw(PreparedHead::from_fields(&fields))
    }

    fn seal(
        self: &Arc<Self>,
        label: RStr<'_>,
        plain: RSlice<'_, u8>,
    ) -> RResult<RVec<u8>, RawError> {
        let sealed =
            self.core().and_then(|core| core.secrets.seal(&self.manifest.name, &label, &plain));
        to_raw(sealed.map(RVec::from))
    }

    fn open(
        self: &Arc<Self>,
        label: RStr<'_>,
        sealed: RSlice<'_, u8>,
    ) -> RResult<RVec<u8>, RawError> {
        let opened =
            self.core().and_then(|core| core.secrets.open(&self.manifest.name, &label, &sealed));
        to_raw(opened.map(RVec::from))
    }

    fn blocking(self: &Arc<Self>, work: RawOnce) -> Answer<()> {
        match self.core() {
            Ok(core) => {
                let done = core.aside.blocking(move || work.run());
                guarded(async move { to_raw(done.await) })
            }
            Err(error) => ready(Err(error)),
        }
    }

    fn idle(self: &Arc<Self>, work: RawOnce) -> Answer<()> {
        match self.core() {
            Ok(core) => {
                let done = core.aside.idle(move || work.run());
                guarded(async move { to_raw(done.await) })
            }
            Err(error) => ready(Err(error)),
        }
    }
}

/// One run of a plugin's task.
async fn run(task: RawTask) -> Result<()> {
    match task.run().await {
        RResult::ROk(()) => Ok(()),
        RResult::RErr(error) => Err(error.into()),
    }
}

/// The app's key, or nothing when it is all zero.
fn app_key(app: &[u8; 12]) -> Option<[u8; 12]> {
    (*app != [0; 12]).then_some(*app)
}
