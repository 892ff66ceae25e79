//! What goes into the queue, and what is asked about it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::services::jobs::{Job, JobFilter, JobLine, JobState, NewJob};
use fazt_sdk::{AppId, Error, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::settings::Limits;
use super::{Jobs, SLEEP_MAX, State, no_such_job, store};
use crate::cartridge::{Owner, TxError, WriteTx};

impl Jobs {
    /// Queues a job. Durable.
    ///
    /// # Errors
    /// As `fazt.jobs/1` says.
    pub(super) async fn enqueue(
        &self,
        app: Option<AppId>,
        job: NewJob,
        limits: Limits,
    ) -> Result<u64> {
        check(&job)?;
        let (state, key) = (Arc::clone(&self.state), store::key(app));
        self.write(app, move |tx| {
            if let Some(key_of_job) = &job.unique_key
                && let Some(id) = store::same(tx, &key, &job.kind, key_of_job)?
            {
                return Ok(Ok(id));
            }
            if !store::has_app(tx, &key)? {
                return Ok(Err(Error::not_found(format!("there is no app {key}"))));
            }
            let (open, daemons) = store::open(tx, &key)?;
            if let Err(error) = room(&job, open, daemons, limits) {
                return Ok(Err(error));
            }
            let id = insert(tx, &key, &job, None)?;
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.jobs_changed()));
            Ok(Ok(id))
        })
        .await
    }

    /// Takes a job out, or asks the one that runs to stop. Durable.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is finished.
    pub(crate) async fn cancel(&self, app: Option<AppId>, id: u64) -> Result<JobState> {
        let state = Arc::clone(&self.state);
        self.write(app, move |tx| {
            let Some(standing) = visible(tx, app, id)? else { return Ok(Err(no_such_job(id))) };
            let became = match standing.state {
                JobState::Waiting => {
                    let waited = Arc::clone(&state);
                    tx.on_commit(Box::new(move || waited.job_ended(id)));
                    store::finish(tx, id, JobState::Cancelled, None, None)?;
                    JobState::Cancelled
                }
                JobState::Running => {
                    store::ask_to_stop(tx, id)?;
                    JobState::Running
                }
                JobState::Done | JobState::Dead | JobState::Cancelled => {
                    return Ok(Err(Error::conflict(format!(
                        "the job {id} is {} already",
                        store::state_name(standing.state)
                    ))
                    .with_code("JOB_FINISHED")));
                }
            };
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.jobs_changed()));
            Ok(Ok(became))
        })
        .await
    }

    /// Begins a dead or cancelled job anew. Durable.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is neither, or when another job has its key by now.
    pub(crate) async fn retry(&self, app: Option<AppId>, id: u64) -> Result<()> {
        let state = Arc::clone(&self.state);
        self.write(app, move |tx| {
            let Some(standing) = visible(tx, app, id)? else { return Ok(Err(no_such_job(id))) };
            if !matches!(standing.state, JobState::Dead | JobState::Cancelled) {
                return Ok(Err(Error::conflict(format!(
                    "the job {id} is {}; only dead and cancelled jobs begin anew",
                    store::state_name(standing.state)
                ))
                .with_code("JOB_NOT_DEAD")));
            }
            let job = store::get(&tx.reader(), None, id)?;
            if let Some(Job { kind, unique_key: Some(key), .. }) = job
                && let Some(other) = store::same(tx, &standing.app, &kind, &key)?
            {
                return Ok(Err(Error::conflict(format!(
                    "the job {other} has the key of the job {id} and waits or runs"
                ))
                .with_code("JOB_KEY_TAKEN")));
            }
            let now_ms = store::unsigned(tx.now_ms());
            store::put_back(tx, id, now_ms, 0, None)?;
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.jobs_changed()));
            Ok(Ok(()))
        })
        .await
    }

    /// One job.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn get(&self, app: Option<AppId>, id: u64) -> Result<Option<Job>> {
        let key = app.map(|app| store::key(Some(app)));
        self.look(move |reader| store::get(reader, key.as_deref(), id)).await
    }

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn list(&self, app: Option<AppId>, filter: JobFilter) -> Result<Vec<Job>> {
        let key = app.map(|app| store::key(Some(app)));
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let found = self.cartridge.scan_value(&Owner::kernel(), move |reader| {
            store::list(reader, key.as_deref(), &filter, limit)
        });
        Ok(found.await?)
    }

    /// What a job said.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn lines(&self, app: Option<AppId>, id: u64) -> Result<Vec<JobLine>> {
        if self.get(app, id).await?.is_none() {
            return Err(no_such_job(id));
        }
        self.look(move |reader| store::lines(reader, id)).await
    }

    /// How many jobs an app has, and the bytes that they keep.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn usage(&self, app: AppId) -> Result<(u64, u64)> {
        let key = store::key(Some(app));
        let found =
            self.cartridge.scan_value(&Owner::kernel(), move |reader| store::usage(reader, &key));
        Ok(found.await?)
    }

    /// Waits until a job is finished, up to `limit`.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) async fn wait(&self, app: Option<AppId>, id: u64, limit: Duration) -> Result<Job> {
        let end = Instant::now() + limit.min(WAIT_MAX);
        let waiting = Waiting::new(&self.state, id);
        loop {
            // From before the look on, so that nothing is missed between the two.
            let mut ended = pin!(waiting.ended.notified());
            ended.as_mut().enable();
            let job = self.get(app, id).await?.ok_or_else(|| no_such_job(id))?;
            if job.finished_at_ms.is_some() || Instant::now() >= end {
                return Ok(job);
            }
            if self.is_closing() {
                return Err(Error::unavailable("the node is stopping"));
            }
            let pause = end.min(Instant::now() + SLEEP_MAX);
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep_until(pause) => {}
            }
        }
    }
}

/// Somebody who waits for the end of a job. One notice for all who wait for the same one.
struct Waiting<'s> {
    state: &'s State,
    id: u64,
    ended: Arc<Notify>,
}

impl<'s> Waiting<'s> {
    fn new(state: &'s State, id: u64) -> Self {
        let ended = Arc::clone(state.waited_for().entry(id).or_default());
        Self { state, id, ended }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.state.waited_for();
        // The map's own and this one: nobody else waits.
        if Arc::strong_count(&self.ended) <= 2 {
            all.remove(&self.id);
        }
    }
}

/// A job that a call of `app` may see.
fn visible(
    tx: &WriteTx<'_>,
    app: Option<AppId>,
    id: u64,
) -> Result<Option<store::Standing>, TxError> {
    let found = store::standing(tx, id)?;
    Ok(found.filter(|job| app.is_none() || job.app == store::key(app)))
}

/// Adds a job in the caller's write; it was checked.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    app: &str,
    job: &NewJob,
    schedule: Option<&str>,
) -> Result<u64, TxError> {
    store::insert(tx, app, job, schedule)
}

/// Whether a job can be one at all.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(job: &NewJob) -> Result<()> {
    let is_name = |text: &str, most: usize| !text.is_empty() && text.len() <= most;
    if !is_name(&job.kind, KIND_BYTES_MAX) {
        return Err(Error::invalid(format!("a job's kind has 1 to {KIND_BYTES_MAX} bytes")));
    }
    if let Some(key) = &job.unique_key
        && !is_name(key, UNIQUE_KEY_BYTES_MAX)
    {
        return Err(Error::invalid(format!("a unique key has 1 to {UNIQUE_KEY_BYTES_MAX} bytes")));
    }
    if job.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::too_large(format!(
            "a job's payload has at most {PAYLOAD_BYTES_MAX} bytes, and this one has {}; keep the rest elsewhere and name it",
            job.payload.len()
        ))
        .with_code("JOB_TOO_LARGE"));
    }
    if job.attempts_max == 0 || job.attempts_max > ATTEMPTS_MAX {
        return Err(Error::invalid(format!("a job has 1 to {ATTEMPTS_MAX} attempts")));
    }
    if job.priority > PRIORITY_MAX {
        return Err(Error::invalid(format!("a priority is at most {PRIORITY_MAX}")));
    }
    Ok(())
}

/// Whether the app has room for one more.
fn room(job: &NewJob, open: u64, daemons: u64, limits: Limits) -> Result<()> {
    if open >= limits.waiting_per_app {
        return Err(Error::full(format!(
            "{open} jobs of this app wait or run, which is the most; `jobs.waiting_per_app` is the bound"
        ))
        .with_code("QUEUE_FULL"));
    }
    if job.daemon && daemons >= limits.daemons_per_app {
        return Err(Error::full(format!(
            "max daemons ({}) reached: this app has {daemons}; `jobs.daemons_per_app` is the bound",
            limits.daemons_per_app
        ))
        .with_code("TOO_MANY_DAEMONS"));
    }
    Ok(())
}

const KIND_BYTES_MAX: usize = 64;
const UNIQUE_KEY_BYTES_MAX: usize = 256;
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const ATTEMPTS_MAX: u32 = 1_000;
const PRIORITY_MAX: u32 = 200;

/// The most jobs of one page.
const PAGE_MAX: u32 = 1_000;

/// The longest wait for a job.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
