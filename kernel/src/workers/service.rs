//! `fazt.workers/1`: worker processes as a service to plugins.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use fazt_sdk::call::Call;
use fazt_sdk::services::Workers as Interface;
use fazt_sdk::services::workers::{WorkerEnd, WorkerLimits, WorkerUsage};
use fazt_sdk::{Error, Result};

use super::Workers;
use crate::Core;

/// The provider. Holds the kernel weakly: the kernel holds its services.
pub(crate) struct WorkersService(pub(crate) Weak<Core>);

impl WorkersService {
    fn core(&self) -> Result<Arc<Core>> {
        self.0.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }

    fn workers(&self) -> Result<Arc<Workers>> {
        Ok(Arc::clone(&self.core()?.workers))
    }
}

impl Interface for WorkersService {
    async fn start(&self, _: &Call, plugin: &str, limits: &WorkerLimits) -> Result<u64> {
        let core = self.core()?;
        let library = core.registry.library_of(plugin)?;
        core.workers.start(plugin, library, limits).await
    }

    async fn send(&self, _: &Call, worker: u64, frames: &[Bytes]) -> Result<()> {
        self.workers()?.find(worker)?.send(frames).await
    }

    async fn receive(&self, _: &Call, worker: u64) -> Result<Vec<Bytes>> {
        self.workers()?.find(worker)?.receive().await
    }

    async fn kill(&self, _: &Call, worker: u64) -> Result<()> {
        if let Ok(worker) = self.workers()?.find(worker) {
            worker.kill();
        }
        Ok(())
    }

    async fn ended(&self, _: &Call, worker: u64) -> Result<WorkerEnd> {
        Ok(self.workers()?.find(worker)?.wait().await)
    }

    async fn usage(&self, _: &Call, worker: u64) -> Result<WorkerUsage> {
        self.workers()?.find(worker)?.usage()
    }
}
