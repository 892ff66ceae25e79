//! Durable jobs and schedules: work that outlives a request and a restart.
//!
//! A job is a row. Who runs it holds a lease: in memory, by the clock that never goes back, because the
//! one process that has the cartridge open also has the workers, and a lease of an earlier process means
//! nothing. So setting the machine's clock ends no lease, and what ran when the node died is begun again
//! at its next start. Nothing here polls: workers wait for a change or for the moment that the next job
//! is due.

mod backoff;
pub(crate) mod cron;
mod lease;
mod queue;
pub(crate) mod schedules;
mod service;
pub(crate) mod settings;
pub(crate) mod store;
mod wanted;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fazt_sdk::{Error, Result};
use tokio::sync::{Notify, watch};

use crate::cartridge::{Cartridge, CartridgeError, Owner, Reader, TxError, WriteTx};
use crate::core::Core;

pub(crate) use service::{JobsService, SchedulesService};
pub(crate) use settings::settings;

/// The leases of a node, and who waits for a change.
#[derive(Debug)]
pub(crate) struct Jobs {
    cartridge: Cartridge,
    /// Also captured by commit hooks, which run on the writer's thread.
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Of the jobs that run.
    leases: Mutex<HashMap<u64, Lease>>,
    /// Grows when a job was queued, became free or ended.
    jobs: watch::Sender<u64>,
    /// Grows when a schedule changed.
    schedules: watch::Sender<u64>,
    /// The app that was served last, by kind.
    turns: Mutex<HashMap<String, String>>,
    /// Who waits for the end of a job, by its id.
    waited_for: Mutex<HashMap<u64, Arc<Notify>>>,
    /// All plugins that are to run do: from now on jobs are handed out.
    open: AtomicBool,
    /// The node stops: nobody waits any more, and nothing is handed out.
    closing: AtomicBool,
}

/// A job that a worker holds. Times are those of the clock that never goes back.
#[derive(Debug, Clone, Copy)]
struct Lease {
    number: u64,
    until: Duration,
    /// When the attempt has had its time.
    ends: Option<Duration>,
}

impl State {
    fn leases(&self) -> MutexGuard<'_, HashMap<u64, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waited_for(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for the end of this job: it may have come.
    fn job_ended(&self, id: u64) {
        if let Some(waiting) = self.waited_for().get(&id) {
            waiting.notify_waiters();
        }
    }

    /// Wakes everybody who waits for jobs.
    fn jobs_changed(&self) {
        self.jobs.send_modify(|number| *number += 1);
    }
}

impl Jobs {
    pub(crate) fn new(cartridge: &Cartridge) -> Self {
        let state = State {
            leases: Mutex::default(),
            jobs: watch::Sender::new(0),
            schedules: watch::Sender::new(0),
            turns: Mutex::default(),
            waited_for: Mutex::default(),
            open: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        };
        Self { cartridge: cartridge.clone(), state: Arc::new(state) }
    }

    /// Begins to hand out jobs. What runs an app's code would otherwise begin while the plugins that the
    /// code calls are still starting.
    pub(crate) fn open(&self) {
        self.state.open.store(true, Ordering::Release);
        self.state.jobs_changed();
    }

    fn is_open(&self) -> bool {
        self.state.open.load(Ordering::Acquire) && !self.is_closing()
    }

    /// Ends all waiting, because the node stops: who waits for a job would keep it from stopping.
    pub(crate) fn close(&self) {
        self.state.closing.store(true, Ordering::Release);
        self.state.jobs_changed();
        self.state.waited_for().values().for_each(|waiting| waiting.notify_waiters());
    }

    fn is_closing(&self) -> bool {
        self.state.closing.load(Ordering::Acquire)
    }

    fn now(&self) -> Duration {
        self.cartridge.clock().monotonic()
    }

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64 {
        store::unsigned(self.cartridge.clock().unix_ms())
    }

    /// Reads a few rows: on this thread, since there may be as many who ask as there are requests, and
    /// elsewhere when that takes too long.
    async fn look<T: Send + 'static>(
        &self,
        read: impl Fn(&Reader<'_>) -> Result<T, TxError> + Send + Sync + 'static,
    ) -> Result<T> {
        match self.cartridge.read_value(&Owner::kernel(), &read) {
            Err(CartridgeError::TooLong { .. }) => {
                Ok(self.cartridge.scan_value(&Owner::kernel(), read).await?)
            }
            read => Ok(read?),
        }
    }

    /// Writes what `run` does; an `Err` inside undoes nothing, since whoever refuses wrote nothing.
    async fn write<T: Send + 'static>(
        &self,
        app: Option<fazt_sdk::AppId>,
        run: impl Fn(&WriteTx<'_>) -> Result<Result<T>, TxError> + Send + 'static,
    ) -> Result<T> {
        let app = app.map(|app| *app.key());
        self.cartridge.write_value(&Owner::kernel(), app, run).await?
    }
}

/// Begins again what ran when the node ended, and starts watching leases, schedules and the log.
///
/// # Errors
/// What the cartridge says; when the kernel has too many tasks.
pub(crate) async fn start(core: &Arc<Core>) -> Result<()> {
    if core.is_command() {
        return Ok(());
    }
    lease::recover(core).await?;
    wanted::start(core).await?;
    lease::start(core)?;
    schedules::start(core)
}

/// Removes what is kept for long enough. Part of the node's hourly round.
///
/// # Errors
/// What the cartridge says.
pub(crate) async fn prune(core: &Core, rows: u32) -> Result<()> {
    let limits = settings::Limits::of(core);
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let now_ms = core.jobs.wall_ms();
    let finished = now_ms.saturating_sub(ms(limits.keep_finished));
    let dead = now_ms.saturating_sub(ms(limits.keep_dead));
    loop {
        let pruned = core
            .jobs
            .write(None, move |tx| Ok(Ok(store::prune(tx, finished, dead, rows)?)))
            .await?;
        if pruned < u64::from(rows) {
            return Ok(());
        }
    }
}

/// There is no such job, or it is another app's.
fn no_such_job(id: u64) -> Error {
    Error::not_found(format!("there is no job {id}; `fazt job list` shows those that are there"))
        .with_code("NO_SUCH_JOB")
}

/// How long anybody sleeps at most before looking at the clock again: somebody may have set it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use fazt_sdk::services::jobs::{JobState, NewJob};

    use super::*;
    use crate::cartridge::{Mode, Options};
    use crate::clock::{Clock, ManualClock};

    #[tokio::test]
    async fn finished_jobs_are_kept_for_a_while_and_dead_ones_for_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.db");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_000_000));
        Cartridge::create(&path, &clock).unwrap();
        let options = Options { clock, ..Options::default() };
        let jobs = Jobs::new(&Cartridge::open(&path, Mode::Serve, options).unwrap());
        let ids = jobs.write(None, |tx| {
            let mut ids = Vec::new();
            for state in
                [None, Some(JobState::Done), Some(JobState::Dead), Some(JobState::Cancelled)]
            {
                let id = store::insert(tx, "-", &NewJob::new("test", vec![]), None)?;
                if let Some(state) = state {
                    store::finish(tx, id, state, None, None)?;
                }
                ids.push(id);
            }
            Ok(Ok(ids))
        });
        let ids = ids.await.unwrap();
        for (finished_before, dead_before, left) in [
            (1_000_000, 1_000_000, vec![0, 1, 2, 3]),
            (1_000_001, 1_000_000, vec![0, 2]),
            (1_000_001, 1_000_001, vec![0]),
        ] {
            let prune = jobs.write(None, move |tx| {
                Ok(Ok(store::prune(tx, finished_before, dead_before, 100)?))
            });
            prune.await.unwrap();
            let mut there = Vec::new();
            for (at, id) in ids.iter().enumerate() {
                if jobs.get(None, *id).await.unwrap().is_some() {
                    there.push(at);
                }
            }
            assert_eq!(there, left);
        }
        jobs.cartridge.close().await.unwrap();
    }
}
