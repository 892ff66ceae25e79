//! What a plugin does wrong stays with whoever called it: the node and the next call go on.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::Json;
use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_testkit::{BuiltIn, TestKernel};
use fazt_tests::fixtures::Library;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{disable, enable, get, info, node, until_text};

/// The interface of `unruly`, written down a second time: what counts is its shape.
#[service("unruly.works", 1)]
trait Works {
    async fn run(&self, call: &Call, how: &str) -> Result<String>;
}

/// Calls the service and answers with the error that it got.
#[derive(Default)]
struct Caller;

struct Ask(Service<WorksApi>);

impl Plugin for Caller {
    fn manifest(&self) -> Manifest {
        Manifest::new("caller", "1")
            .uses::<WorksApi>()
            .route(Route::app(Method::Get, "/_caller/{how}").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle("/_caller/{how}", Ask(host.service()?)))
    }
}

impl Handler for Ask {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        Ok(match self.0.run(call, request.capture(0)).await {
            Ok(text) => Response::text(text),
            Err(error) => Response::text(format!("{}: {error}", error.code())),
        })
    }
}

async fn unruly() -> TestKernel {
    let mut kernel = node(&[Library::Unruly]).await;
    let caller = BuiltIn { name: "caller", root: root_of::<Caller> };
    kernel.restart_as(vec![caller]).await.unwrap();
    kernel
}

/// Calls whose panic is the caller's error, and the panic's own words.
const PANICS: [(&str, &str); 9] = [
    ("first", "at the first poll"),
    ("later", "after an await"),
    ("local", "panicked in drop: a local"),
    ("payload", "panicked: no message"),
    ("read", "in a read"),
    ("scan", "in a scan"),
    ("row", "in a row"),
    ("write", "in a write"),
    ("early", "before there was a future"),
];

#[tokio::test]
async fn a_panic_behind_a_route_is_a_500_and_the_next_request_is_answered() {
    let kernel = unruly().await;
    for (how, _) in &PANICS[..8] {
        let (status, text) = get(&kernel, &format!("/_unruly/do/{how}")).await;
        assert_eq!(status, 500, "{how}: {text}");
        // The words of a panic are for the log.
        assert!(!text.contains("panic"), "{how}: {text}");
        assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200, "after {how}");
    }
    assert_eq!(get(&kernel, "/_unruly/early").await.0, 500);
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
    assert_eq!(get(&kernel, "/_unruly/live").await.1, "0", "everything was dropped");
    assert_eq!(get(&kernel, "/_unruly/notes").await.1, "", "what panicked was rolled back");
}

#[tokio::test]
async fn a_panic_behind_a_service_is_an_error_with_its_words_for_the_caller_only() {
    let kernel = unruly().await;
    for (how, words) in PANICS {
        let (status, text) = get(&kernel, &format!("/_caller/{how}")).await;
        assert_eq!(status, 200, "{how}: {text}");
        assert!(text.starts_with("PANIC: ") && text.contains(words), "{how}: {text}");
        assert_eq!(get(&kernel, "/_caller/well").await.1, "well for Anonymous");
    }
}

#[tokio::test]
async fn a_panic_after_a_commit_takes_nothing_back() {
    let kernel = unruly().await;
    assert_eq!(get(&kernel, "/_unruly/do/commit").await.0, 200);
    assert_eq!(get(&kernel, "/_unruly/notes").await.1, "commit");
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
}

#[tokio::test]
async fn many_callers_panic_at_once_and_each_gets_its_own_answer() {
    let kernel = Arc::new(unruly().await);
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let kernel = Arc::clone(&kernel);
        calls.spawn(async move {
            let how = ["well", "later", "local", "write", "early"][number % 5];
            let (_, text) = get(&kernel, &format!("/_caller/{how}")).await;
            (how, text)
        });
    }
    while let Some(done) = calls.join_next().await {
        let (how, text) = done.unwrap();
        let expected = if how == "well" { "well for" } else { "PANIC: panicked" };
        assert!(text.starts_with(expected), "{how}: {text}");
    }
    assert_eq!(get(&kernel, "/_unruly/live").await.1, "0");
}

#[tokio::test]
async fn a_value_that_panics_when_a_client_leaves_harms_nobody() {
    let kernel = unruly().await;
    {
        let mut waiting = Box::pin(get(&kernel, "/_unruly/do/held"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(get(&kernel, "/_unruly/live").await.1, "1");
    }
    assert_eq!(get(&kernel, "/_unruly/live").await.1, "0");
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
}

#[tokio::test]
async fn a_stream_that_fails_midway_breaks_off_and_nothing_else_does() {
    let kernel = unruly().await;
    for (how, words) in [
        ("error", "the rest is gone"),
        ("panic", "no more parts"),
        ("drop", "panicked in drop: a stream"),
    ] {
        let (status, text) = get(&kernel, &format!("/_unruly/stream/{how}")).await;
        assert_eq!(status, 0, "no status is left to say it with: {how}: {text}");
        assert!(text.contains(words), "{how}: {text}");
        assert_eq!(get(&kernel, "/_unruly/stream/well").await, (200, "one part".to_owned()));
    }
}

/// Sets how `unruly` starts and stops and starts it anew.
async fn restart_as(kernel: &TestKernel, start: &str, stop: &str) -> Result<Json> {
    kernel.kernel().set_setting("unruly.start", start).await.unwrap();
    kernel.kernel().set_setting("unruly.stop", stop).await.unwrap();
    drop(disable(kernel, "unruly", false).await);
    enable(kernel, "unruly").await
}

#[tokio::test]
async fn a_start_that_goes_wrong_is_undone_and_said_in_one_sentence() {
    let kernel = unruly().await;
    for (how, words) in [
        ("panic", "the start went wrong"),
        ("error", "it will not start"),
        ("incomplete", "is declared but not handed over"),
    ] {
        let error = restart_as(&kernel, how, "").await.unwrap_err();
        // What a defect says is for the log.
        let is_shown = how != "panic";
        assert_eq!(error.message().contains(words), is_shown, "{how}: {error}");
        assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 404, "{how}");
        assert!(get(&kernel, "/_caller/well").await.1.starts_with("UNAVAILABLE"), "{how}");
        restart_as(&kernel, "", "").await.unwrap();
        assert_eq!(get(&kernel, "/_caller/well").await.1, "well for Anonymous", "after {how}");
    }
}

#[tokio::test]
async fn an_end_that_goes_wrong_is_reported_and_is_an_end_all_the_same() {
    let kernel = unruly().await;
    for how in ["panic", "early", "error"] {
        restart_as(&kernel, "", how).await.unwrap();
        let error = disable(&kernel, "unruly", false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{how}: {error}");
        assert_eq!(info(&kernel, "unruly").await["state"], "stopped", "{how}");
        restart_as(&kernel, "", "").await.unwrap();
        assert_eq!(get(&kernel, "/_caller/well").await.1, "well for Anonymous", "after {how}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_when_its_plugin_is_released_harms_nobody() {
    let kernel = unruly().await;
    restart_as(&kernel, "", "drop").await.unwrap();
    assert_eq!(get(&kernel, "/_unruly/runs").await, (200, "0".to_owned()));
    disable(&kernel, "unruly", false).await.unwrap();
    restart_as(&kernel, "", "").await.unwrap();
    assert_eq!(get(&kernel, "/_caller/well").await.1, "well for Anonymous");
}

#[tokio::test]
async fn a_task_that_panics_is_started_again_with_a_growing_delay() {
    let kernel = unruly().await;
    let before = tokio::time::Instant::now();
    restart_as(&kernel, "task", "").await.unwrap();
    // One run without a future, one that loses it, one that stays: 1 s and 2 s between them.
    until_text(&kernel, "/_unruly/runs", "3").await;
    assert!(before.elapsed() >= Duration::from_secs(3), "{:?}", before.elapsed());
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
}
