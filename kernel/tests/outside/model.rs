//! Jobs against a model: whatever workers, clocks and owners do, no job is lost, none has two holders,
//! and what was done stays done.

use std::collections::HashMap;
use std::time::Duration;

use fazt_sdk::services::Jobs as _;
use fazt_sdk::services::jobs::{JobState, LeasedJob, NewJob};
use proptest::prelude::*;

use crate::clerk::{Desk, KIND, call, desk, job};

#[derive(Debug, Clone)]
enum Step {
    Enqueue { shop: bool, key: Option<u8>, attempts: u32, delay_s: u64 },
    Take { limit: u32, seconds: u64 },
    Complete(usize),
    Fail(usize),
    Renew(usize),
    Release(usize),
    Cancel(usize),
    Pass { seconds: u64 },
    Turn { hours: i64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64_usize;
    prop_oneof![
        6 => (any::<bool>(), proptest::option::of(0..3_u8), 1..4_u32, 0..20_u64)
            .prop_map(|(shop, key, attempts, delay_s)| Step::Enqueue { shop, key, attempts, delay_s }),
        6 => (1..8_u32, 1..120_u64).prop_map(|(limit, seconds)| Step::Take { limit, seconds }),
        4 => which.clone().prop_map(Step::Complete),
        4 => which.clone().prop_map(Step::Fail),
        2 => which.clone().prop_map(Step::Renew),
        1 => which.clone().prop_map(Step::Release),
        1 => which.prop_map(Step::Cancel),
        4 => (1..90_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (-50..50_i64).prop_map(|hours| Step::Turn { hours }),
        1 => Just(Step::Restart),
    ]
}

/// What the test knows.
#[derive(Default)]
struct Model {
    /// Jobs, with the attempts that they have.
    jobs: Vec<(u64, u32)>,
    /// Leases that may still be good, until this moment of the clock that never goes back.
    held: HashMap<u64, (LeasedJob, Duration)>,
    /// Leases that were given at any time.
    leases: Vec<LeasedJob>,
    done: Vec<u64>,
}

async fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut desk = desk(&[]).await;
    let mut model = Model::default();
    for step in steps {
        apply(&mut desk, &mut model, step).await?;
    }
    drain(&desk, &mut model).await
}

fn now(desk: &Desk) -> Duration {
    fazt_testkit::Clock::monotonic(&*desk.clock)
}

async fn apply(desk: &mut Desk, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    let system = call(None);
    let lease = |at: usize| (!model.leases.is_empty()).then(|| at % model.leases.len());
    match step {
        Step::Enqueue { shop, key, attempts, delay_s } => {
            let app = if shop { desk.shop } else { desk.blog };
            let run_at_ms = Some(desk.host().clock().unix_ms() + delay_s * 1_000);
            let unique_key = key.map(|key| format!("{shop} {key}"));
            let new =
                NewJob { unique_key, attempts_max: attempts, run_at_ms, timeout: None, ..job("") };
            let id = desk.jobs().enqueue(&call(Some(app)), &new).await.unwrap();
            if model.jobs.iter().all(|(known, _)| *known != id) {
                model.jobs.push((id, attempts));
            } else {
                prop_assert!(!model.done.contains(&id), "a finished job holds its key");
            }
        }
        Step::Take { limit, seconds } => {
            let (length, before) = (Duration::from_secs(seconds), now(desk));
            for taken in desk.take_for(limit, length).await {
                let known = model.jobs.iter().find(|(id, _)| *id == taken.id);
                let Some((_, attempts)) = known else {
                    return Err(TestCaseError::fail("a job that nobody queued"));
                };
                // The end of the node cuts an attempt off that is not the last by that alone.
                prop_assert!(taken.attempt <= (*attempts).max(3), "{:?}", taken);
                prop_assert!(!model.done.contains(&taken.id), "done before: {:?}", taken);
                if let Some((other, until)) = model.held.get(&taken.id) {
                    prop_assert!(*until <= now(desk), "two holders: {:?} {:?}", other, taken);
                }
                let same = |lease: &LeasedJob| (lease.id, lease.lease) == (taken.id, taken.lease);
                prop_assert!(!model.leases.iter().any(same), "the same lease twice: {:?}", taken);
                model.held.insert(taken.id, (taken.clone(), before + length));
                model.leases.push(taken);
            }
        }
        Step::Complete(at) => {
            if let Some(at) = lease(at) {
                let lease = model.leases[at].clone();
                let done = desk.jobs().complete(&system, lease.id, lease.lease, b"").await.is_ok();
                ended(desk, model, &lease, done)?;
                if done {
                    model.done.push(lease.id);
                }
            }
        }
        Step::Fail(at) => {
            if let Some(at) = lease(at) {
                let lease = model.leases[at].clone();
                let failed = desk.jobs().fail(&system, lease.id, lease.lease, "", true).await;
                ended(desk, model, &lease, failed.is_ok())?;
            }
        }
        Step::Release(at) => {
            if let Some(at) = lease(at) {
                let lease = model.leases[at].clone();
                let released = desk.jobs().release(&system, lease.id, lease.lease).await;
                ended(desk, model, &lease, released.is_ok())?;
            }
        }
        Step::Renew(at) => {
            if let Some(at) = lease(at) {
                let lease = model.leases[at].clone();
                let (length, before) = (Duration::from_secs(60), now(desk));
                if desk.jobs().renew(&system, lease.id, lease.lease, length).await.is_ok() {
                    model.held.insert(lease.id, (lease, before + length));
                }
            }
        }
        Step::Cancel(at) => {
            if !model.jobs.is_empty() {
                let (id, _) = model.jobs[at % model.jobs.len()];
                if desk.jobs().cancel(&system, id).await.is_ok()
                    && desk.get(id).await.state == JobState::Cancelled
                {
                    model.done.push(id);
                }
            }
        }
        Step::Pass { seconds } => {
            desk.clock.skip(Duration::from_secs(seconds));
            desk.nudge().await;
        }
        Step::Turn { hours } => {
            desk.clock.turn(hours * 3_600_000);
            desk.nudge().await;
        }
        Step::Restart => {
            desk.node.restart().await.unwrap();
            model.held.clear();
        }
    }
    Ok(())
}

/// A holder was believed, or not: one whose lease is good is.
fn ended(
    desk: &Desk,
    model: &mut Model,
    lease: &LeasedJob,
    believed: bool,
) -> Result<(), TestCaseError> {
    let is_held = model.held.get(&lease.id).is_some_and(|(held, _)| held.lease == lease.lease);
    let is_good = is_held && model.held.get(&lease.id).is_some_and(|(_, until)| *until > now(desk));
    prop_assert!(believed || !is_good, "a good lease was refused: {:?}", lease);
    prop_assert!(!believed || is_held, "an old lease was believed: {:?}", lease);
    if believed {
        model.held.remove(&lease.id);
    }
    Ok(())
}

/// Works until nothing is left: each job ends, none is lost.
async fn drain(desk: &Desk, model: &mut Model) -> Result<(), TestCaseError> {
    for _ in 0..200 {
        desk.clock.turn(100 * 3_600_000);
        desk.clock.skip(Duration::from_secs(4_000));
        desk.nudge().await;
        for taken in desk.take_for(100, Duration::from_secs(60)).await {
            desk.jobs().complete(&call(None), taken.id, taken.lease, b"").await.unwrap();
        }
        let all = desk.all().await;
        let left = all.iter().filter(|job| job.kind == KIND && job.finished_at_ms.is_none());
        if left.count() == 0 {
            break;
        }
    }
    let all = desk.all().await;
    for (id, _) in &model.jobs {
        let job = all.iter().find(|job| job.id == *id);
        let Some(job) = job else { return Err(TestCaseError::fail(format!("job {id} is lost"))) };
        prop_assert!(job.finished_at_ms.is_some(), "{:?}", job);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_job_is_lost_and_none_has_two_holders(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(play(steps))?;
    }
}
