//! Schedules: their moments, what is missed, and clocks that are set.

use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_sdk::services::jobs::{Missed, Schedule};
use fazt_sdk::services::{Jobs as _, Schedules as _};
use serde_json::{Value, json};

use crate::clerk::{Desk, call, desk, schedule};

const MINUTE: Duration = Duration::from_secs(60);

async fn put(desk: &Desk, name: &str, cron: &str, missed: Missed) {
    let schedule = schedule(name, cron, missed);
    desk.schedules().put(&call(Some(desk.blog)), "test", &schedule).await.unwrap();
}

async fn one(desk: &Desk, name: &str) -> Schedule {
    let all = desk.schedules().list(&call(Some(desk.blog))).await.unwrap();
    all.into_iter().find(|one| one.schedule.name == name).unwrap()
}

/// Lets the one who watches schedules look at the clock, and waits until nothing is due.
async fn settle(desk: &Desk) {
    desk.nudge().await;
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let now_ms = desk.host().clock().unix_ms();
        let all = desk.schedules().list(&call(None)).await.unwrap();
        if all.iter().flat_map(|one| one.next_ms.first()).all(|next| *next > now_ms) {
            return;
        }
        assert!(tokio::time::Instant::now() < limit, "{all:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Jobs of a schedule, finished as they come, so that they do not stand in the way of the next.
async fn made(desk: &Desk) -> usize {
    settle(desk).await;
    let taken = desk.take(100).await;
    for job in &taken {
        assert!(job.schedule.is_some());
        desk.jobs().complete(&call(None), job.id, job.lease, b"").await.unwrap();
    }
    taken.len()
}

#[tokio::test]
async fn a_schedule_makes_a_job_at_its_moment_and_not_before() {
    let desk = desk(&[]).await;
    put(&desk, "tick", "* * * * *", Missed::RunOnce).await;
    assert_eq!(made(&desk).await, 0);
    for _ in 0..3 {
        desk.clock.skip(MINUTE);
        assert_eq!(made(&desk).await, 1);
        assert_eq!(made(&desk).await, 0);
    }
    let tick = one(&desk, "tick").await;
    let now_ms = desk.host().clock().unix_ms();
    assert_eq!(tick.next_ms.len(), 5);
    assert!(tick.next_ms[0] > now_ms && tick.next_ms[0] <= now_ms + 60_000);
    assert!(tick.next_ms.windows(2).all(|two| two[1] - two[0] == 60_000));
    assert_eq!(tick.last_at_ms, Some(tick.next_ms[0] - 60_000));
}

#[tokio::test]
async fn a_schedule_has_one_job_at_a_time() {
    let desk = desk(&[]).await;
    put(&desk, "tick", "* * * * *", Missed::RunOnce).await;
    for _ in 0..3 {
        desk.clock.skip(MINUTE);
        settle(&desk).await;
    }
    assert_eq!(desk.take(100).await.len(), 1);
    desk.clock.skip(MINUTE);
    settle(&desk).await;
    assert!(desk.take(100).await.is_empty(), "the first one runs still");
}

#[tokio::test]
async fn what_passed_while_the_node_did_not_run_is_treated_as_wished() {
    let mut desk = desk(&[]).await;
    put(&desk, "skip", "@hourly", Missed::Skip).await;
    put(&desk, "once", "@hourly", Missed::RunOnce).await;
    put(&desk, "all", "@hourly", Missed::All).await;
    desk.node.stop().await.unwrap();
    // Ten minutes past an hour: the latest moment is late for whoever skips.
    let hour_ms = 3_600_000;
    let now_ms = u64::try_from(fazt_testkit::Clock::unix_ms(&*desk.clock)).unwrap();
    let to = (now_ms / hour_ms + 5) * hour_ms + 600_000;
    desk.clock.skip(Duration::from_millis(to - now_ms));
    desk.node.restart().await.unwrap();
    settle(&desk).await;
    let mut names: Vec<_> = desk.all().await.into_iter().filter_map(|job| job.schedule).collect();
    names.sort();
    assert_eq!(names, ["all", "all", "all", "all", "all", "once"]);
    let mut moments: Vec<_> = desk
        .all()
        .await
        .into_iter()
        .filter(|job| job.schedule.as_deref() == Some("all"))
        .map(|job| job.run_at_ms)
        .collect();
    moments.sort_unstable();
    assert!(moments.windows(2).all(|two| two[1] - two[0] == hour_ms), "{moments:?}");
}

#[tokio::test]
async fn a_clock_that_is_set_makes_no_storm_and_no_silence() {
    let desk = desk(&[]).await;
    put(&desk, "skip", "* * * * *", Missed::Skip).await;
    put(&desk, "once", "* * * * *", Missed::RunOnce).await;
    let year_ms = 365 * 24 * 3_600_000;
    desk.clock.turn(year_ms);
    assert!(made(&desk).await <= 2, "forward");
    // An hour back is waited out, so that nothing runs twice.
    desk.clock.turn(-3_600_000);
    desk.nudge().await;
    desk.clock.skip(MINUTE * 30);
    assert_eq!(made(&desk).await, 0, "an hour back");
    // A year back is the new time.
    desk.clock.turn(-year_ms);
    desk.nudge().await;
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while one(&desk, "once").await.next_ms[0] > desk.host().clock().unix_ms() + 60_000 {
        assert!(tokio::time::Instant::now() < limit, "it waits for next year");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    desk.clock.skip(MINUTE);
    assert!((1..=2).contains(&made(&desk).await), "it goes on");
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_run_and_removed() {
    let desk = desk(&[]).await;
    let path = "/api/apps/blog/cron";
    let input = json!({"name": "tidy", "schedule": "*/5 * * * *", "handler": "api/cron.js"});
    let added = desk.node.operate(Method::Post, path, input).await.unwrap();
    assert_eq!((&added["state"], &added["missed"]), (&json!("active"), &json!("run-once")));
    assert_eq!(added["payload"], r#"{"handler":"api/cron.js"}"#);
    let post = |verb: &str| {
        let path = format!("{path}/tidy/{verb}");
        let node = &desk.node;
        async move { node.operate(Method::Post, &path, Value::Null).await.unwrap() }
    };
    post("pause").await;
    desk.clock.skip(MINUTE * 20);
    desk.nudge().await;
    assert!(one(&desk, "tidy").await.next_ms.is_empty());
    assert!(desk.all().await.iter().all(|job| job.schedule.is_none()));
    post("resume").await;
    settle(&desk).await;
    assert!(
        desk.all().await.iter().all(|job| job.schedule.is_none()),
        "the pause is not made up for"
    );
    let job = post("run").await["job"].as_u64().unwrap();
    assert_eq!(post("run").await["job"], job, "it waits already");
    assert_eq!(desk.get(job).await.schedule.as_deref(), Some("tidy"));
    let listed = desk.node.operate(Method::Get, "/api/cron", json!({"app": "blog"})).await.unwrap();
    assert_eq!(listed[0]["last_job"], job);
    desk.node.operate(Method::Delete, &format!("{path}/tidy"), Value::Null).await.unwrap();
    let again = desk.node.operate(Method::Delete, &format!("{path}/tidy"), Value::Null).await;
    assert_eq!(again.unwrap_err().code(), "NO_SUCH_SCHEDULE");
}

#[tokio::test]
async fn a_source_replaces_what_it_made_and_nothing_else() {
    let desk = desk(&[("jobs.schedules_per_app", "4")]).await;
    let (schedules, app) = (desk.schedules(), call(Some(desk.blog)));
    put(&desk, "mine", "@daily", Missed::Skip).await;
    let make = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| schedule(name, "@hourly", Missed::Skip)).collect()
    };
    schedules.replace(&app, "manifest", &make(&["a", "b"])).await.unwrap();
    schedules.pause(&app, "b", true).await.unwrap();
    schedules.replace(&app, "manifest", &make(&["b", "c"])).await.unwrap();
    let names: Vec<_> =
        schedules.list(&app).await.unwrap().into_iter().map(|one| one.schedule.name).collect();
    assert_eq!(names, ["b", "c", "mine"]);
    assert!(one(&desk, "b").await.paused, "what did not change goes on as it was");
    let taken = schedules.replace(&app, "manifest", &make(&["mine"])).await;
    assert_eq!(taken.unwrap_err().code(), "SCHEDULE_TAKEN");
    let many = schedules.replace(&app, "manifest", &make(&["a", "b", "c", "d"])).await;
    assert_eq!(many.unwrap_err().code(), "TOO_MANY_SCHEDULES");
    let bad = schedules.put(&app, "test", &schedule("x", "61 * * * *", Missed::Skip)).await;
    assert_eq!(bad.unwrap_err().code(), "BAD_SCHEDULE");
    for name in ["", "a b", "a/b", &"n".repeat(65)] {
        let bad = schedules.put(&app, "test", &schedule(name, "@daily", Missed::Skip)).await;
        assert_eq!(bad.unwrap_err().code(), "BAD_NAME", "{name}");
    }
    assert_eq!(schedules.list(&app).await.unwrap().len(), 3, "nothing of that was kept");
    assert!(schedules.list(&call(Some(desk.shop))).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_copy_of_an_app_has_its_schedules_standing_still_and_its_rules() {
    let desk = desk(&[]).await;
    put(&desk, "tidy", "@daily", Missed::All).await;
    let rule = json!({"host": "*.example.com:8443", "app": "blog", "http": true});
    desk.node.operate(Method::Post, "/api/net", rule).await.unwrap();
    let id = desk.enqueue(&crate::clerk::job("a")).await;
    let forked = desk.node.operate(Method::Post, "/api/apps/blog/fork", json!({"as": "next"}));
    forked.await.unwrap();
    let listed = desk.node.operate(Method::Get, "/api/cron", json!({"app": "next"})).await.unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&json!("tidy"), &json!("paused")));
    assert_eq!((&listed[0]["missed"], &listed[0]["source"]), (&json!("all"), &json!("test")));
    let rules = desk.node.operate(Method::Get, "/api/net", json!({"app": "next"})).await.unwrap();
    assert_eq!(rules[0]["host"], "*.example.com:8443");
    assert_eq!(rules[0]["protocol"], "http and https");
    let info = desk.node.operate(Method::Get, "/api/apps/next", Value::Null).await.unwrap();
    let used: Vec<_> =
        info["usage"].as_array().unwrap().iter().map(|row| row["what"].clone()).collect();
    assert_eq!(used, ["rules", "schedules"]);
    desk.node.operate(Method::Delete, "/api/apps/blog", Value::Null).await.unwrap();
    assert_eq!(desk.jobs().get(&call(None), id).await.unwrap(), None);
    assert!(desk.schedules().list(&call(Some(desk.blog))).await.unwrap().is_empty());
}
