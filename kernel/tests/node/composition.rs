//! Plugins are enabled, disabled and stopped while requests run.

use std::sync::Arc;
use std::time::Duration;

use fazt_kernel::AdminRequest;
use fazt_sdk::http::{Body, Method};
use fazt_testkit::TestKernel;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::gadget::{FOLLOWER, GADGET, STOPPED, waiting};

async fn change(node: &TestKernel, what: &str, input: Value) -> fazt_sdk::Result<Value> {
    node.operate(Method::Post, &format!("/api/plugins/{what}"), input).await
}

async fn plugin(node: &TestKernel, name: &str) -> Value {
    node.operate(Method::Get, &format!("/api/plugins/{name}"), json!({})).await.unwrap()
}

async fn labelled(label: &str) -> Arc<TestKernel> {
    let settings = [("gadget.label", label)];
    let node = TestKernel::configured(vec![GADGET], vec![], &settings).await.unwrap();
    node.app("blog").await.unwrap();
    Arc::new(node)
}

async fn stopped(label: &str) {
    let mut stopped = STOPPED.subscribe();
    let waited = stopped.wait_for(|labels| labels.iter().any(|known| known == label));
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_waits_for_calls_that_run_and_lets_no_more_in() {
    let node = labelled("drains").await;
    let asking = Arc::clone(&node);
    let running =
        Handle::current().spawn(async move { asking.get("blog", "/_gadget/wait/drains").await });
    let wait = waiting("drains");
    wait.entered.acquire().await.unwrap().forget();
    let disabling = Arc::clone(&node);
    let disabled = Handle::current()
        .spawn(async move { change(&disabling, "gadget/disable", json!({})).await });
    while node.get("blog", "/_gadget/headers").await.status == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(plugin(&node, "gadget").await["state"], "stopped");
    // Time enough for a stop that does not wait: as many writes as it would take itself, and more.
    for number in 0..20 {
        let label = json!({ "value": format!("later {number}") });
        node.operate(Method::Put, "/api/settings/server.host", json!({ "value": "" }))
            .await
            .unwrap();
        node.operate(Method::Put, "/api/settings/gadget.label", label).await.unwrap();
    }
    assert!(!disabled.is_finished());
    assert!(STOPPED.borrow().iter().all(|label| label != "drains"));
    wait.release.add_permits(1);
    assert_eq!(running.await.unwrap().text(), "waited");
    disabled.await.unwrap().unwrap();
    stopped("drains").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_goes_on_when_whoever_asked_for_it_leaves() {
    let node = labelled("left").await;
    let asking = Arc::clone(&node);
    let running =
        Handle::current().spawn(async move { asking.get("blog", "/_gadget/wait/left").await });
    let wait = waiting("left");
    wait.entered.acquire().await.unwrap().forget();
    let request = AdminRequest {
        method: Method::Post,
        path: "/api/plugins/gadget/disable".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Body::empty(),
    };
    let disabling = node.kernel().admin(request);
    assert!(tokio::time::timeout(Duration::from_millis(300), disabling).await.is_err());
    wait.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
    stopped("left").await;
    change(&node, "gadget/enable", json!({})).await.unwrap();
    assert_eq!(node.get("blog", "/_gadget/headers").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_race_leave_a_plugin_that_runs_exactly_when_it_is_enabled() {
    let node = Arc::new(TestKernel::with(vec![GADGET, FOLLOWER]).await.unwrap());
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..24 {
        let node = Arc::clone(&node);
        racers.spawn(async move {
            let what = ["gadget/disable", "follower/enable", "gadget/enable"][number % 3];
            let input = if number % 3 == 0 { json!({ "cascade": true }) } else { json!({}) };
            change(&node, what, input).await
        });
    }
    while let Some(done) = racers.join_next().await {
        done.unwrap().unwrap();
    }
    for name in ["gadget", "follower"] {
        let plugin = plugin(&node, name).await;
        let state = if plugin["enabled"] == true { "running" } else { "stopped" };
        assert_eq!(plugin["state"], state, "{name}");
    }
    change(&node, "follower/enable", json!({})).await.unwrap();
    assert_eq!(plugin(&node, "gadget").await["state"], "running");
    let info = node.operate(Method::Get, "/api/system/info", json!({})).await.unwrap();
    assert_eq!(info["panics"], 0);
}

#[tokio::test]
async fn what_others_require_is_not_disabled_alone() {
    let node = TestKernel::with(vec![GADGET, FOLLOWER]).await.unwrap();
    let error = change(&node, "gadget/disable", json!({})).await.unwrap_err();
    assert_eq!(error.code(), "REQUIRED_BY_OTHERS");
    assert_eq!(plugin(&node, "gadget").await["state"], "running");
    let done = change(&node, "gadget/disable", json!({ "cascade": true })).await.unwrap();
    assert_eq!(done["stopped"], json!(["follower", "gadget"]));
}

#[tokio::test]
async fn the_node_stops_while_a_call_runs() {
    let mut node = TestKernel::with(vec![GADGET]).await.unwrap();
    node.app("blog").await.unwrap();
    let wait = waiting("stop");
    {
        let mut asking = Box::pin(node.get("blog", "/_gadget/wait/stop"));
        tokio::select! {
            answer = &mut asking => panic!("{}", answer.status),
            entered = wait.entered.acquire() => entered.unwrap().forget(),
        }
        // The client leaves.
    }
    tokio::time::timeout(Duration::from_secs(5), node.stop()).await.unwrap().unwrap();
}
