//! A provider that goes and comes back while many callers use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_testkit::BuiltIn;
use fazt_tests::fixtures::Library;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{disable, enable, get, node};

/// The last method of the interface is the seventh.
#[service("counts.tally", 1)]
trait Tally {
    async fn add(&self, call: &Call, name: &str, by: i64) -> Result<u64>;
}

/// Uses the service when it is there.
#[derive(Default)]
struct Sometimes;

struct Add(Service<TallyApi>);

impl Plugin for Sometimes {
    fn manifest(&self) -> Manifest {
        Manifest::new("sometimes", "1")
            .uses::<TallyApi>()
            .route(Route::app(Method::Get, "/_sometimes/{name}").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle("/_sometimes/{name}", Add(host.service()?)))
    }
}

impl Handler for Add {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        Ok(Response::text(self.0.add(call, request.capture(0), 1).await?.to_string()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_provider_that_goes_and_comes_back_succeed_or_hear_that_it_is_away() {
    let mut kernel = node(&[Library::Counts]).await;
    let sometimes = BuiltIn { name: "sometimes", root: root_of::<Sometimes> };
    kernel.restart_as(vec![sometimes]).await.unwrap();
    let kernel = Arc::new(kernel);
    let over = Arc::new(AtomicBool::new(false));
    let (succeeded, away) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..32 {
        let (kernel, over) = (Arc::clone(&kernel), Arc::clone(&over));
        let (succeeded, away) = (Arc::clone(&succeeded), Arc::clone(&away));
        callers.spawn(async move {
            let path = format!("/_sometimes/{caller}");
            let mut expected = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = tokio::time::timeout(Duration::from_secs(30), get(&kernel, &path));
                match answer.await.expect("a call hangs") {
                    (200, count) => {
                        expected += 1;
                        assert_eq!(
                            count,
                            expected.to_string(),
                            "a call took effect twice or never"
                        );
                        succeeded.fetch_add(1, Ordering::Relaxed);
                    }
                    (503, text) => {
                        assert!(text.contains("counts.tally/1"), "{text}");
                        away.fetch_add(1, Ordering::Relaxed);
                        // Whoever is told so comes back later.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    (status, text) => panic!("{status}: {text}"),
                }
            }
        });
    }
    for _ in 0..40 {
        let before = succeeded.load(Ordering::Relaxed);
        while succeeded.load(Ordering::Relaxed) < before + 32 {
            tokio::task::yield_now().await;
        }
        disable(&kernel, "counts", false).await.unwrap();
        let before = away.load(Ordering::Relaxed);
        while away.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
        enable(&kernel, "counts").await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    for caller in 0..32 {
        assert_eq!(get(&kernel, &format!("/_sometimes/{caller}")).await.0, 200);
    }
    let (succeeded, away) = (succeeded.load(Ordering::Relaxed), away.load(Ordering::Relaxed));
    println!("{succeeded} calls succeeded, {away} heard that the provider is away");
}

#[tokio::test]
async fn a_call_that_runs_when_its_provider_is_replaced_finishes_on_the_old_one() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let mut running = Box::pin(get(&kernel, "/_report/wait/400"));
    assert!(running.as_mut().now_or_never().is_none());
    let newer = Library::CountsNewer.path();
    let (running, added) = tokio::join!(running, kernel.add_library(&newer));
    assert_eq!(running, (200, "400".to_owned()));
    assert_eq!(added.unwrap()["version"], "0.2.0");
    assert_eq!(get(&kernel, "/_report/wait/1").await, (200, "1".to_owned()));
}

#[tokio::test]
async fn a_call_that_runs_when_its_provider_is_disabled_finishes() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let mut running = Box::pin(get(&kernel, "/_report/wait/400"));
    assert!(running.as_mut().now_or_never().is_none());
    let (running, stopped) = tokio::join!(running, disable(&kernel, "counts", true));
    assert_eq!(running, (200, "400".to_owned()));
    stopped.unwrap();
    assert_eq!(get(&kernel, "/_report/wait/1").await.0, 404);
}
