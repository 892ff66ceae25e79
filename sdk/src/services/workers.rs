//! Supervised, sandboxed child processes of the same binary.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::{Wire, service};

/// What a worker may use.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct WorkerLimits {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time over its whole life.
    pub cpu: Duration,
    /// Frames that may wait in either direction.
    pub frames: u32,
}

/// Child processes that have no cartridge, no network and no files. To be provided by the kernel.
///
/// A worker enters `Plugin::worker` of the plugin that asked for it. It ends when its channel does.
#[service("fazt.workers", 1)]
pub trait Workers {
    /// Starts a worker of the calling plugin; returns its number.
    ///
    /// # Errors
    /// `Busy` past the node's bound on workers.
    async fn start(&self, call: &Call, limits: &WorkerLimits) -> Result<u64>;
    /// Hands frames to a worker; ready when they have left the bounded queue.
    ///
    /// # Errors
    /// `Unavailable` when it has ended.
    async fn send(&self, call: &Call, worker: u64, frames: &[Vec<u8>]) -> Result<()>;
    /// The frames that the worker has sent since; waits for at least one.
    ///
    /// # Errors
    /// `Unavailable` when it has ended.
    async fn receive(&self, call: &Call, worker: u64) -> Result<Vec<Vec<u8>>>;
    /// Kills a worker.
    async fn kill(&self, call: &Call, worker: u64) -> Result<()>;
}
