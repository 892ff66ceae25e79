//! A node that is killed again and again while apps spawn jobs and jobs run.
//!
//! `NODE_JOB_KILLS` sets how often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use fazt_tests::{Home, Launch, Node, Random, Request, setting, until};
use serde_json::{Value, json};

/// Connections that spawn jobs.
const SPAWNERS: usize = 4;

const SPAWNS: &str = "export default { async fetch(request) {
    const job = await fazt.worker.spawn('jobs/steps.js', {
        data: await request.json(), maxAttempts: 50, retryDelay: 5,
    });
    return Response.json({ id: job.id });
} }";

/// Three steps, each noted before it is checkpointed: one that was checkpointed is not done again.
const STEPS: &str = "export default async (job) => {
    let step = job.getCheckpoint() ?? 0;
    const began = step;
    for (; step < 3; step++) {
        await fazt.app.kv.incr(`step:${job.id}:${step}`);
        job.checkpoint(step + 1);
        await new Promise((done) => setTimeout(done, 10));
    }
    return { n: job.data.n, began, attempt: job.attempt };
}";

fn all_jobs(node: &Node, key: &str) -> BTreeMap<u64, Value> {
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let path = format!("/api/jobs?app=work&limit=500{cursor}");
        let answer = node.ask(&Request::admin("GET", &path).key(key)).json();
        let page = answer["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
        all.extend(page.iter().map(|job| (job["id"].as_u64().unwrap(), job.clone())));
        match answer["meta"]["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Spawns jobs until the node is gone; the ids that were acknowledged.
fn spawn_until_it_dies(node: &Node, acknowledged: &Mutex<BTreeSet<u64>>, number: usize) {
    let mut client = node.client();
    for n in 0.. {
        let body = json!({ "n": number * 1_000_000 + n });
        let request = Request::new("POST", "work.localhost", "/api").json(&body);
        let Ok(answer) = client.send(&request) else { return };
        if let Some(id) = answer.json()["id"].as_str() {
            acknowledged.lock().unwrap().insert(id.parse().unwrap());
        } else if !answer.code().is_empty() {
            // Full, or without a cell for the moment.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn kill_9_loses_no_job_that_was_acknowledged_and_finishes_none_twice() {
    let kills = setting("NODE_JOB_KILLS", 5);
    let mut random = Random::new(u64::from(std::process::id()));
    let home = Home::new();
    let launch = Launch::new(&home.db())
        .set("jobs.running_per_app=20")
        .set("jobs.waiting_per_app=2000")
        .set("jobs.finished_per_app=100000");
    let mut node = launch.start();
    let key = node.key(&["read", "deploy", "admin"], None);
    let files = [("index.html", "x"), ("api/main.js", SPAWNS), ("jobs/steps.js", STEPS)];
    assert!(node.deploy("work", &files).is_success());
    let acknowledged = Mutex::new(BTreeSet::new());
    let mut finished: BTreeMap<u64, Value> = BTreeMap::new();
    let mut begun_again = 0;
    for _ in 0..kills {
        let lives = Duration::from_millis(300 + random.below(900));
        std::thread::scope(|scope| {
            for number in 0..SPAWNERS {
                let (node, acknowledged) = (&node, &acknowledged);
                scope.spawn(move || spawn_until_it_dies(node, acknowledged, number));
            }
            std::thread::sleep(lives);
            node.signal(rustix::process::Signal::KILL);
        });
        let said = node.kill_if_running();
        assert!(!said.contains("panicked"), "{said}");
        node = launch.start();
        look(&all_jobs(&node, &key), &acknowledged.lock().unwrap(), &mut finished);
    }
    until(Duration::from_secs(120), "all jobs end", || {
        std::thread::sleep(Duration::from_millis(200));
        let all = all_jobs(&node, &key);
        look(&all, &acknowledged.lock().unwrap(), &mut finished);
        finished.len() == all.len()
    });
    let all = all_jobs(&node, &key);
    for (id, job) in &all {
        assert_eq!(job["state"], "done", "{job}");
        let info = node.ask(&Request::admin("GET", &format!("/api/jobs/{id}")).key(&key)).json();
        let result = info["data"]["result"].as_str().unwrap_or_else(|| panic!("{info}"));
        let result: Value = serde_json::from_str(result).unwrap();
        let attempt = result["attempt"].as_u64().unwrap();
        assert_eq!(job["attempt"], attempt, "the result is the last attempt's");
        begun_again += u64::from(attempt > 1);
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    println!(
        "jobs: {kills} kills, {} acknowledged, {} in all, {begun_again} begun again, 0 lost, 0 twice",
        acknowledged.len(),
        all.len()
    );
    assert!(begun_again > 0, "no job was cut off");
    assert!(node.stop().success());
}

/// Nothing that was acknowledged is missing, and what is done stays as it is.
fn look(
    all: &BTreeMap<u64, Value>,
    acknowledged: &BTreeSet<u64>,
    finished: &mut BTreeMap<u64, Value>,
) {
    for id in acknowledged {
        assert!(all.contains_key(id), "the job {id} was acknowledged and is gone");
    }
    for (id, before) in &*finished {
        assert_eq!(Some(before), all.get(id), "the job {id} was done");
    }
    let done = all.iter().filter(|(_, job)| job["state"] == "done" || job["state"] == "dead");
    finished.extend(done.map(|(id, job)| (*id, job.clone())));
}
