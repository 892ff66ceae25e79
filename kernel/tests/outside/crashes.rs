//! A process that dies in the middle of jobs and schedules, again and again, and what is left then.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use fazt_kernel::{BootOptions, Kernel, Mode};
use fazt_sdk::services::Jobs as _;
use fazt_sdk::services::jobs::{JobFilter, JobState, Missed, NewJob};
use fazt_sdk::services::{JobsApi, Schedules as _, SchedulesApi};

use crate::child;
use crate::clerk::{CLERK, KIND, call, host, job, schedule};

/// How often the process dies.
const DEATHS: u64 = 6;

#[test]
fn a_process_that_is_killed_loses_no_job_and_does_none_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let (mut queued, mut done, mut begun) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for death in 0..DEATHS {
        let mut process =
            child::command_under("env", &[], &format!("work {}", path.display())).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Killed after some of what it says, each time elsewhere.
        let mut left = 40 + 37 * death;
        for line in lines {
            let Some(said) = line.unwrap().split_once('@').map(|(_, text)| text.to_owned()) else {
                continue;
            };
            let (what, id) = said.split_once(' ').unwrap();
            let id: u64 = id.parse().unwrap();
            match what {
                "queued" => assert!(queued.insert(id), "the id {id} twice"),
                "begun" => {
                    assert!(!done.contains(&id), "{id} was done before");
                    *begun.entry(id).or_insert(0) += 1;
                }
                "done" => assert!(done.insert(id), "{id} was done twice"),
                other => panic!("{other}"),
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let all = runtime.block_on(async {
        let kernel = boot(&path).await;
        let jobs = host("crash").service::<JobsApi>().unwrap();
        let filter = JobFilter { limit: 1_000, ..JobFilter::default() };
        let all = jobs.list(&call(None), &filter).await.unwrap();
        kernel.stop().await.unwrap();
        all
    });
    assert!(queued.len() > 50 && done.len() > 20, "{} {}", queued.len(), done.len());
    let there: BTreeMap<_, _> = all.iter().map(|job| (job.id, job)).collect();
    for id in &queued {
        assert!(there.contains_key(id), "the job {id} was acknowledged and is gone");
    }
    for id in &done {
        assert_eq!(there[id].state, JobState::Done, "{id}");
    }
    assert!(all.iter().all(|job| job.state != JobState::Running), "what ran is begun again");
    for (id, times) in begun {
        // What it began and did not say is at most one more.
        assert!(u64::from(there[&id].attempt) >= times, "{id}");
        assert!(u64::from(there[&id].attempt) <= DEATHS + 1, "{id}");
    }
    // Each moment of the schedule led to one job.
    let mut moments: Vec<_> =
        all.iter().filter(|job| job.schedule.is_some()).map(|job| job.run_at_ms).collect();
    let count = moments.len();
    moments.sort_unstable();
    moments.dedup();
    assert_eq!(moments.len(), count);
}

async fn boot(path: &Path) -> Kernel {
    let mut options = BootOptions::new(path, Mode::Serve, vec![CLERK]);
    options.create = true;
    options.settings = [
        ("clerk.desk", "crash"),
        ("jobs.finished_per_app", "100000"),
        ("jobs.waiting_per_app", "100000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    Kernel::boot(options).await.unwrap()
}

/// Queues and works until it is killed.
pub(crate) fn work(path: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let _kernel = boot(Path::new(path)).await;
        let (jobs, system) = (host("crash").service::<JobsApi>().unwrap(), call(None));
        let schedules = host("crash").service::<SchedulesApi>().unwrap();
        schedules.put(&system, "test", &schedule("tick", "* * * * *", Missed::All)).await.unwrap();
        let short = Duration::from_millis(1);
        loop {
            for _ in 0..4 {
                let new = NewJob { attempts_max: 100, backoff: short, ..job("work") };
                let id = jobs.enqueue(&system, &new).await.unwrap();
                child::tell(&format!("queued {id}"));
            }
            let taken = jobs.lease(&system, KIND, 3, Duration::from_secs(60), Duration::ZERO);
            for taken in taken.await.unwrap() {
                if taken.schedule.is_some() {
                    continue;
                }
                child::tell(&format!("begun {}", taken.id));
                jobs.complete(&system, taken.id, taken.lease, b"").await.unwrap();
                child::tell(&format!("done {}", taken.id));
            }
        }
    });
}
