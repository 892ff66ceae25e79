//! Content that nobody refers to goes away, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_testkit::Caller;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::lists::sha256;
use crate::world::{Site, World, noise};

const HOURS: Duration = Duration::from_secs(2 * 3_600);

impl World {
    pub(crate) async fn collect(&self) -> Value {
        let reply = self.api("POST", "/api/system/cartridge/gc").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["data"].clone()
    }

    async fn blobs(&self) -> u64 {
        self.rows().await["blob"]
    }
}

#[tokio::test]
async fn what_nobody_refers_to_goes_and_what_somebody_does_stays() {
    let world = World::with(&[("hosting.keep_deployments", "1")]).await;
    let (old, shared, large) = (noise(5_000), noise(6_000), noise(20 << 20));
    let first = Site::new().file("old.bin", &old).file("shared.bin", &shared);
    world.deploy("blog", &first.file("large.bin", &large)).await;
    world.deploy("other", &Site::new().file("shared.bin", &shared)).await;
    world.deploy("blog", &Site::new().file("index.html", "new")).await;
    let before = world.blobs().await;
    assert_eq!(world.collect().await["deleted"], 0, "young");
    world.advance(HOURS);
    let collected = world.collect().await;
    assert_eq!((&collected["finished"], &collected["deleted"]), (&json!(true), &json!(2)));
    assert_eq!(collected["deleted_bytes"], 5_000 + (20 << 20));
    assert_eq!(world.blobs().await, before - 2);
    assert_eq!(world.get("blog", "/").await.text(), "new");
    assert!(world.get("other", "/shared.bin").await.body == shared);
    let info = world.api("GET", "/api/system/cartridge").await.json()["data"].clone();
    assert_eq!(
        (&info["garbage"]["deleted"], &info["garbage"]["blocked_by"]),
        (&json!(2), &json!([]))
    );
    assert!(info["free_bytes"].as_u64().unwrap() > 20 << 20, "{info}");
    let chunks =
        info["tables"].as_array().unwrap().iter().find(|table| table["name"] == "blob_chunk");
    assert_eq!(chunks.unwrap()["rows"], 0, "a large content goes whole");

    // It can be stored again.
    world.deploy("blog", &Site::new().file("old.bin", &old)).await;
    assert!(world.get("blog", "/old.bin").await.body == old);
}

#[tokio::test]
async fn what_a_pending_deployment_waits_for_stays() {
    let world = World::new().await;
    let content = noise(9_000);
    let list = json!({"files": [{"path": "a", "sha256": sha256(&content), "size": 9_000},
                                {"path": "b", "sha256": sha256(b"later"), "size": 5}]});
    let begun = world.begin("blog", &list).await.json()["data"].clone();
    world.put(&sha256(&content), &content).await;
    // The content is older than the hour for which anything is spared, the deployment is not.
    world.advance(Duration::from_secs(3_000));
    let begun_again = world.begin("blog", &list).await.json()["data"].clone();
    assert_eq!(begun_again["missing"], json!([sha256(b"later")]));
    world.advance(Duration::from_secs(3_590));
    world.collect().await;
    assert_eq!(world.put(&sha256(b"later"), b"later").await.status, 200);
    let late = world.activate(begun["deployment_id"].as_str().unwrap()).await;
    assert_eq!(late.status, 404);
    let reply = world.activate(begun_again["deployment_id"].as_str().unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(world.get("blog", "/a").await.body == content);
}

#[tokio::test]
async fn nothing_is_deleted_while_a_plugin_that_stores_content_is_left_out() {
    let mut world = World::configured(&[]).await;
    let old = Site::new().file("index.html", "old").file("a.bin", noise(400_000));
    let old = world.upload("blog", &old).await.json()["data"]["deployment_id"].clone();
    world.deploy("blog", &Site::new().file("index.html", "new")).await;
    world.api("DELETE", &format!("/api/deployments/{}", old.as_str().unwrap())).await;
    let before = world.blobs().await;
    world.advance(HOURS);
    world.restart_with(&["probe"]).await;
    let reply = world.api("POST", "/api/system/cartridge/gc").await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(reply.json()["error"]["code"], "PLUGIN_LEFT_OUT");
    let info = world.api("GET", "/api/system/cartridge").await.json()["data"].clone();
    assert_eq!(info["garbage"]["blocked_by"], json!(["hosting"]));
    assert_eq!(info["blobs"], before);
    world.restart_with(&["probe", "hosting"]).await;
    assert_eq!(world.get("blog", "/").await.text(), "new");
    assert_eq!(world.collect().await["deleted"], 2);
}

/// The caller goes away after more and more polls, which is where a node could be killed: all that it
/// did until then is durable.
#[tokio::test]
async fn a_round_that_is_cut_off_goes_on_and_ends() {
    let mut world = World::with(&[("hosting.keep_deployments", "1")]).await;
    let site = |version: u32| {
        let mut site = Site::new().file("index.html", version.to_string());
        for file in 0..150 {
            site = site.file(&format!("{file}.txt"), format!("{} of {version}", file));
        }
        site
    };
    for version in 0..3 {
        world.deploy("blog", &site(version)).await;
    }
    let before = world.blobs().await;
    world.advance(HOURS);
    let mut seen = BTreeSet::new();
    for polls in 0..60 {
        let headers: [(&str, &str); 0] = [];
        let path = "/api/system/cartridge/gc";
        let call = world.send_as(Caller::OWNER, Method::Post, path, &headers, Vec::new().into());
        let mut call = Box::pin(call);
        for _ in 0..polls {
            if futures_poll(&mut call).await.is_some() {
                break;
            }
        }
        drop(call);
        if polls % 20 == 19 {
            world.restart().await;
        }
        seen.insert(world.blobs().await);
        assert_eq!(world.get("blog", "/149.txt").await.text(), "149 of 2");
    }
    assert!(seen.len() > 2, "it was cut off at several points: {seen:?}");
    while world.collect().await["finished"] == false {}
    // A round that was under way does not look at what came before it.
    world.collect().await;
    assert_eq!(world.blobs().await, before - 302);
    for file in 0..150 {
        let expected = format!("{file} of 2");
        assert_eq!(world.get("blog", &format!("/{file}.txt")).await.text(), expected);
    }
}

/// Polls once; lets everything else run when it is not ready.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let polled = std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await;
    match polled {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => {
            tokio::time::sleep(Duration::from_micros(300)).await;
            None
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Deploys these contents to an app, as a preview or not.
    Deploy {
        app: u8,
        contents: Vec<u8>,
        preview: bool,
    },
    Rollback {
        app: u8,
    },
    RemoveDeployment {
        app: u8,
        which: prop::sample::Index,
    },
    RemoveApp {
        app: u8,
    },
    Advance {
        minutes: u16,
    },
    Collect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let app = 0_u8..2;
    let step = prop_oneof![
        4 => (app.clone(), proptest::collection::vec(0_u8..6, 1..4), any::<bool>())
            .prop_map(|(app, contents, preview)| Step::Deploy { app, contents, preview }),
        1 => app.clone().prop_map(|app| Step::Rollback { app }),
        1 => (app.clone(), any::<prop::sample::Index>())
            .prop_map(|(app, which)| Step::RemoveDeployment { app, which }),
        1 => app.prop_map(|app| Step::RemoveApp { app }),
        3 => (10_u16..130).prop_map(|minutes| Step::Advance { minutes }),
        3 => Just(Step::Collect),
    ];
    proptest::collection::vec(step, 1..20)
}

impl World {
    /// Every file of every deployment, by the deployment and its path.
    async fn everything(&self, apps: &BTreeSet<String>) -> BTreeMap<(String, String), Vec<u8>> {
        let mut all = BTreeMap::new();
        for app in apps {
            let list = self.api("GET", &format!("/api/apps/{app}/deployments")).await;
            for deployment in list.json()["data"].as_array().unwrap_or(&Vec::new()) {
                let id = deployment["deployment_id"].as_str().unwrap();
                let files = self.api("GET", &format!("/api/deployments/{id}/files")).await.json();
                for file in files["data"].as_array().unwrap() {
                    let path = file["path"].as_str().unwrap();
                    let content = format!("/api/deployments/{id}/content/{path}");
                    let content = self.api("GET", &content).await;
                    assert_eq!(content.status, 200, "{id} {path}");
                    assert_eq!(sha256(&content.body), file["sha256"].as_str().unwrap());
                    all.insert((id.to_owned(), path.to_owned()), content.body.to_vec());
                }
            }
        }
        all
    }

    async fn step(&self, step: &Step, apps: &mut BTreeSet<String>) {
        match step {
            Step::Deploy { app, contents, preview } => {
                let app = format!("app{app}");
                let bodies: Vec<_> =
                    contents.iter().map(|content| noise(1_000 + usize::from(*content))).collect();
                let paths: Vec<_> = (0..bodies.len()).map(|at| format!("{at}.bin")).collect();
                let files: Vec<(&str, &[u8])> = paths
                    .iter()
                    .map(String::as_str)
                    .zip(bodies.iter().map(Vec::as_slice))
                    .collect();
                let list: Vec<_> = files.iter().map(|(path, content)| {
                    json!({"path": path, "sha256": sha256(content), "size": content.len()})
                }).collect();
                let list = json!({"files": list, "preview": preview});
                self.deploy_list(&app, &list, &files).await;
                apps.insert(app);
            }
            Step::Rollback { app } => {
                self.roll_back(&format!("app{app}"), None).await;
            }
            Step::RemoveDeployment { app, which } => {
                let path = format!("/api/apps/app{app}/deployments");
                let list = self.api("GET", &path).await.json();
                let ids = list["data"].as_array().cloned().unwrap_or_default();
                if !ids.is_empty() {
                    let id =
                        ids[which.index(ids.len())]["deployment_id"].as_str().unwrap().to_owned();
                    self.api("DELETE", &format!("/api/deployments/{id}")).await;
                }
            }
            Step::RemoveApp { app } => {
                let app = format!("app{app}");
                if apps.remove(&app) {
                    self.remove_app(&app).await;
                }
            }
            Step::Advance { minutes } => {
                self.advance(Duration::from_secs(u64::from(*minutes) * 60));
            }
            Step::Collect => drop(self.collect().await),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_content_of_a_deployment_is_deleted(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with(&[("hosting.keep_deployments", "2"), ("hosting.keep_previews", "2")]).await;
            let mut apps = BTreeSet::new();
            for step in &steps {
                world.step(step, &mut apps).await;
                world.everything(&apps).await;
            }
            // And in the end only that is left.
            world.until(async |world| {
                // An app that was removed only ever had previews, perhaps: its files tell.
                let left = world.everything(&apps).await.len();
                world.rows().await["hosting_file"] as usize <= left
            }).await;
            world.advance(HOURS);
            world.collect().await;
            world.collect().await;
            let everything = world.everything(&apps).await;
            let contents: BTreeSet<_> = everything.values().collect();
            assert_eq!(world.blobs().await as usize, contents.len());
        });
    }
}
