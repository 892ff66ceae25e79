//! A plugin that hands its doors to the test: jobs, schedules, and the cartridge. And clocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use fazt_kernel::clock::SystemClock;
use fazt_sdk::call::CallBuilder;
use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{Job, JobFilter, LeasedJob, Missed, NewJob, NewSchedule};
use fazt_sdk::services::{Jobs as _, JobsApi, Schedules as _, SchedulesApi};
use fazt_testkit::{BuiltIn, Clock, TestKernel};

/// Hands over its host.
pub(crate) const CLERK: BuiltIn =
    BuiltIn { name: "clerk", root: fazt_sdk::export::root_of::<Clerk> };

/// The kind of all jobs of these tests.
pub(crate) const KIND: &str = "clerk.work";

/// Long enough for any test.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

static HOSTS: LazyLock<Mutex<HashMap<String, Host>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Clerk;

impl Plugin for Clerk {
    fn manifest(&self) -> Manifest {
        Manifest::new("clerk", "1.0.0")
            .about("Hands over its host")
            .requires::<JobsApi>()
            .requires::<SchedulesApi>()
            .setting(Setting::text("desk", "").doc("Under which name."))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let desk: String = host.setting("desk")?;
        HOSTS.lock().unwrap().insert(desk, host);
        Ok(Started::new())
    }
}

/// A clock of which the wall can be turned, and the other cannot; both can skip.
#[derive(Debug)]
pub(crate) struct TurnedClock {
    machine: SystemClock,
    turned_ms: AtomicI64,
    skipped_ms: AtomicU64,
}

impl TurnedClock {
    /// Sets the wall clock by so many milliseconds.
    pub(crate) fn turn(&self, ms: i64) {
        self.turned_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub(crate) fn skip(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.skipped_ms.fetch_add(ms, Ordering::SeqCst);
        self.turned_ms.fetch_add(i64::try_from(ms).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TurnedClock {
    fn unix_ms(&self) -> i64 {
        self.machine.unix_ms() + self.turned_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic() + Duration::from_millis(self.skipped_ms.load(Ordering::SeqCst))
    }
}

/// A node with two apps, and its doors.
pub(crate) struct Desk {
    pub(crate) node: TestKernel,
    pub(crate) clock: Arc<TurnedClock>,
    pub(crate) blog: AppId,
    pub(crate) shop: AppId,
    name: String,
}

static DESKS: AtomicU64 = AtomicU64::new(0);

/// A node with these settings.
pub(crate) async fn desk(settings: &[(&str, &str)]) -> Desk {
    let name = format!("desk {}", DESKS.fetch_add(1, Ordering::Relaxed));
    let machine = SystemClock::new();
    let clock =
        TurnedClock { machine, turned_ms: AtomicI64::new(0), skipped_ms: AtomicU64::new(0) };
    let clock = Arc::new(clock);
    let settings: Vec<_> = settings.iter().copied().chain([("clerk.desk", &*name)]).collect();
    let given: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let node = TestKernel::configured_at(vec![CLERK], Vec::new(), &settings, Some(given));
    let node = node.await.unwrap();
    let (blog, shop) = (node.app("blog").await.unwrap(), node.app("shop").await.unwrap());
    Desk { node, clock, blog, shop, name }
}

/// A call for that app, or for none.
pub(crate) fn call(app: Option<AppId>) -> Call {
    CallBuilder::new(Principal::System, 0).app(app).build()
}

/// A job of these tests.
pub(crate) fn job(payload: &str) -> NewJob {
    NewJob { backoff: Duration::from_secs(1), ..NewJob::new(KIND, payload.as_bytes().to_vec()) }
}

/// A schedule of these tests.
pub(crate) fn schedule(name: &str, cron: &str, missed: Missed) -> NewSchedule {
    NewSchedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        missed,
        kind: KIND.to_owned(),
        payload: name.as_bytes().to_vec(),
        attempts_max: 1,
        timeout: None,
    }
}

/// The host of the node of that name.
pub(crate) fn host(name: &str) -> Host {
    HOSTS.lock().unwrap()[name].clone()
}

impl Desk {
    pub(crate) fn host(&self) -> Host {
        host(&self.name)
    }

    pub(crate) fn jobs(&self) -> Service<JobsApi> {
        self.host().service::<JobsApi>().unwrap()
    }

    pub(crate) fn schedules(&self) -> Service<SchedulesApi> {
        self.host().service::<SchedulesApi>().unwrap()
    }

    /// Queues a job of the first app.
    pub(crate) async fn enqueue(&self, job: &NewJob) -> u64 {
        self.jobs().enqueue(&call(Some(self.blog)), job).await.unwrap()
    }

    /// Takes what is due now.
    pub(crate) async fn take(&self, limit: u32) -> Vec<LeasedJob> {
        self.take_for(limit, LONG).await
    }

    /// Takes what is due now, for so long.
    pub(crate) async fn take_for(&self, limit: u32, length: Duration) -> Vec<LeasedJob> {
        self.jobs().lease(&call(None), KIND, limit, length, Duration::ZERO).await.unwrap()
    }

    /// Takes the one job that is due.
    pub(crate) async fn take_one(&self) -> LeasedJob {
        let mut taken = self.take(100).await;
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken.remove(0)
    }

    pub(crate) async fn get(&self, id: u64) -> Job {
        self.jobs().get(&call(None), id).await.unwrap().unwrap()
    }

    /// All jobs, the newest first.
    pub(crate) async fn all(&self) -> Vec<Job> {
        let filter = JobFilter { limit: 1_000, ..JobFilter::default() };
        self.jobs().list(&call(None), &filter).await.unwrap()
    }

    /// Makes those who watch leases and schedules look at the clock.
    pub(crate) async fn nudge(&self) {
        let nudge = NewJob { run_at_ms: Some(u64::MAX / 4), ..NewJob::new("clerk.nudge", vec![]) };
        let id = self.jobs().enqueue(&call(None), &nudge).await.unwrap();
        self.jobs().cancel(&call(None), id).await.unwrap();
        let schedule = schedule("nudge", "0 0 29 2 *", Missed::Skip);
        self.schedules().put(&call(None), "test", &schedule).await.unwrap();
        self.schedules().remove(&call(None), "nudge").await.unwrap();
    }

    /// Waits until the job stands as `is` says.
    pub(crate) async fn until(&self, id: u64, is: impl Fn(&Job) -> bool) -> Job {
        let limit = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let job = self.get(id).await;
            if is(&job) {
                return job;
            }
            assert!(tokio::time::Instant::now() < limit, "it stays as it is: {job:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
