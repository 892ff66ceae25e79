//! Apps that move: export, import, fork, removal.

use fazt_sdk::services::sites::FileVisibility;

use crate::probe::{Question, Reply};
use crate::world::{Site, World, noise};

const PATHS: [&str; 5] = ["/", "/a.txt", "/large.bin", "/medium.bin", "/some/route"];

fn site(version: usize) -> Site {
    Site::new()
        .file("index.html", format!("v{version}"))
        .file("a.txt", "shared by all versions")
        .file("empty.txt", "")
        .file("large.bin", noise((2 << 20) + version))
        .file("medium.bin", noise(300_000))
        .spa(version == 2)
}

#[tokio::test]
async fn an_export_imported_elsewhere_is_the_same_app() {
    let world = World::new().await;
    for version in 1..=3 {
        world.deploy("one", &site(version)).await;
    }
    world.roll_back("one", Some(2)).await;
    let pages = world.export("one").await;
    assert!(pages.len() > 6, "{} pages", pages.len());
    let largest = pages.iter().map(|page| page.iter().map(Vec::len).sum::<usize>()).max();
    assert!(largest.unwrap() <= 1 << 20, "{largest:?}");
    let total: usize = pages.iter().flatten().map(Vec::len).sum();
    assert!(total < 3 * (2 << 20) + 300_000 + 65_536, "{total}: shared content goes once");

    let check = async |world: &World, app: &str| {
        let here = world.snapshot(app, &PATHS).await;
        assert_eq!(here[0].1, 200);
        assert_eq!(world.versions(app).await, [3, 2, 1]);
        here
    };
    let original = check(&world, "one").await;
    // Into another app of the same node, twice: the second time changes nothing.
    world.create_app("two").await;
    for _ in 0..2 {
        world.import("two", &pages).await;
        assert_eq!(check(&world, "two").await, original);
    }
    // Into another node, with every page twice, as a client does that lost the answers.
    let other = World::new().await;
    other.create_app("three").await;
    for page in &pages {
        other.import("three", std::slice::from_ref(page)).await;
        other.import("three", std::slice::from_ref(page)).await;
    }
    assert_eq!(check(&other, "three").await, original);
    assert_eq!(check(&world, "one").await, original, "the original stays as it was");
    for (to, text) in [(1, "v1"), (3, "v3")] {
        assert_eq!(other.roll_back("three", Some(to)).await.status, 200);
        assert_eq!(other.get("three", "/").await.text(), text);
    }
    assert_eq!(other.export("three").await.len(), pages.len());
}

#[tokio::test]
async fn a_damaged_import_is_refused_and_serves_nothing() {
    let world = World::new().await;
    world.deploy("one", &site(1)).await;
    let pages = world.export("one").await;
    let other = World::new().await;
    other.create_app("two").await;
    // Without its content.
    let error = other.try_import("two", &pages[pages.len() - 2..]).await.unwrap_err();
    assert_eq!(error.code(), "IMPORT_DAMAGED", "{error}");
    assert_eq!(other.get("two", "/").await.status, 404);
    // With a part of a large content left out.
    let mut cut = pages.clone();
    cut.remove(1);
    assert!(other.try_import("two", &cut).await.is_err());
    assert_eq!(other.get("two", "/").await.status, 404);
    // With another byte somewhere in the content.
    let mut changed = pages.clone();
    let record = changed[0].last_mut().unwrap();
    let last = record.len() - 1;
    record[last] ^= 1;
    let error = other.try_import("two", &changed).await.unwrap_err();
    assert!(error.message().contains("hash"), "{error}");
    assert_eq!(other.get("two", "/").await.status, 404);
    // With a path that no archive may have.
    let mut escaping = pages.clone();
    for record in escaping.iter_mut().flatten() {
        if let Some(at) = record.windows(5).position(|five| five == b"a.txt") {
            record[at..at + 5].copy_from_slice(b"../ax");
        }
    }
    let error = other.try_import("two", &escaping).await.unwrap_err();
    assert!(error.message().contains("canonical"), "{error}");
    assert_eq!(other.get("two", "/").await.status, 404);
    // Cut short.
    let mut short = pages.clone();
    short[0][0].pop();
    assert!(other.try_import("two", &short).await.is_err());
    other.import("two", &pages).await;
    assert_eq!(other.snapshot("two", &PATHS).await, world.snapshot("one", &PATHS).await);
}

#[tokio::test]
async fn a_fork_starts_with_what_is_active_and_goes_its_own_way() {
    let world = World::new().await;
    for version in 1..=2 {
        world.deploy("one", &site(version)).await;
    }
    world.create_app("two").await;
    let blobs = world.rows().await["blob"];
    for _ in 0..2 {
        world.fork("one", "two").await;
        assert_eq!(world.snapshot("two", &PATHS).await, world.snapshot("one", &PATHS).await);
        assert_eq!(world.versions("two").await, [1]);
    }
    assert_eq!(world.rows().await["blob"], blobs, "content is shared");
    world.deploy("two", &Site::new().file("index.html", "mine")).await;
    assert_eq!(world.get("two", "/").await.text(), "mine");
    assert_eq!(world.get("one", "/").await.text(), "v2");
    world.create_app("three").await;
    world.create_app("four").await;
    world.fork("three", "four").await;
    assert_eq!(world.get("four", "/").await.status, 404, "a fork of nothing is nothing");
}

#[tokio::test]
async fn usage_counts_content_once() {
    let world = World::new().await;
    world.deploy("one", &Site::new().file("a", "12345").file("b", "12345").file("c", "678")).await;
    world.deploy("one", &Site::new().file("a", "12345")).await;
    let usage = world.usage("one").await;
    let find = |what: &str| usage.iter().find(|usage| usage.what == what).unwrap().clone();
    assert_eq!(find("deployments").count, 2);
    assert_eq!((find("files").count, find("files").bytes), (4, 8));
}

#[tokio::test]
async fn a_removed_app_leaves_no_rows_and_its_neighbors_stay() {
    let world = World::new().await;
    world.deploy("one", &site(1)).await;
    world.deploy("two", &site(1)).await;
    let two = world.snapshot("two", &PATHS).await;
    world.remove_app("one").await;
    world.until(async |world| world.rows().await["hosting_deployment"] == 1).await;
    let rows = world.rows().await;
    assert_eq!((rows["hosting_file"], rows["hosting_active"]), (5, 1));
    assert_eq!(world.snapshot("two", &PATHS).await, two);

    world.delete_data("two").await;
    let rows = world.rows().await;
    assert_eq!(
        (rows["hosting_file"], rows["hosting_deployment"], rows["hosting_active"]),
        (0, 0, 0)
    );
    assert_eq!(world.get("two", "/").await.status, 404);
    world.delete_data("two").await;
}

#[tokio::test]
async fn a_removed_name_can_be_deployed_to_again() {
    let world = World::new().await;
    world.deploy("one", &Site::new().file("index.html", "old")).await;
    world.remove_app("one").await;
    world.deploy("one", &Site::new().file("index.html", "new")).await;
    assert_eq!(world.get("one", "/").await.text(), "new");
    assert_eq!(world.versions("one").await, [1]);
}

#[tokio::test]
async fn other_plugins_read_files_and_hear_of_activations() {
    let world = World::new().await;
    let large = noise((1 << 20) + 1);
    let site = Site::new().file("api/main.js", "code").file("private/a", "").file("large", large);
    world.deploy("one", &site).await;
    let app = world.app("one").await;
    let Reply::Active(Some(active)) = world.ask(Question::Active(app)).await.unwrap() else {
        panic!("nothing is active")
    };
    assert_eq!((active.app, active.version, active.file_count), (app, 1, 3));
    let file = async |path: &str| {
        let question = Question::File { app, path: path.to_owned() };
        let Reply::File(file) = world.ask(question).await.unwrap() else { panic!("{path}") };
        file
    };
    let code = file("api/main.js").await.unwrap();
    assert_eq!(code.content.as_deref(), Some(&b"code"[..]));
    assert_eq!((code.visibility, code.deployment), (FileVisibility::Server, active.id.clone()));
    let private = file("private/a").await.unwrap();
    assert_eq!((private.visibility, private.content), (FileVisibility::Private, Some("".into())));
    let large = file("large").await.unwrap();
    assert_eq!((large.size, large.content), ((1 << 20) + 1, None));
    assert_eq!(file("/api/main.js").await, None, "a path is relative");
    assert_eq!(file("api").await, None);

    world.deploy("one", &Site::new().file("index.html", "2")).await;
    world.roll_back("one", None).await;
    assert_eq!(world.upload_bytes("one", b"no archive").await.status, 400);
    let events = async |world: &World| {
        let Ok(Reply::Activations(seen)) = world.ask(Question::Activations).await else {
            panic!("the probe is silent")
        };
        seen
    };
    world.until(async |world| events(world).await.len() >= 3).await;
    let seen = events(&world).await;
    let versions: Vec<_> = seen.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 1]);
    assert_eq!(seen[0].previous, None);
    assert_eq!(seen[1].previous.as_ref(), Some(&seen[0].deployment));
    assert_eq!(seen[2].deployment, seen[0].deployment);
    world.ask(Question::DeleteUser("somebody".to_owned())).await.unwrap();
    assert_eq!(world.get("one", "/api/main.js").await.status, 404);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut world = World::new().await;
    world.deploy("one", &site(1)).await;
    world.deploy("one", &site(2)).await;
    let before = world.snapshot("one", &PATHS).await;
    world.restart().await;
    assert_eq!(world.snapshot("one", &PATHS).await, before);
    assert_eq!(world.roll_back("one", None).await.status, 200);
    assert_eq!(world.get("one", "/").await.text(), "v1");
}
