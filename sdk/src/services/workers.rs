//! Supervised, sandboxed child processes of the same binary.

use std::time::Duration;

use bytes::Bytes;

use crate::call::Call;
use crate::error::Result;
use crate::{Wire, service};

/// What a worker may use.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct WorkerLimits {
    /// Memory that it may write to, beyond what the program itself takes, in bytes.
    pub memory_bytes: u64,
    /// Processor time over its whole life, in whole seconds; at least one.
    pub cpu: Duration,
    /// The largest frame in either direction, in bytes.
    pub frame_bytes: u64,
    /// Bytes that may wait on their way to the worker; `send` waits for room.
    pub queue_bytes: u64,
}

/// What a worker uses at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub struct WorkerUsage {
    /// Its process.
    pub pid: u32,
    /// Processor time since it started.
    pub cpu: Duration,
    /// Memory that it holds, in bytes.
    pub memory_bytes: u64,
}

/// Why a worker is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum WorkerEnd {
    /// It left by itself, with this code.
    Exited(i32),
    /// Somebody asked for it.
    Killed,
    /// It used all of its processor time.
    CpuLimit,
    /// It tried what the sandbox forbids.
    Forbidden,
    /// It was ended by this signal.
    Signal(i32),
}

/// Child processes that have no cartridge, no network and no files. Provided by the kernel.
///
/// A worker enters `Plugin::worker` of the plugin that is named, with a channel on which frames
/// travel: a length (u32, little endian), then as many bytes. It ends when its channel does.
#[service("fazt.workers", 1)]
pub trait Workers {
    /// Starts a worker of `plugin`; returns its number. Takes a few milliseconds, more for a plugin that
    /// is a library: the worker loads it before it gives up its rights.
    ///
    /// # Errors
    /// `Busy` past the node's bounds on workers and on how fast they are started, `Unavailable` where
    /// there are no workers.
    async fn start(&self, call: &Call, plugin: &str, limits: &WorkerLimits) -> Result<u64>;
    /// Hands frames to a worker; ready when they are in its queue, which has a bound. They leave
    /// together with whatever else is handed over at that moment.
    ///
    /// # Errors
    /// `Unavailable` when it has ended, `TooLarge` past the largest frame.
    async fn send(&self, call: &Call, worker: u64, frames: &[Bytes]) -> Result<()>;
    /// The frames that have arrived; waits for at least one. Dropping it loses none.
    ///
    /// # Errors
    /// `Unavailable` when it has ended and nothing is left to read.
    async fn receive(&self, call: &Call, worker: u64) -> Result<Vec<Bytes>>;
    /// Kills a worker. One that has ended stays as it is.
    async fn kill(&self, call: &Call, worker: u64) -> Result<()>;
    /// Waits until a worker has ended, and says why. Known for a while only.
    ///
    /// # Errors
    /// `NotFound` for a number that is not known, or not any more.
    async fn ended(&self, call: &Call, worker: u64) -> Result<WorkerEnd>;
    /// What a worker uses. Reads `/proc`: a few microseconds.
    ///
    /// # Errors
    /// `Unavailable` when it has ended, or where the system does not say.
    async fn usage(&self, call: &Call, worker: u64) -> Result<WorkerUsage>;
}
