//! Settings: what is refused, what survives, and what is right again after a race.

use std::collections::BTreeMap;
use std::sync::Arc;

use fazt_kernel::{BootOptions, Kernel, Mode};
use fazt_sdk::http::Method;
use fazt_testkit::TestKernel;
use serde_json::{Value, json};

use crate::gadget::GADGET;

async fn set(node: &TestKernel, name: &str, value: &str) -> Result<Value, fazt_sdk::Error> {
    node.operate(Method::Put, &format!("/api/settings/{name}"), json!({ "value": value })).await
}

#[tokio::test]
async fn an_unknown_setting_is_refused_with_the_nearest_known_one() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let error = set(&node, "server.domian", "example.com").await.unwrap_err();
    assert_eq!(error.code(), "NO_SUCH_SETTING");
    assert!(error.message().contains("server.domain"), "{error}");
    let started = TestKernel::configured(vec![], vec![], &[("server.prot", "80")]).await;
    assert!(started.err().unwrap().message().contains("server.port"));
    let started = TestKernel::configured(vec![], vec![], &[("server.port", "many")]).await;
    assert!(started.err().unwrap().message().contains("whole number"));
}

#[tokio::test]
async fn a_domain_is_a_host_name_or_is_refused() {
    let node = TestKernel::with(vec![]).await.unwrap();
    for bad in
        ["Example.com", "example.com:80", "https://example.com", "ex ample.com", "", "192.0.2.1"]
    {
        let error = set(&node, "server.domain", bad).await.unwrap_err();
        assert!(error.message().contains("host name"), "{bad}: {error}");
    }
    set(&node, "server.domain", "example.com").await.unwrap();
    let started = TestKernel::configured(vec![], vec![], &[("server.domain", "no domain")]).await;
    assert!(started.is_err());
}

#[tokio::test]
async fn settings_survive_a_restart() {
    let mut node = TestKernel::with(vec![GADGET]).await.unwrap();
    set(&node, "server.domain", "example.com").await.unwrap();
    set(&node, "gadget.label", "mine").await.unwrap();
    node.restart().await.unwrap();
    assert_eq!(node.kernel().setting("server.domain").unwrap(), "example.com");
    assert_eq!(node.kernel().setting("gadget.label").unwrap(), "mine");
    assert_eq!(node.kernel().url("blog"), "http://blog.example.com:8080");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_disk_agree_after_changes_that_raced() {
    let mut node = Arc::new(TestKernel::with(vec![GADGET]).await.unwrap());
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let node = Arc::clone(&node);
        racers.spawn(async move { set(&node, "gadget.label", &format!("n{number}")).await });
    }
    while let Some(done) = racers.join_next().await {
        done.unwrap().unwrap();
    }
    let before = node.kernel().setting("gadget.label").unwrap();
    Arc::get_mut(&mut node).unwrap().restart().await.unwrap();
    assert_eq!(node.kernel().setting("gadget.label").unwrap(), before);
}

#[tokio::test]
async fn a_command_writes_nothing_that_nobody_asked_for_and_migrates_nothing() {
    let mut node = TestKernel::with(vec![]).await.unwrap();
    node.stop().await.unwrap();
    let mut options = BootOptions::new(node.cartridge(), Mode::Command, vec![GADGET]);
    options.settings = BTreeMap::from([("gadget.label".to_owned(), "told".to_owned())]);
    let kernel = Kernel::boot(options).await.unwrap();
    assert_eq!(kernel.setting("gadget.label").unwrap(), "told");
    kernel.stop().await.unwrap();
    let left: Vec<_> = std::fs::read_dir(node.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("wal") || name.contains("sock"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
