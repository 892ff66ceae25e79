//! `/metrics`: who may read it, and what it says.

use fazt_sdk::http::Method;
use fazt_testkit::TestKernel;

use crate::support::{ask, ask_with_key, key};

#[tokio::test]
async fn metrics_are_for_keys_that_read_everything() {
    let node = TestKernel::with(vec![]).await.unwrap();
    node.app("blog").await.unwrap();
    let (_, reads) = key(&node, &["read"], None).await;
    let (_, deploys) = key(&node, &["deploy"], None).await;
    let (_, one_app) = key(&node, &["read"], Some("blog")).await;
    assert_eq!(ask(&node, Method::Get, "/metrics", &[], "").await.status, 401);
    for (key, status) in [(&reads, 200), (&deploys, 403), (&one_app, 403)] {
        assert_eq!(ask_with_key(&node, key, Method::Get, "/metrics", "").await.status, status);
    }
}

#[tokio::test]
async fn metrics_count_what_happened_and_are_well_formed() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let (_, reads) = key(&node, &["read"], None).await;
    for _ in 0..3 {
        assert_eq!(ask(&node, Method::Get, "/api/apps", &[], "").await.status, 401);
    }
    let answer = ask_with_key(&node, &reads, Method::Get, "/metrics", "").await;
    let kind = answer.headers.iter().find(|(name, _)| name == "content-type").unwrap();
    assert_eq!(kind.1, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text().to_owned();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("fazt_responses_total{class=\"4xx\"} 3\n"), "{text}");
    assert!(text.contains("fazt_panics_total 0\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("fazt_") || name.starts_with("process_"), "{line}");
        value.parse::<u64>().unwrap();
    }
}
