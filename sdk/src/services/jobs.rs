//! Durable work that outlives a request and a restart, and schedules that make such work.

use std::time::Duration;

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::{Wire, service};
use fazt_macros::Event;

/// Work to be done later.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct NewJob {
    /// What kind of work; workers lease by it. `plugin.what`, at most 64 bytes.
    pub kind: String,
    /// What the worker is given, at most 64 KiB.
    pub payload: Vec<u8>,
    /// Among jobs of the app and kind that wait or run, at most one has this key.
    pub unique_key: Option<String>,
    /// Not before this moment, in milliseconds since 1970; at once without it.
    pub run_at_ms: Option<u64>,
    /// The higher first, among jobs of the app; from -100 to 100, moved up by 100 here: 100 is ordinary.
    pub priority: u32,
    /// Attempts before the job becomes a dead letter.
    pub attempts_max: u32,
    /// The bound of the delay after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// How long one attempt may take; nothing for no bound.
    pub timeout: Option<Duration>,
    /// Begins again after every failure, without end, until it completes or is cancelled.
    pub daemon: bool,
}

impl NewJob {
    /// A job that is tried three times.
    #[must_use]
    pub fn new(kind: &str, payload: Vec<u8>) -> Self {
        Self {
            kind: kind.to_owned(),
            payload,
            unique_key: None,
            run_at_ms: None,
            priority: ORDINARY,
            attempts_max: 3,
            backoff: Duration::from_secs(1),
            timeout: Some(Duration::from_secs(30 * 60)),
            daemon: false,
        }
    }
}

/// The priority of an ordinary job.
pub const ORDINARY: u32 = 100;

/// The kind of jobs that the code of apps asks for; the payload is
/// `{"handler": "jobs/x.js", "data": …}`.
pub const APP_JOB: &str = "app.job";

/// The kind of jobs that the schedules of apps make; the payload is `{"handler": "api/cron.js"}`.
pub const APP_SCHEDULED: &str = "app.scheduled";

/// Asks for a job in a transaction of one's own: `tx.emit(&JobWanted {…})`. The job is queued exactly
/// when the transaction is kept, shortly after; the bound on waiting jobs does not refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Wire, Event)]
#[event("fazt.job-wanted")]
pub struct JobWanted {
    /// For which app; for the node itself without one.
    pub app: Option<AppId>,
    /// The job. Its payload is at most 60 KiB here.
    pub job: NewJob,
}

/// A job that a worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct LeasedJob {
    /// The job.
    pub id: u64,
    /// Proof of this lease; a later lease has another one.
    pub lease: u64,
    /// Whose it is.
    pub app: Option<AppId>,
    /// What the worker is given.
    pub payload: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What an earlier attempt left with [`Jobs::checkpoint`].
    pub checkpoint: Option<Vec<u8>>,
    /// When it was due, in milliseconds since 1970.
    pub run_at_ms: u64,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
    /// Whether it begins again after every failure.
    pub daemon: bool,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum JobState {
    /// It waits for its moment, or for a worker.
    Waiting,
    /// A worker holds it.
    Running,
    /// It completed.
    Done,
    /// It failed as often as it may.
    Dead,
    /// It was taken out.
    Cancelled,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Job {
    /// The job.
    pub id: u64,
    /// Whose it is.
    pub app: Option<AppId>,
    /// What kind of work.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// What the worker is given.
    pub payload: Vec<u8>,
    /// Its key.
    pub unique_key: Option<String>,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// Attempts that began.
    pub attempt: u32,
    /// Attempts that it has.
    pub attempts_max: u32,
    /// Whether it begins again after every failure.
    pub daemon: bool,
    /// Percent.
    pub progress: u32,
    /// What came of it.
    pub result: Option<Vec<u8>>,
    /// Why the latest attempt failed.
    pub problem: Option<String>,
    /// Whether it runs and was asked to stop.
    pub cancelling: bool,
    /// When it is or was due, in milliseconds since 1970.
    pub run_at_ms: u64,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// When the latest attempt began.
    pub started_at_ms: Option<u64>,
    /// When it was done, dead or cancelled.
    pub finished_at_ms: Option<u64>,
}

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct JobLine {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The text.
    pub text: String,
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
pub struct JobFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// That stand here.
    pub state: Option<JobState>,
    /// Older than this one: the last id of the page before.
    pub before: Option<u64>,
    /// At most so many; at most 1,000.
    pub limit: u32,
}

/// Durable queues with leases, retries and dead letters. Provided by the kernel.
///
/// A job runs at least once. A worker that does not renew its lease loses it, and another one takes the
/// job; what runs when the node stops is begun again at the next start.
#[service("fazt.jobs", 1)]
pub trait Jobs {
    /// Queues a job under the caller's app; durable when it returns. Returns its id, or that of the
    /// job with the same unique key that waits or runs.
    ///
    /// # Errors
    /// `Full` past the app's bound on waiting jobs or daemons; `TooLarge`; `NotFound` for an app that is
    /// gone.
    async fn enqueue(&self, call: &Call, job: &NewJob) -> Result<u64>;
    /// Takes at most `limit` jobs of `kind` for the length of `lease`, of each app in turn; waits up to
    /// `wait` for the first.
    async fn lease(
        &self,
        call: &Call,
        kind: &str,
        limit: u32,
        lease: Duration,
        wait: Duration,
    ) -> Result<Vec<LeasedJob>>;
    /// Holds a job for the length of `length` from now. Answers whether it is to stop: somebody
    /// cancelled it.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `Timeout` when the attempt has had its time: stop the work.
    async fn renew(&self, call: &Call, id: u64, lease: u64, length: Duration) -> Result<bool>;
    /// Notes how far a job is, and what it says; at most the last 200 lines are kept.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn report(
        &self,
        call: &Call,
        id: u64,
        lease: u64,
        percent: Option<u32>,
        lines: &[String],
    ) -> Result<()>;
    /// Keeps `state`, at most 1 MiB, for the next attempt. Durable.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `TooLarge`.
    async fn checkpoint(&self, call: &Call, id: u64, lease: u64, state: &[u8]) -> Result<()>;
    /// The job is done; `result` is at most 64 KiB.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `TooLarge`.
    async fn complete(&self, call: &Call, id: u64, lease: u64, result: &[u8]) -> Result<()>;
    /// The attempt failed. The job waits for a growing time and is tried again, unless it had its
    /// attempts, `retry` says that it makes no sense, or it was cancelled.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn fail(&self, call: &Call, id: u64, lease: u64, why: &str, retry: bool) -> Result<()>;
    /// Gives a job back as if it had not been taken, for a worker that has to stop.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn release(&self, call: &Call, id: u64, lease: u64) -> Result<()>;
    /// Takes a job out of the queue; one that runs is told when its lease is renewed.
    ///
    /// # Errors
    /// `NotFound` when it is gone, `Conflict` when it is finished.
    async fn cancel(&self, call: &Call, id: u64) -> Result<()>;
    /// Begins a dead or cancelled job anew, with all its attempts.
    ///
    /// # Errors
    /// `NotFound` when it is gone, `Conflict` when it is neither.
    async fn retry(&self, call: &Call, id: u64) -> Result<()>;
    /// One job; of the caller's app only, when the call is for one.
    async fn get(&self, call: &Call, id: u64) -> Result<Option<Job>>;
    /// Jobs, the newest first; of the caller's app only, when the call is for one.
    async fn list(&self, call: &Call, filter: &JobFilter) -> Result<Vec<Job>>;
    /// What a job said.
    async fn lines(&self, call: &Call, id: u64) -> Result<Vec<JobLine>>;
    /// Waits until a job is finished, up to `limit`, and returns it as it stands then.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    async fn wait(&self, call: &Call, id: u64, limit: Duration) -> Result<Job>;
}

/// What happens to moments that passed while the node did not run, or could not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One job for all of them.
    RunOnce,
    /// A job for each, the latest 100 of them.
    All,
}

/// When jobs are made.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct NewSchedule {
    /// Its name within the app, at most 64 bytes.
    pub name: String,
    /// Five fields (minute, hour, day of month, month, day of week; crontab(5)) or `@daily` and the
    /// like, in UTC.
    pub cron: String,
    /// What happens to moments that passed.
    pub missed: Missed,
    /// The kind of its jobs.
    pub kind: String,
    /// What their workers are given, at most 64 KiB.
    pub payload: Vec<u8>,
    /// Attempts of each.
    pub attempts_max: u32,
    /// How long one attempt may take; nothing for no bound.
    pub timeout: Option<Duration>,
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Schedule {
    /// Whose it is.
    pub app: Option<AppId>,
    /// Who made it.
    pub source: String,
    /// What it is.
    pub schedule: NewSchedule,
    /// Whether it makes no jobs for now.
    pub paused: bool,
    /// The next moments, in milliseconds since 1970; none when it is paused or never comes.
    pub next_ms: Vec<u64>,
    /// The latest moment that led to a job.
    pub last_at_ms: Option<u64>,
    /// That job, which may be gone.
    pub last_job: Option<u64>,
}

/// Schedules. Provided by the kernel. A schedule never has two jobs at a time unless it catches up
/// with [`Missed::All`]: while one waits or runs, the next moment passes.
#[service("fazt.schedules", 1)]
pub trait Schedules {
    /// Says what is wrong with a schedule; changes nothing.
    ///
    /// # Errors
    /// `Invalid` for a time or a name that is none.
    async fn check(&self, call: &Call, schedule: &NewSchedule) -> Result<()>;
    /// Makes or changes a schedule of the caller's app. Durable.
    ///
    /// # Errors
    /// `Invalid` for a time that is none, `Full` past the app's bound, `Conflict` for a name that another
    /// source uses.
    async fn put(&self, call: &Call, source: &str, schedule: &NewSchedule) -> Result<()>;
    /// Makes `all` the schedules of the caller's app from that source: adds, changes and removes; what
    /// did not change goes on as it was. Durable, all or nothing.
    ///
    /// # Errors
    /// As [`Self::put`].
    async fn replace(&self, call: &Call, source: &str, all: &[NewSchedule]) -> Result<()>;
    /// Removes a schedule of the caller's app. Durable.
    ///
    /// # Errors
    /// `NotFound`.
    async fn remove(&self, call: &Call, name: &str) -> Result<()>;
    /// Stops a schedule for now, or lets it go on from now. Durable.
    ///
    /// # Errors
    /// `NotFound`.
    async fn pause(&self, call: &Call, name: &str, paused: bool) -> Result<()>;
    /// Makes a job at once, whatever the time. Returns its id.
    ///
    /// # Errors
    /// `NotFound`.
    async fn run(&self, call: &Call, name: &str) -> Result<u64>;
    /// The schedules of the caller's app; all of them for a call of no app.
    async fn list(&self, call: &Call) -> Result<Vec<Schedule>>;
}
