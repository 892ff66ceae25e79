//! Durable work that outlives a request and a restart.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::{Wire, service};

/// Work to be done later.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct NewJob {
    /// What kind of work; workers lease by it. `plugin.what`.
    pub kind: String,
    /// What the worker is given, at most 64 KiB.
    pub payload: Vec<u8>,
    /// Among jobs that wait or run, at most one has this key.
    pub unique_key: Option<String>,
    /// Not before this moment, in milliseconds since 1970; at once without it.
    pub run_at_ms: Option<u64>,
    /// Attempts before the job becomes a dead letter.
    pub attempts_max: u32,
}

/// A job that a worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct LeasedJob {
    /// The job.
    pub id: u64,
    /// Proof of this lease; a later lease has another one.
    pub lease: u64,
    /// What the worker is given.
    pub payload: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Durable queues with leases, retries and dead letters. To be provided by the kernel.
///
/// A job runs at least once. A worker that dies loses its lease, and another one takes the job.
#[service("fazt.jobs", 1)]
pub trait Jobs {
    /// Queues a job under the caller's app; durable when it returns. Returns its id, or that of the
    /// job with the same unique key.
    ///
    /// # Errors
    /// `Full` past the app's bound on waiting jobs.
    async fn enqueue(&self, call: &Call, job: &NewJob) -> Result<u64>;
    /// Takes at most `limit` jobs of `kind` for the length of `lease`.
    async fn lease(
        &self,
        call: &Call,
        kind: &str,
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<LeasedJob>>;
    /// The job is done.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn complete(&self, call: &Call, id: u64, lease: u64) -> Result<()>;
    /// The attempt failed; the job waits for a growing time and is tried again.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn fail(&self, call: &Call, id: u64, lease: u64, why: &str) -> Result<()>;
    /// Takes a job out of the queue; one that runs is told at its next checkpoint.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    async fn cancel(&self, call: &Call, id: u64) -> Result<()>;
}
