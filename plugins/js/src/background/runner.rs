//! Takes the jobs of apps from the kernel's queue and gives each a seat.
//!
//! As many jobs are taken as there are seats. A seat that just became free keeps its cell for a moment:
//! the next job of the same app is handed to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{APP_JOB, APP_SCHEDULED, LeasedJob};
use fazt_sdk::services::{Jobs as _, JobsApi, SchedulesApi};
use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt as _;
use futures_util::lock::Mutex as AsyncMutex;

use super::job::{Nudge, Running};
use super::seat;
use crate::cells::pool::Pool;
use crate::code::Codes;

/// Jobs that run at a time, of each kind; fewer where the memory allows fewer cells.
const SEATS_MAX: usize = 20;

/// How long a job is held without a word; it is renewed much earlier.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long the queue is asked to wait for a job.
const WAIT: Duration = Duration::from_secs(60);

/// A pause after an answer without a job: the queue answers at once when the node stops.
const PAUSE: Duration = Duration::from_millis(50);

/// What a job is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `fazt.worker.spawn`.
    Job,
    /// A schedule.
    Scheduled,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Job => APP_JOB,
            Self::Scheduled => APP_SCHEDULED,
        }
    }
}

/// All jobs that run here.
pub(crate) struct Runner {
    pub(super) host: Host,
    pub(super) jobs: Service<JobsApi>,
    pub(super) schedules: Service<SchedulesApi>,
    pub(super) codes: Arc<Codes>,
    pub(super) pool: Arc<Pool>,
    /// By the number of the request that each of them is.
    running: Mutex<HashMap<u64, Arc<Running>>>,
    /// Cells that wait for another job, at most [`SEATS_MAX`].
    idle: Mutex<Vec<(AppId, oneshot::Sender<Work>)>>,
    /// Free seats, by kind.
    free: [Seats; 2],
}

/// The free seats of one kind. Each is a token that comes back.
struct Seats {
    give: mpsc::UnboundedSender<()>,
    take: AsyncMutex<mpsc::UnboundedReceiver<()>>,
}

/// A seat; free again when this is dropped.
pub(super) struct Seat(mpsc::UnboundedSender<()>);

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.0.unbounded_send(()));
    }
}

/// A job that was taken.
pub(super) struct Work {
    pub(super) kind: Kind,
    pub(super) job: LeasedJob,
    pub(super) app: AppId,
    /// In the app's name, without rights.
    pub(super) call: Call,
    /// When the attempt has to be over, by the clock that never goes back.
    pub(super) ends: Option<Duration>,
    /// Free again as soon as the attempt is over: the cell may wait for longer.
    pub(super) seat: Option<Seat>,
}

impl Seats {
    fn new(count: usize) -> Self {
        let (give, take) = mpsc::unbounded();
        for _ in 0..count {
            drop(give.unbounded_send(()));
        }
        Self { give, take: AsyncMutex::new(take) }
    }

    /// Waits for a free seat; takes all that are free then.
    async fn take(&self) -> Vec<Seat> {
        let mut free = self.take.lock().await;
        let mut taken = Vec::new();
        if free.next().await.is_some() {
            taken.push(Seat(self.give.clone()));
        }
        while let Ok(()) = free.try_recv() {
            taken.push(Seat(self.give.clone()));
        }
        taken
    }
}

impl Runner {
    pub(crate) fn new(
        host: Host,
        jobs: Service<JobsApi>,
        schedules: Service<SchedulesApi>,
        codes: Arc<Codes>,
        pool: Arc<Pool>,
    ) -> Arc<Self> {
        let seats = SEATS_MAX.min(pool.around.limits.cells_node);
        let free = [Seats::new(seats), Seats::new(seats)];
        let (running, idle) = (Mutex::default(), Mutex::default());
        Arc::new(Self { host, jobs, schedules, codes, pool, running, idle, free })
    }

    fn running<T>(&self, work: impl FnOnce(&mut HashMap<u64, Arc<Running>>) -> T) -> T {
        work(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn idle<T>(&self, work: impl FnOnce(&mut Vec<(AppId, oneshot::Sender<Work>)>) -> T) -> T {
        work(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts taking jobs.
    ///
    /// # Errors
    /// When the host has too many tasks.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        for (name, kind) in [("jobs", Kind::Job), ("scheduled", Kind::Scheduled)] {
            let runner = Arc::clone(self);
            self.host.tasks().spawn(name, move || {
                let runner = Arc::clone(&runner);
                async move { runner.take(kind).await }
            })?;
        }
        Ok(())
    }

    async fn take(self: &Arc<Self>, kind: Kind) -> Result<()> {
        let call = self.host.call();
        loop {
            let mut seats = self.free[kind as usize].take().await;
            let most = u32::try_from(seats.len()).unwrap_or(u32::MAX);
            let jobs = self.jobs.lease(&call, kind.name(), most, LEASE, WAIT).await?;
            if jobs.is_empty() {
                self.host.clock().sleep(PAUSE).await;
            }
            for job in jobs {
                let Some(seat) = seats.pop() else { break };
                self.seat(kind, job, seat).await?;
            }
        }
    }

    async fn seat(self: &Arc<Self>, kind: Kind, job: LeasedJob, seat: Seat) -> Result<()> {
        let (id, lease, call) = (job.id, job.lease, self.host.call());
        let Some(app) = job.app else {
            let why = "it belongs to no app, and the code that it names does neither";
            return self.jobs.fail(&call, id, lease, why, false).await;
        };
        let call = call.for_app(app).without_rights();
        let now = self.host.clock().monotonic();
        let ends = job.timeout.map(|time| now + shortened(time));
        let work = Work { kind, job, app, call, ends, seat: Some(seat) };
        let Some(work) = self.hand_over(work) else { return Ok(()) };
        let (runner, work) = (Arc::clone(self), Mutex::new(Some(work)));
        let spawned = self.host.tasks().spawn(&format!("job.{id}.{lease}"), move || {
            let runner = Arc::clone(&runner);
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                if let Some(work) = work {
                    seat::occupy(&runner, work).await;
                }
                Ok(())
            }
        });
        match spawned {
            Ok(()) => Ok(()),
            Err(_) => self.jobs.release(&call, id, lease).await,
        }
    }

    /// Gives a job to a seat of its app that waits for one; answers the job when there is none.
    fn hand_over(&self, mut work: Work) -> Option<Work> {
        loop {
            let app = work.app;
            let found = self.idle(|idle| {
                idle.retain(|(_, seat)| !seat.is_canceled());
                let at = idle.iter().position(|(of, _)| *of == app)?;
                Some(idle.swap_remove(at).1)
            });
            let Some(seat) = found else { return Some(work) };
            match seat.send(work) {
                Ok(()) => return None,
                Err(back) => work = back,
            }
        }
    }

    /// The next job of `app`, for a cell that waits for it; nothing when enough of them wait.
    pub(super) fn wait_for_more(&self, app: AppId) -> Option<oneshot::Receiver<Work>> {
        let (give, more) = oneshot::channel();
        self.idle(|idle| {
            idle.retain(|(_, seat)| !seat.is_canceled());
            let has_room = idle.len() < SEATS_MAX;
            if has_room {
                idle.push((app, give));
            }
            has_room
        })
        .then_some(more)
    }

    pub(super) fn begin(&self, work: &Work, running: &Arc<Running>) {
        let number = work.call.request_id().number();
        self.running(|all| all.insert(number, Arc::clone(running)));
    }

    pub(super) fn end(&self, work: &Work) {
        self.running(|all| all.remove(&work.call.request_id().number()));
    }

    /// The job that makes this call.
    ///
    /// # Errors
    /// `Invalid` when no job does.
    pub(super) fn current(&self, call: &Call) -> Result<Arc<Running>> {
        let found = self.running(|all| all.get(&call.request_id().number()).cloned());
        found
            .filter(|running| Some(running.app) == call.app())
            .ok_or_else(|| Error::invalid("only a job that runs speaks of itself"))
    }

    /// Tells a job that runs here that it is to stop.
    pub(super) fn interrupt(&self, id: u64) {
        let found = self.running(|all| all.values().find(|running| running.id == id).cloned());
        if let Some(running) = found {
            running.nudge(Nudge::Cancel);
        }
    }

    /// Ends the jobs of an app that is gone.
    pub(crate) fn abandon(&self, app: AppId) {
        let of_app = |all: &mut HashMap<u64, Arc<Running>>| -> Vec<_> {
            all.values().filter(|running| running.app == app).cloned().collect()
        };
        for running in self.running(of_app) {
            running.nudge(Nudge::Abandon);
        }
    }

    /// Gives back what still runs: its cells are gone. For the end of the plugin.
    pub(crate) async fn give_back(&self) {
        let left: Vec<_> = self.running(|all| all.drain().map(|(_, running)| running).collect());
        let call = self.host.call();
        for running in left {
            let (percent, lines) = running.take();
            if percent.is_some() || !lines.is_empty() {
                let said = self.jobs.report(&call, running.id, running.lease, percent, &lines);
                drop(said.await);
            }
            // Whoever holds no lease any more has nothing to give back.
            drop(self.jobs.release(&call, running.id, running.lease).await);
        }
    }
}

/// The time of an attempt, a little less than the queue's own: it ends here first.
fn shortened(time: Duration) -> Duration {
    time - (time / 10).min(Duration::from_millis(100))
}
