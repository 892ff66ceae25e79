//! Jobs: queued, taken, renewed, done, failed, cancelled.

use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_sdk::services::Jobs as _;
use fazt_sdk::services::jobs::{Job, JobState, JobWanted, NewJob};
use fazt_sdk::{Error, Result};
use serde_json::{Value, json};

use crate::clerk::{Desk, KIND, LONG, call, desk, job};

fn code<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().code().to_owned()
}

#[tokio::test]
async fn a_job_is_taken_once_reports_and_is_done() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("work")).await;
    let taken = desk.take_one().await;
    assert_eq!((taken.id, taken.attempt, &*taken.payload), (id, 1, &b"work"[..]));
    assert_eq!(taken.app, Some(desk.blog));
    assert!(desk.take(10).await.is_empty(), "it is held");
    let (jobs, system) = (desk.jobs(), call(None));
    let lines = ["one".to_owned(), "two".to_owned()];
    jobs.report(&system, id, taken.lease, Some(40), &lines).await.unwrap();
    assert!(!jobs.renew(&system, id, taken.lease, LONG).await.unwrap());
    assert_eq!((desk.get(id).await.state, desk.get(id).await.progress), (JobState::Running, 40));
    jobs.complete(&system, id, taken.lease, b"result").await.unwrap();
    let done = jobs.wait(&system, id, Duration::ZERO).await.unwrap();
    assert_eq!((done.state, done.progress), (JobState::Done, 100));
    assert_eq!(done.result.as_deref(), Some(&b"result"[..]));
    let said = jobs.lines(&system, id).await.unwrap();
    assert_eq!(said.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["one", "two"]);
    assert!(desk.take(10).await.is_empty());
}

#[tokio::test]
async fn a_worker_that_waits_gets_the_job_when_it_comes() {
    let desk = desk(&[]).await;
    let (jobs, system) = (desk.jobs(), call(None));
    let waiting = jobs.lease(&system, KIND, 1, LONG, Duration::from_secs(20));
    let queueing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        desk.enqueue(&job("late")).await
    };
    let (taken, id) = tokio::join!(waiting, queueing);
    assert_eq!(taken.unwrap()[0].id, id);
    let soon = desk.host().clock().unix_ms() + 100;
    let soon = NewJob { run_at_ms: Some(soon), ..job("soon") };
    let id = desk.enqueue(&soon).await;
    assert!(desk.take(1).await.is_empty(), "not before its moment");
    let taken = jobs.lease(&system, KIND, 1, LONG, Duration::from_secs(20)).await.unwrap();
    assert_eq!(taken[0].id, id);
}

#[tokio::test]
async fn a_key_is_unique_among_jobs_that_wait_or_run() {
    let desk = desk(&[]).await;
    let keyed = NewJob { unique_key: Some("k".into()), ..job("a") };
    let id = desk.enqueue(&keyed).await;
    assert_eq!(desk.enqueue(&keyed).await, id);
    let taken = desk.take_one().await;
    assert_eq!(desk.enqueue(&keyed).await, id);
    let of_other = desk.jobs().enqueue(&call(Some(desk.shop)), &keyed).await.unwrap();
    assert_ne!(of_other, id, "another app has keys of its own");
    desk.jobs().complete(&call(None), id, taken.lease, b"").await.unwrap();
    assert_ne!(desk.enqueue(&keyed).await, id);
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_and_dies_in_the_end() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&NewJob { attempts_max: 3, ..job("bad") }).await;
    for attempt in 1..=3 {
        let taken = desk.take_one().await;
        assert_eq!(taken.attempt, attempt);
        desk.jobs().fail(&call(None), id, taken.lease, "no luck", true).await.unwrap();
        let now_ms = desk.host().clock().unix_ms();
        let wait = desk.get(id).await.run_at_ms.saturating_sub(now_ms);
        assert!(wait <= 1_000 << (attempt - 1), "{wait} ms after attempt {attempt}");
        desk.clock.skip(Duration::from_secs(10));
    }
    let dead = desk.get(id).await;
    assert_eq!((dead.state, dead.problem.as_deref()), (JobState::Dead, Some("no luck")));
    let list =
        desk.node.operate(Method::Get, "/api/dead-jobs", json!({"app": "blog"})).await.unwrap();
    assert_eq!(list[0]["id"], id);
    let path = format!("/api/jobs/{id}/retry");
    desk.node.operate(Method::Post, &path, Value::Null).await.unwrap();
    assert_eq!(desk.take_one().await.attempt, 1);
    assert_eq!(code(desk.jobs().retry(&call(None), id).await), "JOB_NOT_DEAD");
}

#[tokio::test]
async fn what_makes_no_sense_is_not_tried_again() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("bad")).await;
    let taken = desk.take_one().await;
    desk.jobs().fail(&call(None), id, taken.lease, "never", false).await.unwrap();
    assert_eq!(desk.get(id).await.state, JobState::Dead);
}

#[tokio::test]
async fn a_lease_that_ended_is_worth_nothing() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("slow")).await;
    let minute = Duration::from_secs(60);
    let first = desk.take_for(1, minute).await.remove(0);
    desk.clock.skip(minute / 2);
    desk.jobs().renew(&call(None), id, first.lease, minute).await.unwrap();
    desk.clock.skip(minute / 2 + Duration::from_secs(1));
    desk.nudge().await;
    assert_eq!(desk.get(id).await.state, JobState::Running, "it was renewed");
    desk.clock.skip(minute);
    desk.nudge().await;
    let back = desk.until(id, |job| job.state == JobState::Waiting).await;
    assert_eq!(back.problem.as_deref(), Some("its worker went silent"));
    desk.clock.skip(minute);
    let second = desk.take_one().await;
    assert_eq!((second.id, second.attempt), (id, 2));
    assert_ne!(second.lease, first.lease);
    let (jobs, system) = (desk.jobs(), call(None));
    assert_eq!(code(jobs.complete(&system, id, first.lease, b"").await), "LEASE_ENDED");
    assert_eq!(code(jobs.fail(&system, id, first.lease, "", true).await), "LEASE_ENDED");
    assert_eq!(code(jobs.renew(&system, id, first.lease, LONG).await), "LEASE_ENDED");
    assert_eq!(code(jobs.report(&system, id, first.lease, None, &[]).await), "LEASE_ENDED");
    assert_eq!(code(jobs.checkpoint(&system, id, first.lease, b"").await), "LEASE_ENDED");
    assert_eq!(code(jobs.release(&system, id, first.lease).await), "LEASE_ENDED");
    jobs.complete(&system, id, second.lease, b"").await.unwrap();
    assert_eq!(code(jobs.complete(&system, id, second.lease, b"").await), "LEASE_ENDED");
}

#[tokio::test]
async fn setting_the_clock_ends_no_lease() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("a")).await;
    let taken = desk.take_for(1, Duration::from_secs(600)).await.remove(0);
    for by in [365 * 24 * 3_600_000, -2 * 365 * 24 * 3_600_000] {
        desk.clock.turn(by);
        desk.nudge().await;
        assert!(!desk.jobs().renew(&call(None), id, taken.lease, LONG).await.unwrap());
        assert_eq!(desk.get(id).await.state, JobState::Running);
    }
    desk.jobs().complete(&call(None), id, taken.lease, b"").await.unwrap();
}

#[tokio::test]
async fn an_attempt_has_its_time_however_often_it_is_renewed() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&NewJob { timeout: Some(Duration::from_secs(60)), ..job("a") }).await;
    let taken = desk.take_one().await;
    desk.clock.skip(Duration::from_secs(50));
    desk.jobs().renew(&call(None), id, taken.lease, LONG).await.unwrap();
    desk.clock.skip(Duration::from_secs(11));
    let renewed = desk.jobs().renew(&call(None), id, taken.lease, LONG).await;
    assert!(["JOB_TIMEOUT", "LEASE_ENDED"].contains(&&*code(renewed)));
    desk.nudge().await;
    let back = desk.until(id, |job| job.state == JobState::Waiting).await;
    assert_eq!(back.problem.as_deref(), Some("timeout exceeded: it took longer than its timeout"));
}

#[tokio::test]
async fn what_a_checkpoint_kept_is_there_for_the_next_attempt() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("long")).await;
    let first = desk.take_one().await;
    assert_eq!(first.checkpoint, None);
    desk.jobs().checkpoint(&call(None), id, first.lease, b"half").await.unwrap();
    desk.jobs().fail(&call(None), id, first.lease, "x", true).await.unwrap();
    desk.clock.skip(Duration::from_secs(10));
    assert_eq!(desk.take_one().await.checkpoint.as_deref(), Some(&b"half"[..]));
}

#[tokio::test]
async fn a_job_that_is_given_back_has_lost_no_attempt() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("a")).await;
    let first = desk.take_one().await;
    desk.jobs().release(&call(None), id, first.lease).await.unwrap();
    assert_eq!(desk.take_one().await.attempt, 1);
}

#[tokio::test]
async fn cancelling_takes_out_what_waits_and_stops_what_runs() {
    let desk = desk(&[]).await;
    let (jobs, system) = (desk.jobs(), call(None));
    let waits = desk.enqueue(&job("waits")).await;
    jobs.cancel(&system, waits).await.unwrap();
    assert_eq!(desk.get(waits).await.state, JobState::Cancelled);
    assert_eq!(code(jobs.cancel(&system, waits).await), "JOB_FINISHED");
    let runs = desk.enqueue(&job("runs")).await;
    let taken = desk.take_one().await;
    let path = format!("/api/jobs/{runs}/cancel");
    let answer = desk.node.operate(Method::Post, &path, Value::Null).await.unwrap();
    assert_eq!(answer["outcome"], "asked to stop");
    assert!(jobs.renew(&system, runs, taken.lease, LONG).await.unwrap(), "it is told to stop");
    jobs.fail(&system, runs, taken.lease, "stopped", true).await.unwrap();
    assert_eq!(desk.get(runs).await.state, JobState::Cancelled);
    assert_eq!(code(jobs.cancel(&system, 999).await), "NO_SUCH_JOB");
}

#[tokio::test]
async fn an_app_sees_its_own_jobs_only() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("mine")).await;
    let (jobs, other) = (desk.jobs(), call(Some(desk.shop)));
    assert_eq!(jobs.get(&other, id).await.unwrap(), None);
    assert!(jobs.list(&other, &Default::default()).await.unwrap().is_empty());
    assert_eq!(code(jobs.cancel(&other, id).await), "NO_SUCH_JOB");
    assert_eq!(code(jobs.retry(&other, id).await), "NO_SUCH_JOB");
    assert_eq!(code(jobs.lines(&other, id).await), "NO_SUCH_JOB");
    assert_eq!(code(jobs.wait(&other, id, Duration::ZERO).await), "NO_SUCH_JOB");
    assert_eq!(desk.get(id).await.state, JobState::Waiting);
}

#[tokio::test]
async fn apps_take_turns() {
    let desk = desk(&[]).await;
    for app in [desk.blog, desk.shop] {
        for number in 0..10 {
            desk.jobs().enqueue(&call(Some(app)), &job(&number.to_string())).await.unwrap();
        }
    }
    // Within one lease, and from one lease to the next.
    for limit in [2, 1, 1, 2] {
        let before: Vec<_> = desk.all().await.into_iter().filter(is_running).collect();
        let taken = desk.take(limit).await;
        assert_eq!(taken.len(), limit as usize);
        let running: Vec<_> = desk.all().await.into_iter().filter(is_running).collect();
        assert_eq!(running.len(), before.len() + taken.len());
        if running.len() % 2 == 0 {
            let of = |app| running.iter().filter(|job| job.app == Some(app)).count();
            assert_eq!(of(desk.blog), of(desk.shop), "{running:?}");
        }
    }
}

fn is_running(job: &Job) -> bool {
    job.state == JobState::Running
}

#[tokio::test]
async fn no_app_takes_all_places() {
    let desk = desk(&[("jobs.running_per_app", "3"), ("jobs.running", "5")]).await;
    for number in 0..20 {
        desk.enqueue(&job(&number.to_string())).await;
    }
    let taken = desk.take(100).await;
    assert_eq!(taken.len(), 3, "three of one app");
    for number in 0..20 {
        desk.jobs().enqueue(&call(Some(desk.shop)), &job(&number.to_string())).await.unwrap();
    }
    assert_eq!(desk.take(100).await.len(), 2, "five in all");
    desk.jobs().complete(&call(None), taken[0].id, taken[0].lease, b"").await.unwrap();
    assert_eq!(desk.take(100).await.len(), 1, "a place is free again");
}

#[tokio::test]
async fn the_more_urgent_job_of_an_app_comes_first() {
    let desk = desk(&[]).await;
    let low = desk.enqueue(&NewJob { priority: 50, ..job("low") }).await;
    let ordinary = desk.enqueue(&job("ordinary")).await;
    let high = desk.enqueue(&NewJob { priority: 150, ..job("high") }).await;
    let order: Vec<_> = desk.take(10).await.iter().map(|job| job.id).collect();
    assert_eq!(order, [high, ordinary, low]);
}

#[tokio::test]
async fn a_daemon_begins_again_after_every_failure_and_ends_when_it_completes() {
    let desk = desk(&[]).await;
    let daemon = NewJob { daemon: true, attempts_max: 1, ..job("daemon") };
    let id = desk.enqueue(&daemon).await;
    for _ in 0..12 {
        let taken = desk.take_one().await;
        desk.jobs().fail(&call(None), id, taken.lease, "again", true).await.unwrap();
        let now_ms = desk.host().clock().unix_ms();
        assert!(desk.get(id).await.run_at_ms <= now_ms + 60_000);
        desk.clock.skip(Duration::from_secs(61));
    }
    desk.enqueue(&daemon).await;
    let third = desk.jobs().enqueue(&call(Some(desk.blog)), &daemon).await;
    assert_eq!(code(third), "TOO_MANY_DAEMONS");
    for taken in desk.take(10).await {
        desk.jobs().complete(&call(None), taken.id, taken.lease, b"").await.unwrap();
    }
    assert_eq!(desk.get(id).await.state, JobState::Done);
}

#[tokio::test]
async fn everything_has_a_bound() {
    let desk = desk(&[("jobs.waiting_per_app", "3"), ("jobs.finished_per_app", "2")]).await;
    let (jobs, app) = (desk.jobs(), call(Some(desk.blog)));
    let large = NewJob { payload: vec![0; 65_537], ..job("") };
    assert_eq!(code(jobs.enqueue(&app, &large).await), "JOB_TOO_LARGE");
    for bad in [
        NewJob { kind: String::new(), ..job("") },
        NewJob { kind: "k".repeat(65), ..job("") },
        NewJob { attempts_max: 0, ..job("") },
        NewJob { attempts_max: 1_001, ..job("") },
        NewJob { priority: 201, ..job("") },
        NewJob { unique_key: Some("k".repeat(257)), ..job("") },
        NewJob { unique_key: Some(String::new()), ..job("") },
    ] {
        assert_eq!(code(jobs.enqueue(&app, &bad).await), "INVALID", "{bad:?}");
    }
    let ids = [
        desk.enqueue(&job("1")).await,
        desk.enqueue(&job("2")).await,
        desk.enqueue(&job("3")).await,
    ];
    assert_eq!(code(jobs.enqueue(&app, &job("4")).await), "QUEUE_FULL");
    let taken = desk.take(10).await;
    let (one, system) = (&taken[0], call(None));
    let lines: Vec<_> = (0..300).map(|number| format!("{number} {}", "ä".repeat(2_000))).collect();
    jobs.report(&system, one.id, one.lease, Some(1_000), &lines).await.unwrap();
    jobs.report(&system, one.id, one.lease, None, &["last".to_owned()]).await.unwrap();
    let said = jobs.lines(&system, one.id).await.unwrap();
    assert_eq!((said.len(), &*said[199].text), (200, "last"));
    assert!(said.iter().all(|line| line.text.len() <= 1_024));
    assert_eq!(desk.get(one.id).await.progress, 100);
    let many = vec![0; 1 << 21];
    assert_eq!(code(jobs.checkpoint(&system, one.id, one.lease, &many).await), "JOB_TOO_LARGE");
    assert_eq!(code(jobs.complete(&system, one.id, one.lease, &many).await), "JOB_TOO_LARGE");
    for job in &taken {
        jobs.complete(&system, job.id, job.lease, b"").await.unwrap();
    }
    let kept: Vec<_> = desk.all().await.iter().map(|job| job.id).collect();
    assert_eq!(kept, [ids[2], ids[1]], "the newest finished ones are kept");
}

#[tokio::test]
async fn what_runs_when_the_node_ends_is_begun_again() {
    let mut desk = desk(&[]).await;
    let id = desk.enqueue(&job("a")).await;
    let before = desk.take(10).await;
    desk.node.restart().await.unwrap();
    desk.clock.skip(Duration::from_secs(10));
    let taken = desk.take_one().await;
    assert_eq!((taken.id, taken.attempt), (id, 2));
    let stale = desk.jobs().complete(&call(None), id, before[0].lease, b"").await;
    assert_eq!(code(stale), "LEASE_ENDED");
}

#[tokio::test]
async fn a_job_with_one_attempt_outlives_the_node_twice_and_fails_once() {
    let mut desk = desk(&[]).await;
    let fails = desk.enqueue(&NewJob { attempts_max: 1, ..job("a") }).await;
    let breaks = desk.enqueue(&NewJob { attempts_max: 1, ..job("b") }).await;
    for attempt in 1..=3 {
        desk.clock.skip(Duration::from_secs(3_600));
        let taken = desk.take(10).await;
        assert!(taken.iter().any(|job| job.id == breaks && job.attempt == attempt), "{taken:?}");
        if let Some(job) = taken.iter().find(|job| job.id == fails && attempt == 2) {
            desk.jobs().fail(&call(None), fails, job.lease, "no", true).await.unwrap();
            assert_eq!(desk.get(fails).await.state, JobState::Dead);
        }
        desk.node.restart().await.unwrap();
    }
    let job = desk.get(breaks).await;
    assert_eq!(job.state, JobState::Dead, "it may be what ends the node");
    assert_eq!(job.problem.as_deref(), Some("the node ended while it ran"));
}

#[tokio::test]
async fn finished_jobs_are_forgotten_after_a_while_and_an_app_takes_its_jobs_along() {
    let desk = desk(&[]).await;
    let id = desk.enqueue(&job("a")).await;
    let other = desk.jobs().enqueue(&call(Some(desk.shop)), &job("b")).await.unwrap();
    desk.node.operate(Method::Delete, "/api/apps/blog", Value::Null).await.unwrap();
    assert_eq!(desk.jobs().get(&call(None), id).await.unwrap(), None);
    assert_eq!(desk.get(other).await.state, JobState::Waiting);
    let gone = desk.jobs().enqueue(&call(Some(desk.blog)), &job("a")).await;
    assert_eq!(code(gone), "NOT_FOUND");
}

async fn count_soon(desk: &Desk, count: usize) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while desk.all().await.len() != count {
        assert!(tokio::time::Instant::now() < limit, "{:?}", desk.all().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_job_asked_for_in_a_transaction_is_queued_exactly_when_that_is_kept() {
    let mut desk = desk(&[]).await;
    let wanted = JobWanted { app: Some(desk.blog), job: job("wanted") };
    let cartridge = desk.host().cartridge();
    for kept in [true, false, true] {
        let wanted = wanted.clone();
        let write = cartridge.write(Some(desk.blog), move |tx| {
            tx.emit(&wanted)?;
            if kept { Ok(()) } else { Err(Error::conflict("changed my mind")) }
        });
        assert_eq!(write.await.is_ok(), kept);
    }
    count_soon(&desk, 2).await;
    desk.node.restart().await.unwrap();
    let later = JobWanted { app: Some(desk.shop), job: job("later") };
    desk.host().cartridge().write(None, move |tx| tx.emit(&later)).await.unwrap();
    count_soon(&desk, 3).await;
    assert_eq!(desk.take(10).await.len(), 3);
}

#[tokio::test]
async fn the_commands_show_what_there_is() {
    let desk = desk(&[]).await;
    for number in 0..3 {
        desk.enqueue(&job(&format!("payload {number}"))).await;
    }
    let first = desk
        .node
        .admin(fazt_testkit::Caller::OWNER, Method::Get, "/api/jobs", "limit=2&app=blog", "")
        .await;
    let first = first.json();
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    assert_eq!(first["meta"]["has_more"], true);
    let next = format!("limit=2&cursor={}", first["meta"]["cursor"].as_str().unwrap());
    let second = desk
        .node
        .admin(fazt_testkit::Caller::OWNER, Method::Get, "/api/jobs", &next, "")
        .await
        .json();
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert_eq!(second["meta"]["has_more"], false);
    let id = &second["data"][0]["id"];
    let info =
        desk.node.operate(Method::Get, &format!("/api/jobs/{id}"), Value::Null).await.unwrap();
    assert_eq!((&info["payload"], &info["state"]), (&json!("payload 0"), &json!("waiting")));
    let bad = desk.node.operate(Method::Get, "/api/jobs", json!({"state": "lost"})).await;
    assert_eq!(code(bad), "INVALID");
}
