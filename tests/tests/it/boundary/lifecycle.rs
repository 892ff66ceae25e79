//! Enabling, disabling, replacing: what stops in which order, what stays, what is let go.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fazt_sdk::cartridge::Query as _;
use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_sdk::services::{Apps as _, AppsApi};
use fazt_sdk::{Json, json};
use fazt_testkit::{BuiltIn, TestKernel};
use fazt_tests::fixtures::Library;
use futures_util::FutureExt as _;

use super::{disable, enable, get, info, node};

#[tokio::test]
async fn a_plugin_that_others_require_is_not_disabled_alone_and_the_refusal_names_them() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let error = disable(&kernel, "counts", false).await.unwrap_err();
    assert_eq!(error.code(), "REQUIRED_BY_OTHERS");
    assert!(error.message().contains("report") && error.message().contains("--cascade"), "{error}");
    assert_eq!(get(&kernel, "/_report/add/a").await.0, 200, "nothing was stopped");
}

#[tokio::test]
async fn with_cascade_the_consumer_stops_before_its_provider_and_both_stay_stopped() {
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    let stopped = disable(&kernel, "counts", true).await.unwrap();
    assert_eq!(stopped["stopped"], json!(["report", "counts"]));
    assert_eq!(get(&kernel, "/_report/add/a").await.0, 404);
    kernel.restart().await.unwrap();
    assert!(kernel.kernel().started().is_empty());
    // Enabling the consumer brings back what it requires, first.
    let started = enable(&kernel, "report").await.unwrap();
    assert_eq!(started["started"], json!(["counts", "report"]));
    assert_eq!(get(&kernel, "/_report/add/a").await.0, 200);
}

#[tokio::test]
async fn a_newer_library_takes_the_place_of_the_older_one_live_and_finds_its_data() {
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    assert_eq!(get(&kernel, "/_counts/version").await.1, "0.1.0");
    assert_eq!(get(&kernel, "/_report/add/a").await.1, "1");
    let added = kernel.add_library(&Library::CountsNewer.path()).await.unwrap();
    assert_eq!(added["version"], "0.2.0");
    assert_eq!(get(&kernel, "/_counts/version").await.1, "0.2.0");
    // The consumer was not touched; its handle leads to the new provider, which has the old rows.
    assert_eq!(get(&kernel, "/_report/add/a").await.1, "2");
    kernel.restart().await.unwrap();
    assert_eq!(get(&kernel, "/_counts/version").await.1, "0.2.0");
    assert_eq!(get(&kernel, "/_report/add/a").await.1, "3");
    // And back: the same bytes are loaded once per process and may join again.
    kernel.add_library(&Library::Counts.path()).await.unwrap();
    assert_eq!(get(&kernel, "/_counts/version").await.1, "0.1.0");
}

#[tokio::test]
async fn a_selection_is_exactly_what_it_names_and_what_that_requires() {
    let mut kernel = node(&[Library::Counts, Library::Report, Library::Unruly]).await;
    kernel.restart_with(Some(&["report"])).await.unwrap();
    assert_eq!(kernel.kernel().started(), ["counts", "report"]);
    assert_eq!(get(&kernel, "/_report/add/a").await.0, 200);
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 404);
    kernel.restart_with(Some(&["unruly"])).await.unwrap();
    assert_eq!(kernel.kernel().started(), ["unruly"]);
    let error = kernel.restart_with(Some(&["nobody"])).await.unwrap_err();
    assert!(error.message().contains("nobody") && error.message().contains("report"), "{error}");
    // The selection is of one start; what is enabled did not change.
    kernel.restart_with(None).await.unwrap();
    assert_eq!(kernel.kernel().started(), ["counts", "report", "unruly"]);
}

#[tokio::test]
async fn what_a_selection_runs_is_protected_like_what_is_enabled() {
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    disable(&kernel, "report", false).await.unwrap();
    kernel.restart_with(Some(&["report"])).await.unwrap();
    let error = disable(&kernel, "counts", false).await.unwrap_err();
    assert_eq!(error.code(), "REQUIRED_BY_OTHERS");
    assert_eq!(get(&kernel, "/_report/add/a").await.0, 200);
}

/// The rows of the tallies, read from the file itself.
fn tallies(cartridge: &Path) -> Vec<(String, i64)> {
    let file = rusqlite::Connection::open(cartridge).unwrap();
    let mut rows = file.prepare("SELECT name, count FROM counts_tally ORDER BY name").unwrap();
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_plugin_that_is_left_out_disabled_or_removed_leaves_its_tables() {
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    assert_eq!(get(&kernel, "/_report/add/a").await.1, "1");
    let expected = [("a".to_owned(), 1)];

    kernel.restart_with(Some(&[])).await.unwrap();
    assert!(kernel.kernel().started().is_empty());
    kernel.stop().await.unwrap();
    assert_eq!(tallies(&kernel.cartridge()), expected, "left out");

    kernel.restart_with(None).await.unwrap();
    for name in ["report", "counts"] {
        kernel.operate(Method::Delete, &format!("/api/plugins/{name}"), json!({})).await.unwrap();
    }
    kernel.stop().await.unwrap();
    assert_eq!(tallies(&kernel.cartridge()), expected, "removed");

    kernel.restart().await.unwrap();
    kernel.add_library(&Library::Counts.path()).await.unwrap();
    kernel.add_library(&Library::Report.path()).await.unwrap();
    assert_eq!(get(&kernel, "/_report/add/a").await.1, "2", "found again");
}

/// A plugin that keeps its host where the test finds it.
#[derive(Default)]
struct Keeper;

static KEPT: Mutex<Option<(Host, Service<AppsApi>, fazt_sdk::cartridge::Upload)>> =
    Mutex::new(None);

impl Plugin for Keeper {
    fn manifest(&self) -> Manifest {
        Manifest::new("keeper", "1").requires::<AppsApi>()
    }

    fn start(&self, host: Host) -> Result<Started> {
        let (apps, upload) = (host.service()?, host.cartridge().upload(None)?);
        *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some((host, apps, upload));
        Ok(Started::new())
    }
}

#[tokio::test]
async fn after_its_stop_every_door_of_a_plugin_is_shut() {
    let keeper = BuiltIn { name: "keeper", root: root_of::<Keeper> };
    let kernel = TestKernel::with(vec![keeper]).await.unwrap();
    let taken = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (host, apps, mut upload) = taken.unwrap();
    let call = fazt_sdk::call::CallBuilder::new(Principal::System, 1).build();
    let cartridge = host.cartridge();
    assert!(apps.find(&call, "none").await.unwrap().is_none());
    upload.push(Bytes::from_static(b"x")).await.unwrap();
    disable(&kernel, "keeper", false).await.unwrap();

    let refused = [
        ("a service it held", apps.find(&call, "none").await.err()),
        ("an upload it began", upload.push(Bytes::from_static(b"x")).await.err()),
        ("a new handle", host.service::<AppsApi>().err()),
        ("a read", cartridge.read(|reader| reader.first("SELECT 1", params![], |_| Ok(()))).err()),
        ("a scan", cartridge.scan(|_| Ok(())).await.err()),
        ("a write", cartridge.write(None, |_| Ok(())).await.err()),
        ("contents", cartridge.put_blobs(None, vec![Bytes::from_static(b"x")]).await.err()),
        ("a new upload", cartridge.upload(None).err()),
        ("a task", host.tasks().spawn("late", || async { Ok(()) }).err()),
        ("a spool", host.spool().err()),
        ("a seal", host.seal("label", b"x").err()),
    ];
    for (what, error) in refused {
        let error = error.unwrap_or_else(|| panic!("{what} was not refused"));
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
    }
    assert!(host.random(8).is_empty());
}

#[tokio::test]
async fn calls_that_never_end_are_dropped_when_their_plugin_was_given_its_time() {
    let kernel = node(&[Library::Unruly]).await;
    let mut hanging = Box::pin(get(&kernel, "/_unruly/do/hang"));
    assert!(hanging.as_mut().now_or_never().is_none());
    let stop = async {
        let before = tokio::time::Instant::now();
        let stopped = disable(&kernel, "unruly", false).await;
        (stopped, before.elapsed())
    };
    let both = async { tokio::join!(hanging, stop) };
    let ended = tokio::time::timeout(Duration::from_secs(60), both).await;
    let ((status, text), (stopped, took)) = ended.expect("the call was never dropped");
    assert_eq!(status, 503, "{text}");
    stopped.unwrap();
    assert!((10..20).contains(&took.as_secs()), "{took:?}");
    let state: Json = info(&kernel, "unruly").await;
    assert_eq!(state["state"], "stopped");
    enable(&kernel, "unruly").await.unwrap();
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
}

/// Resident bytes and open descriptors of this process.
fn held() -> (u64, usize) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    (pages * 4096, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Runs in a process of its own: other tests would be counted too.
#[test]
fn five_hundred_starts_and_stops_leave_nothing_behind() {
    const CHILD: &str = "BOUNDARY_CYCLES_CHILD";
    if fazt_tests::setting(CHILD, 0) == 1 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(cycles());
    }
    drop((Library::Counts.path(), Library::Report.path()));
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("boundary::lifecycle::five_hundred_starts_and_stops_leave_nothing_behind")
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn cycles() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let cycle = async || {
        disable(&kernel, "counts", true).await.unwrap();
        enable(&kernel, "report").await.unwrap();
        assert_eq!(get(&kernel, "/_report/add/a").await.0, 200);
    };
    for _ in 0..100 {
        cycle().await;
    }
    let (bytes_before, files_before) = held();
    for _ in 0..400 {
        cycle().await;
    }
    let (bytes, files) = held();
    println!(
        "after 500 cycles: {bytes} bytes, {files} files; after 100: {bytes_before}, {files_before}"
    );
    assert_eq!(files, files_before);
    // A leak of one instance, one host or one library would be 400 times some KiB.
    assert!(bytes.saturating_sub(bytes_before) < 4 << 20, "{bytes_before} to {bytes}");
}
