//! What a deploy changes, and what it never leaves behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::hostile;
use crate::world::{Site, World, noise};

#[tokio::test]
async fn a_deploy_answers_with_what_it_made() {
    let world = World::new().await;
    let site =
        Site::new().file("index.html", "home").file("a/b.txt", "12345").file("c.txt", "12345");
    let reply = world.upload("blog", &site).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let data = &reply.json()["data"];
    assert_eq!(data["site"], "blog");
    assert!(data["app_id"].as_str().unwrap().starts_with("fazt_app_"));
    assert!(data["deployment_id"].as_str().unwrap().starts_with("dep_"));
    assert_eq!(data["deployment_id"].as_str().unwrap().len(), 16);
    assert_eq!((&data["version"], &data["file_count"]), (&Value::from(1), &Value::from(3)));
    assert_eq!((&data["size_bytes"], &data["new_files"]), (&Value::from(14), &Value::from(2)));
    assert_eq!(data["warnings"], Value::from(Vec::<Value>::new()));
    assert!(data["url"].as_str().unwrap().contains("blog."), "{data}");
    assert_eq!(data["message"], "Deployment successful");

    let again = world.upload("blog", &site).await.json();
    assert_eq!((&again["data"]["version"], &again["data"]["new_files"]), (&2.into(), &0.into()));
    assert_eq!(again["data"]["app_id"], data["app_id"]);

    let folder = world.upload("blog", &Site::new().file("dist/index.html", "x")).await.json();
    assert!(folder["data"]["warnings"][0].as_str().unwrap().contains("dist"), "{folder}");
    let case = Site::new().file("index.html", "x").file("A.txt", "a").file("a.txt", "b");
    let case = world.upload("blog", &case).await.json();
    assert!(case["data"]["warnings"][0].as_str().unwrap().contains("A.txt"), "{case}");
}

#[tokio::test]
async fn an_older_deployment_comes_back_byte_for_byte() {
    let world = World::new().await;
    let contents: Vec<_> = (0..4).map(|version| noise(300_000 + version)).collect();
    let mut etags = Vec::new();
    for (version, content) in contents.iter().enumerate() {
        let site = Site::new()
            .file("index.html", format!("v{version}"))
            .file("data.bin", content)
            .file(&format!("only-{version}.txt"), "x")
            .spa(version == 2);
        world.deploy("blog", &site).await;
        etags.push(world.get("blog", "/data.bin").await.header("etag").unwrap().to_owned());
    }
    // By number, back by one, and forth again: version N has index N - 1.
    for (to, expected) in [(Some(1), 0), (Some(4), 3), (None, 2), (None, 1), (Some(3), 2)] {
        let reply = world.roll_back("blog", to).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["data"]["version"], expected + 1);
        assert_eq!(world.get("blog", "/").await.text(), format!("v{expected}"));
        let data = world.get("blog", "/data.bin").await;
        assert!(data.body == contents[expected]);
        assert_eq!(data.header("etag"), Some(etags[expected].as_str()));
        for version in 0..4 {
            let reply = world.get("blog", &format!("/only-{version}.txt")).await;
            assert_eq!(reply.status == 200, version == expected, "{version}");
        }
        let is_spa = world.get("blog", "/some/route").await.status == 200;
        assert_eq!(is_spa, expected == 2);
    }
    assert_eq!(world.roll_back("blog", Some(3)).await.status, 409, "it is active already");
    assert_eq!(world.roll_back("blog", Some(99)).await.status, 404);
    assert_eq!(world.roll_back("none", None).await.status, 404);
    world.roll_back("blog", Some(1)).await;
    assert_eq!(world.roll_back("blog", None).await.status, 404, "nothing is before the first");
    world.create_app("empty").await;
    assert_eq!(world.roll_back("empty", None).await.status, 404);

    let reply = world.upload("blog", &Site::new().file("index.html", "new")).await;
    assert_eq!(reply.json()["data"]["version"], 5, "numbers are not used again");
}

#[tokio::test]
async fn a_hostile_archive_leaves_nothing_and_names_its_entry() {
    let world = World::new().await;
    world
        .deploy("blog", &Site::new().file("index.html", "old").file("data.bin", noise(9999)))
        .await;
    let before = world.snapshot("blog", &["/", "/data.bin"]).await;
    let rows = world.rows().await;
    let mut codes = BTreeSet::new();
    for (name, code, archive) in hostile::all() {
        let reply = world.upload_bytes("blog", &archive).await;
        let error = reply.json()["error"].clone();
        assert!(matches!(reply.status, 400 | 413), "{name}: {}", reply.text());
        assert_eq!(error["code"], code, "{name}");
        if let Some(entry) = error["details"]["entry"].as_str() {
            assert!(error["message"].as_str().unwrap().contains(entry), "{name}: {error}");
        }
        codes.insert(code);
        let fresh = world.upload_bytes("fresh", &archive).await;
        assert_eq!(fresh.status, reply.status, "{name}");
    }
    assert!(codes.len() > 20, "{codes:?}");
    assert_eq!(world.rows().await, rows, "no row and no blob is new");
    assert_eq!(world.snapshot("blog", &["/", "/data.bin"]).await, before);
    assert!(!world.has_app("fresh").await, "a refused archive makes no app");
}

#[tokio::test]
async fn content_is_stored_once() {
    let world = World::new().await;
    let large = noise(700_000);
    let site = Site::new().file("index.html", "home").file("a.bin", &large).file("b.bin", &large);
    let before = world.rows().await["blob"];
    world.deploy("one", &site).await;
    let blobs = world.rows().await["blob"];
    assert_eq!(blobs - before, 2);
    world.deploy("one", &site).await;
    world.deploy("two", &site).await;
    assert_eq!(world.rows().await["blob"], blobs);
    assert!(world.get("two", "/b.bin").await.body == large);
}

#[tokio::test]
async fn the_last_deployments_stay_and_the_active_one_always() {
    let world = World::with(&[("hosting.keep_deployments", "3")]).await;
    for version in 1..=5 {
        world.deploy("blog", &Site::new().file("index.html", format!("v{version}"))).await;
    }
    assert_eq!(world.versions("blog").await, [5, 4, 3]);
    assert_eq!(world.rows().await["hosting_file"], 3, "files go with their deployment");
    world.roll_back("blog", Some(3)).await;
    // Deploying activates: the old one may go only when it is not served any more.
    world.deploy("blog", &Site::new().file("index.html", "v6")).await;
    assert_eq!(world.versions("blog").await, [6, 5, 4]);
    assert_eq!(world.roll_back("blog", Some(3)).await.status, 404);
    assert_eq!(world.get("blog", "/").await.text(), "v6");
}

#[tokio::test]
async fn content_of_a_pruned_deployment_is_stored_again() {
    let world = World::with(&[("hosting.keep_deployments", "1")]).await;
    let site = |text: &str| Site::new().file("index.html", text).file("a.txt", "shared");
    for text in ["one", "two", "one", "three", "one"] {
        world.deploy("blog", &site(text)).await;
        assert_eq!(world.get("blog", "/").await.text(), text);
        assert_eq!(world.get("blog", "/a.txt").await.text(), "shared");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_deploys_at_the_same_time_one_wins_whole() {
    let world = Arc::new(World::new().await);
    let site = |number: usize| {
        let mut site = Site::new();
        for file in 0..20 {
            site = site.file(&format!("{file}.txt"), format!("{number}"));
        }
        site.file(&format!("only-{number}.txt"), "x").file("big.bin", noise(400_000 + number))
    };
    let mut deploys = JoinSet::new();
    for number in 0..20 {
        let (world, site) = (Arc::clone(&world), site(number));
        deploys.spawn(async move { world.upload("blog", &site).await });
    }
    let mut versions = BTreeSet::new();
    for reply in deploys.join_all().await {
        assert_eq!(reply.status, 200, "{}", reply.text());
        versions.insert(reply.json()["data"]["version"].as_u64().unwrap());
    }
    assert_eq!(versions, (1..=20).collect(), "each has a number of its own");
    let winner: usize = world.get("blog", "/0.txt").await.text().parse().unwrap();
    for file in 0..20 {
        let text = world.get("blog", &format!("/{file}.txt")).await.text().to_owned();
        assert_eq!(text, winner.to_string());
    }
    assert_eq!(world.get("blog", "/big.bin").await.body.len(), 400_000 + winner);
    for number in 0..20 {
        let reply = world.get("blog", &format!("/only-{number}.txt")).await;
        assert_eq!(reply.status == 200, number == winner);
    }
    assert_eq!(world.versions("blog").await.first(), Some(&20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_two_deployments_at_once() {
    read_while_deploying(World::new().await).await;
}

/// As above, with so little memory for indexes that most requests read one from the cartridge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_read_during_an_activation_is_not_kept() {
    let world = World::with(&[("hosting.index_entries", "1000")]).await;
    let mut site = Site::new();
    for file in 0..1000 {
        site = site.file(&format!("{file}.txt"), "x");
    }
    world.deploy("other", &site).await;
    read_while_deploying(world).await;
}

/// Between two equal pages nothing was activated: what was read in between belongs to them.
async fn read_while_deploying(world: World) {
    const DEPLOYS: u64 = 50;
    let world = Arc::new(world);
    world.create_app("other").await;
    let site = |version: u64| {
        Site::new().file("index.html", version.to_string()).file("app.js", version.to_string())
    };
    world.deploy("blog", &site(1)).await;
    let (is_over, pairs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (world, is_over, pairs) =
            (Arc::clone(&world), Arc::clone(&is_over), Arc::clone(&pairs));
        readers.spawn(async move {
            let read = async |path: &str| {
                let reply = world.get("blog", path).await;
                assert_eq!(reply.status, 200);
                reply.text().parse::<u64>().unwrap()
            };
            while !is_over.load(Ordering::Relaxed) {
                let (page, script) = (read("/").await, read("/app.js").await);
                let after = read("/").await;
                assert!(page <= script && script <= after, "{page} {script} {after}");
                pairs.fetch_add(u64::from(page == after), Ordering::Relaxed);
                world.get("other", "/1.txt").await;
                tokio::task::yield_now().await;
            }
        });
    }
    for version in 2..=DEPLOYS {
        world.deploy("blog", &site(version)).await;
        assert_eq!(world.get("blog", "/").await.text(), version.to_string(), "at once");
    }
    is_over.store(true, Ordering::Relaxed);
    readers.join_all().await;
    assert!(pairs.load(Ordering::Relaxed) > 50, "{pairs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_go_on_while_content_that_they_share_goes_away() {
    let world = Arc::new(World::with(&[("hosting.keep_deployments", "1")]).await);
    let site = Site::new().file("index.html", "shared").file("large.bin", noise(600_000));
    world.deploy("original", &site).await;
    world.create_app("copy").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut background = JoinSet::new();
    {
        let (world, is_over) = (Arc::clone(&world), Arc::clone(&is_over));
        background.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                world.fork("original", "copy").await;
                world.delete_data("copy").await;
            }
        });
    }
    for number in 0..40 {
        world.deploy(&format!("app{}", number % 3), &site).await;
    }
    is_over.store(true, Ordering::Relaxed);
    background.join_all().await;
    assert_eq!(world.get("app2", "/large.bin").await.body.len(), 600_000);
}

/// Deploys wait for their turn: the last of them come long after the removal was followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_removed_during_deploys_leaves_nothing() {
    let world = Arc::new(World::new().await);
    let site = Site::new().file("index.html", "x").file("large.bin", noise(6 << 20));
    let archive = bytes::Bytes::from(site.zip());
    world.create_app("gone").await;
    let mut deploys = JoinSet::new();
    for _ in 0..10 {
        let (world, archive) = (Arc::clone(&world), archive.clone());
        deploys.spawn(async move { world.upload_plain("gone", archive).await.status });
    }
    world.until(async |world| world.rows().await["hosting_deployment"] > 0).await;
    world.remove_app("gone").await;
    let statuses = deploys.join_all().await;
    assert!(statuses.contains(&200) && statuses.contains(&409), "{statuses:?}");
    world.until(async |world| world.rows().await["hosting_deployment"] == 0).await;
    let rows = world.rows().await;
    assert_eq!((rows["hosting_file"], rows["hosting_active"]), (0, 0));
    assert!(!world.has_app("gone").await);
}
