//! Durable events reach those who follow them.

use std::collections::HashMap;
use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_testkit::TestKernel;
use serde_json::json;
use tokio::sync::watch;

use crate::gadget::{CARELESS, CARELESSLY, FOLLOWED, FOLLOWER, GADGET};

async fn emit(node: &TestKernel, noise: u32, test: &str) {
    let input = json!({ "noise": noise, "test": test });
    node.operate(Method::Post, "/api/gadget-events", input).await.unwrap();
}

async fn told(counts: &watch::Sender<HashMap<String, u32>>, test: &str) -> u32 {
    let mut counts = counts.subscribe();
    let count = counts.wait_for(|counts| counts.contains_key(test));
    let counts = tokio::time::timeout(Duration::from_secs(20), count).await.unwrap().unwrap();
    counts[test]
}

#[tokio::test]
async fn a_rare_event_is_found_among_thousands_of_others() {
    let node = TestKernel::with(vec![GADGET, FOLLOWER]).await.unwrap();
    emit(&node, 2_500, "rare").await;
    assert_eq!(told(&FOLLOWED, "rare").await, 1);
    emit(&node, 10, "rare again").await;
    assert_eq!(told(&FOLLOWED, "rare again").await, 1);
}

#[tokio::test]
async fn an_event_takes_effect_once_also_after_a_restart() {
    let mut node = TestKernel::with(vec![GADGET, FOLLOWER]).await.unwrap();
    emit(&node, 1_200, "before").await;
    assert_eq!(told(&FOLLOWED, "before").await, 1);
    node.restart().await.unwrap();
    emit(&node, 3, "after").await;
    assert_eq!(told(&FOLLOWED, "after").await, 1);
    assert_eq!(told(&FOLLOWED, "before").await, 1);
}

#[tokio::test]
async fn what_happens_while_a_follower_is_disabled_is_kept_for_it() {
    let node = TestKernel::with(vec![GADGET, FOLLOWER]).await.unwrap();
    let change = async |what: &str| {
        let path = format!("/api/plugins/follower/{what}");
        node.operate(Method::Post, &path, json!({})).await.unwrap();
    };
    change("disable").await;
    emit(&node, 1_500, "meanwhile").await;
    change("enable").await;
    assert_eq!(told(&FOLLOWED, "meanwhile").await, 1);
}

#[tokio::test]
async fn a_handler_that_leaves_its_cursor_alone_is_not_asked_again() {
    let mut node = TestKernel::with(vec![GADGET, CARELESS]).await.unwrap();
    for test in ["careless", "careless again"] {
        emit(&node, 0, test).await;
        assert_eq!(told(&CARELESSLY, test).await, 1);
    }
    node.restart().await.unwrap();
    emit(&node, 0, "careless later").await;
    told(&CARELESSLY, "careless later").await;
    assert_eq!(told(&CARELESSLY, "careless").await, 1);
}
