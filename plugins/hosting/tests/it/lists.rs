//! Deploys by list: what is missing, what is sent, what becomes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fazt_sdk::call::Scope;
use fazt_sdk::http::Method;
use fazt_testkit::Caller;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::world::{Reply, Site, World, noise};

pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(files: &[(&str, &[u8])]) -> Value {
    let list: Vec<_> = files
        .iter()
        .map(|(path, content)| json!({"path": path, "sha256": sha256(content), "size": content.len()}))
        .collect();
    json!({ "files": list })
}

impl World {
    pub(crate) async fn begin(&self, app: &str, list: &Value) -> Reply {
        self.begin_as(Caller::OWNER, app, list).await
    }

    async fn begin_as(&self, caller: Caller, app: &str, list: &Value) -> Reply {
        let path = format!("/api/apps/{app}/deployments");
        self.api_as(caller, "POST", &path, &list.to_string()).await
    }

    pub(crate) async fn put(&self, sha256: &str, content: &[u8]) -> Reply {
        self.put_as(Caller::OWNER, sha256, content).await
    }

    async fn put_as(&self, caller: Caller, sha256: &str, content: &[u8]) -> Reply {
        let path = format!("/api/blobs/{sha256}");
        self.send_as(caller, Method::Put, &path, &[], Bytes::copy_from_slice(content)).await
    }

    async fn pack(&self, contents: &[&[u8]]) -> Reply {
        let mut pack = Vec::new();
        for content in contents {
            pack.extend_from_slice(&(content.len() as u64).to_be_bytes());
            pack.extend_from_slice(content);
        }
        self.pack_bytes(pack).await
    }

    async fn pack_bytes(&self, pack: Vec<u8>) -> Reply {
        let kind = [("content-type", "application/vnd.fazt.blobs")];
        self.send_as(Caller::OWNER, Method::Post, "/api/blobs", &kind, Bytes::from(pack)).await
    }

    pub(crate) async fn activate(&self, id: &str) -> Reply {
        self.api("POST", &format!("/api/deployments/{id}/activate")).await
    }

    /// Begins, sends what is missing, activates.
    pub(crate) async fn deploy_list(
        &self,
        app: &str,
        list: &Value,
        files: &[(&str, &[u8])],
    ) -> Value {
        let begun = self.begin(app, list).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
        let begun = begun.json()["data"].clone();
        for hash in begun["missing"].as_array().unwrap() {
            let hash = hash.as_str().unwrap();
            let (_, content) = files.iter().find(|(_, content)| sha256(content) == hash).unwrap();
            let put = self.put(hash, content).await;
            assert_eq!(put.status, 200, "{}", put.text());
        }
        let reply = self.activate(begun["deployment_id"].as_str().unwrap()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["data"].clone()
    }
}

fn id(begun: &Reply) -> String {
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.json()["data"]["deployment_id"].as_str().unwrap().to_owned()
}

fn missing(begun: &Reply) -> BTreeSet<String> {
    let data = begun.json()["data"].clone();
    let missing = data["missing"].as_array().unwrap();
    missing.iter().map(|hash| hash.as_str().unwrap().to_owned()).collect()
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for_and_the_rest_is_shared() {
    let world = World::new().await;
    let large = noise(700_000);
    let first: [(&str, &[u8]); 4] =
        [("index.html", b"one"), ("a.txt", b"same"), ("b.txt", b"same"), ("data.bin", &large)];
    let begun = world.begin("blog", &listed(&first)).await;
    let expected: BTreeSet<_> = [&b"one"[..], b"same", &large].into_iter().map(sha256).collect();
    assert_eq!(missing(&begun), expected, "each content once");
    assert!(!world.has_app("blog").await, "the app is made when something is deployed to it");
    let data = world.deploy_list("blog", &listed(&first), &first).await;
    assert_eq!((&data["version"], &data["new_files"]), (&json!(1), &json!(3)));
    assert_eq!((&data["file_count"], &data["size_bytes"]), (&json!(4), &json!(700_011)));
    assert_eq!((&data["site"], &data["active"]), (&json!("blog"), &json!(true)));
    assert!(world.get("blog", "/data.bin").await.body == large);
    assert_eq!(world.get("blog", "/b.txt").await.text(), "same");

    let second: [(&str, &[u8]); 3] =
        [("index.html", b"two"), ("a.txt", b"same"), ("data.bin", &large)];
    let begun = world.begin("blog", &listed(&second)).await;
    assert_eq!(missing(&begun), BTreeSet::from([sha256(b"two")]));
    assert_eq!(world.get("blog", "/").await.text(), "one");
    let data = world.deploy_list("blog", &listed(&second), &second).await;
    assert_eq!((&data["version"], &data["new_files"]), (&json!(2), &json!(1)));
    assert_eq!(world.get("blog", "/").await.text(), "two");
    assert_eq!(world.get("blog", "/b.txt").await.status, 404);

    // An archive and a list share their contents.
    let site = Site::new().file("index.html", "two").file("data.bin", &large);
    let reply = world.upload("other", &site).await.json();
    assert_eq!(reply["data"]["new_files"], 0, "{reply}");
}

#[tokio::test]
async fn a_list_that_breaks_a_rule_is_refused_and_leaves_nothing() {
    let world = World::with(&[
        ("hosting.archive_entries_max", "50"),
        ("hosting.archive_file_bytes_max", "1000"),
        ("hosting.archive_total_bytes_max", "3000"),
    ])
    .await;
    world.deploy("blog", &Site::new().file("index.html", "old")).await;
    let rows = world.rows().await;
    let hash = sha256(b"x");
    let file = |path: &str, size: u64| json!({"path": path, "sha256": hash, "size": size});
    let files = |paths: &[&str]| -> Value {
        json!({"files": paths.iter().map(|path| file(path, 1)).collect::<Vec<_>>()})
    };
    let long = "a/".repeat(300) + "a";
    let many: Vec<_> = (0..51).map(|number| file(&number.to_string(), 1)).collect();
    let total: Vec<_> = (0..4)
        .map(|number| {
            let hash = sha256(&[number]);
            json!({"path": number.to_string(), "sha256": hash, "size": 1000})
        })
        .collect();
    let cases: Vec<(&str, u16, &str, Value)> = vec![
        ("dots", 400, "PATH_NOT_CANONICAL", files(&["../x"])),
        ("absolute", 400, "PATH_NOT_CANONICAL", files(&["/abs"])),
        ("backslash", 400, "PATH_NOT_CANONICAL", files(&["..\\x"])),
        ("drive", 400, "PATH_NOT_CANONICAL", files(&["C:\\x"])),
        ("drive slash", 400, "PATH_NOT_CANONICAL", files(&["C:/x"])),
        ("directory", 400, "PATH_NOT_CANONICAL", files(&["a/"])),
        ("control", 400, "PATH_NOT_CANONICAL", files(&["a\u{7}b"])),
        ("nul", 400, "PATH_NOT_CANONICAL", files(&["a\0b"])),
        ("no name", 400, "PATH_NOT_CANONICAL", files(&[""])),
        ("long", 400, "PATH_TOO_LONG", files(&[&long])),
        ("twice", 400, "DUPLICATE_PATH", files(&["a", "b", "a"])),
        ("file and folder", 400, "FILE_IS_DIRECTORY", files(&["a", "a!", "a/b"])),
        ("nothing", 400, "EMPTY_ARCHIVE", files(&[])),
        ("too many", 413, "TOO_MANY_ENTRIES", json!({"files": many})),
        ("too large", 413, "FILE_TOO_LARGE", json!({"files": [file("a", 1001)]})),
        ("huge", 413, "FILE_TOO_LARGE", json!({"files": [file("a", u64::MAX)]})),
        ("too much", 413, "TOTAL_TOO_LARGE", json!({"files": total})),
        ("two sizes", 400, "SIZE_MISMATCH", json!({"files": [file("a", 1), file("b", 2)]})),
        (
            "not its size",
            400,
            "SIZE_MISMATCH",
            json!({"files": [{"path": "a", "sha256": sha256(b"old"), "size": 4}]}),
        ),
        (
            "short hash",
            400,
            "INVALID",
            json!({"files": [{"path": "a", "sha256": "ab", "size": 1}]}),
        ),
        (
            "upper case hash",
            400,
            "INVALID",
            json!({"files": [{"path": "a", "sha256": hash.to_uppercase(), "size": 1}]}),
        ),
        ("negative", 400, "INVALID", json!({"files": [{"path": "a", "sha256": hash, "size": -1}]})),
        ("no files", 400, "INVALID", json!({})),
        ("unknown field", 400, "INVALID", json!({"files": [file("a", 1)], "activate": true})),
        (
            "unknown field of a file",
            400,
            "INVALID",
            json!({"files": [{"path": "a", "sha256": hash, "size": 1, "mode": 7}]}),
        ),
        ("no list", 400, "INVALID", json!([1, 2])),
    ];
    for (name, status, expected, list) in cases {
        for app in ["blog", "fresh"] {
            let reply = world.begin(app, &list).await;
            assert_eq!(reply.status, status, "{name}: {}", reply.text());
            assert_eq!(code(&reply), expected, "{name}: {}", reply.text());
        }
    }
    let path = "/api/apps/blog/deployments";
    for body in ["", "{", "\u{0}", "{\"files\": [}"] {
        assert_eq!(world.api_as(Caller::OWNER, "POST", path, body).await.status, 400, "{body}");
    }
    assert_eq!(world.rows().await, rows, "no row and no blob is new");
    assert_eq!(world.get("blog", "/").await.text(), "old");
    assert!(!world.has_app("fresh").await);
}

#[tokio::test]
async fn content_is_taken_only_as_it_was_announced() {
    let world = World::new().await;
    let large = noise(600_000);
    let files: [(&str, &[u8]); 2] = [("index.html", b"small"), ("large.bin", &large)];
    let begun = world.begin("blog", &listed(&files)).await;
    let blobs = world.rows().await["blob"];
    let (small, large_hash) = (sha256(b"small"), sha256(&large));
    let mut other = large.clone();
    other[300_000] ^= 1;
    for (name, hash, content, status, expected) in [
        ("not announced", &sha256(b"x"), &b"x"[..], 409, "NOT_ANNOUNCED"),
        ("another content", &small, b"SMALL", 400, "HASH_MISMATCH"),
        ("too short", &small, b"sm", 400, "SIZE_MISMATCH"),
        ("too long", &small, b"smaller", 400, "SIZE_MISMATCH"),
        ("nothing", &small, b"", 400, "SIZE_MISMATCH"),
        ("another large content", &large_hash, &other, 400, "HASH_MISMATCH"),
        ("a large content that is cut", &large_hash, &large[..500_000], 400, "SIZE_MISMATCH"),
        ("no hash", &"zz".to_owned(), b"x", 400, "INVALID"),
    ] {
        let reply = world.put(hash, content).await;
        assert_eq!((reply.status, code(&reply).as_str()), (status, expected), "{name}");
    }
    assert_eq!(world.rows().await["blob"], blobs, "nothing of it is kept");
    let early = world.activate(&id(&begun)).await;
    assert_eq!((early.status, code(&early).as_str()), (409, "CONTENT_MISSING"));
    let named = early.json()["error"]["details"]["missing"].clone();
    assert_eq!(named.as_array().unwrap().len(), 2, "{named}");
    assert!(!world.has_app("blog").await);

    let stored = world.put(&small, b"small").await.json();
    assert_eq!(stored["data"], json!({"sha256": small, "size": 5, "stored": true}));
    let again = world.put(&small, b"small").await.json();
    assert_eq!(again["data"]["stored"], false);
    assert_eq!(code(&world.put(&small, b"SMALL").await), "HASH_MISMATCH");
    let early = world.activate(&id(&begun)).await;
    assert_eq!(early.json()["error"]["details"]["missing"], json!([large_hash]));
    assert_eq!(world.put(&large_hash, &large).await.status, 200);
    assert_eq!(world.activate(&id(&begun)).await.status, 200);
    assert!(world.get("blog", "/large.bin").await.body == large);

    let twice = world.activate(&id(&begun)).await;
    assert_eq!(twice.status, 409, "{}", twice.text());
    for unknown in ["dep_000000000000", "dep_x", "x"] {
        assert_eq!(world.activate(unknown).await.status, 404);
    }
    assert_eq!(code(&world.put(&small, b"small").await), "NOT_ANNOUNCED", "nobody waits any more");
}

#[tokio::test]
async fn a_pack_brings_many_contents_at_once() {
    let world = World::new().await;
    let contents: Vec<Vec<u8>> = (0..600).map(|number| format!("file {number}").into()).collect();
    let paths: Vec<String> = (0..600).map(|number| format!("{number}.txt")).collect();
    let files: Vec<(&str, &[u8])> =
        paths.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
    let begun = world.begin("blog", &listed(&files)).await;
    assert_eq!(missing(&begun).len(), 600);
    world.put(&sha256(&contents[5]), &contents[5]).await;
    let all: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let reply = world.pack(&all).await;
    assert_eq!(reply.json()["data"], json!({"stored": 599, "known": 1}), "{}", reply.text());
    assert_eq!(world.activate(&id(&begun)).await.status, 200);
    assert_eq!(world.get("blog", "/599.txt").await.text(), "file 599");

    let stray = world.pack(&[b"nobody waits for this"]).await;
    assert_eq!((stray.status, code(&stray).as_str()), (409, "NOT_ANNOUNCED"));
    assert_eq!(code(&world.pack_bytes(vec![0; 5]).await), "PACK_TRUNCATED");
    assert_eq!(world.pack_bytes(vec![255; 8]).await.status, 413);
    let kind = [("content-type", "text/plain")];
    let plain = world.send_as(Caller::OWNER, Method::Post, "/api/blobs", &kind, Bytes::new()).await;
    assert_eq!(code(&plain), "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn the_manifest_decides_at_the_end_who_may_fetch_what() {
    let world = World::new().await;
    let files: [(&str, &[u8]); 5] = [
        ("index.html", b"home"),
        ("manifest.json", br#"{"server": true, "spa": true}"#),
        ("main.js", b"server code"),
        ("private/a.pdf", b"secret"),
        ("api/main.js", b"more"),
    ];
    let data = world.deploy_list("blog", &listed(&files), &files).await;
    let warnings = data["warnings"].to_string();
    assert!(warnings.contains("1 file is below `private/`"), "{warnings}");
    assert!(warnings.contains("`api/` server code"), "{warnings}");
    for (path, status) in [("/main.js", 404), ("/manifest.json", 404), ("/private/a.pdf", 401)] {
        assert_eq!(world.get("blog", path).await.status, status, "{path}");
    }
    assert_eq!(world.get("blog", "/some/route").await.text(), "home", "spa");
    // The same from disk as from memory.
    let mut world = world;
    world.restart().await;
    assert_eq!(world.get("blog", "/main.js").await.status, 404);

    let mut list = listed(&files[..1]);
    list["include_private"] = json!(true);
    list["spa"] = json!(false);
    list["source"] = json!({"type": "git"});
    let mut with_private = list.clone();
    let private = listed(&files[3..4])["files"][0].clone();
    with_private["files"].as_array_mut().unwrap().push(private);
    let data = world.deploy_list("blog", &with_private, &files).await;
    assert_eq!(data["warnings"], json!([]), "it was said that they are meant to be there");
    assert_eq!(world.get("blog", "/some/route").await.status, 404);
    let id = data["deployment_id"].as_str().unwrap();
    let deployment = world.api("GET", &format!("/api/deployments/{id}")).await.json();
    assert_eq!(deployment["data"]["source"], json!({"type": "git"}));
    let site = Site::new().file("index.html", "x").file("private/x", "y").file("jobs/a.js", "z");
    let archive = world.upload("blog", &site).await.json()["data"]["warnings"].to_string();
    assert!(archive.contains("private/") && archive.contains("jobs/"), "{archive}");
}

#[tokio::test]
async fn a_preview_is_stored_and_changes_nothing_until_it_is_rolled_to() {
    let world = World::new().await;
    world.deploy("blog", &Site::new().file("index.html", "live")).await;
    let files: [(&str, &[u8]); 1] = [("index.html", b"draft")];
    let mut list = listed(&files);
    list["preview"] = json!(true);
    let data = world.deploy_list("blog", &list, &files).await;
    assert_eq!((&data["active"], &data["version"]), (&json!(false), &json!(2)));
    let (url, preview) = (data["url"].as_str().unwrap(), data["preview_url"].as_str().unwrap());
    let host = url.split_once("://").unwrap().1;
    let label = preview.split_once("://").unwrap().1.strip_suffix(host).unwrap();
    let label = label.strip_suffix("--").unwrap();
    assert!(
        label.len() == 12 && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );
    assert_eq!(world.get("blog", "/").await.text(), "live");
    let shown = format!("{label}--blog");
    for _ in 0..2 {
        let draft = world.get(&shown, "/").await;
        assert_eq!((draft.status, draft.text()), (200, "draft"));
        assert_eq!(draft.header("x-robots-tag"), Some("noindex"));
    }
    for wrong in ["aaaaaaaaaaaa--blog", &format!("{label}--other"), "x--blog"] {
        assert_eq!(world.get(wrong, "/").await.status, 404, "{wrong}");
    }

    world.deploy("blog", &Site::new().file("index.html", "live 3")).await;
    assert_eq!(world.get(&shown, "/").await.text(), "draft", "the preview stays what it was");
    let back = world.roll_back("blog", None).await.json();
    assert_eq!(back["data"]["version"], 1, "one back is what was served, not the preview: {back}");
    let to = world.roll_back("blog", Some(2)).await.json();
    assert_eq!(to["data"]["preview_url"], preview);
    assert_eq!(world.get("blog", "/").await.text(), "draft");

    let zip = Site::new().file("index.html", "by archive").zip();
    let parts: [(&str, &[u8]); 3] = [("site_name", b"blog"), ("preview", b"true"), ("file", &zip)];
    let reply = world.post(&crate::world::form_type(), crate::world::form(&parts)).await.json();
    assert_eq!(reply["data"]["active"], false, "{reply}");
    assert_eq!(world.get("blog", "/").await.text(), "draft");
}

#[tokio::test]
async fn what_is_pending_is_bounded_and_ends_after_an_hour() {
    let settings = [("hosting.pending_deployments", "3"), ("hosting.pending_bytes_max", "1000")];
    let world = World::with(&settings).await;
    let list = |size: u64| json!({"files": [{"path": "a", "sha256": sha256(&size.to_be_bytes()), "size": size}]});
    world.deploy("blog", &Site::new().file("index.html", "old")).await;
    let rows = world.rows().await;
    let large = world.begin("blog", &list(1001)).await;
    assert_eq!((large.status, code(&large).as_str()), (413, "PENDING_TOO_LARGE"));
    assert_eq!(world.begin("blog", &list(600)).await.status, 200);
    assert_eq!(world.begin("blog", &list(500)).await.status, 413);
    assert_eq!(world.begin("other", &list(500)).await.status, 200, "another app");
    let begun = world.begin("blog", &list(1)).await;
    assert_eq!(world.begin("blog", &list(2)).await.status, 200);
    let fourth = world.begin("blog", &list(3)).await;
    assert_eq!((fourth.status, code(&fourth).as_str()), (503, "TOO_MANY_PENDING"));
    // An archive waits for its turn and is not in their way.
    world.deploy("blog", &Site::new().file("index.html", "new")).await;

    world.advance(Duration::from_secs(3_601));
    let late = world.activate(&id(&begun)).await;
    assert_eq!(late.status, 404, "{}", late.text());
    assert_eq!(world.begin("blog", &list(3)).await.status, 200, "what expired is not counted");
    let after = world.rows().await;
    assert_eq!(after["hosting_pending"], 1);
    assert_eq!(after["hosting_file"], rows["hosting_file"] + 2, "a deploy, and the last list");
}

#[tokio::test]
async fn a_deployment_over_the_quota_is_refused_and_leaves_nothing() {
    let world = World::with(&[("hosting.app_bytes_max", "1000000")]).await;
    let (first, second) = (noise(600_000), noise(500_000));
    world.deploy("blog", &Site::new().file("index.html", "old").file("a.bin", &first)).await;
    let rows = world.rows().await;
    let files: [(&str, &[u8]); 1] = [("b.bin", &second)];
    let by_list = world.begin("blog", &listed(&files)).await;
    let by_archive = world.upload("blog", &Site::new().file("b.bin", &second)).await;
    let fresh = world.begin("fresh", &listed(&[("c.bin", &noise(1_000_001))])).await;
    for reply in [by_list, by_archive, fresh] {
        assert_eq!((reply.status, code(&reply).as_str()), (413, "QUOTA_EXCEEDED"));
    }
    assert_eq!(world.rows().await, rows);
    // What the app has already counts once.
    world.deploy("blog", &Site::new().file("index.html", "new").file("a.bin", &first)).await;
}

#[tokio::test]
async fn a_key_for_one_app_deploys_to_that_app_only() {
    let world = World::new().await;
    world.create_app("blog").await;
    world.deploy("other", &Site::new().file("index.html", "others")).await;
    let key = || async { world.key(&[Scope::Deploy, Scope::Read], Some("blog")).await };
    let files: [(&str, &[u8]); 1] = [("index.html", b"mine")];
    let begun = world.begin_as(key().await, "blog", &listed(&files)).await;
    assert_eq!(world.put_as(key().await, &sha256(b"mine"), b"mine").await.status, 200);
    for app in ["other", "fresh"] {
        assert_eq!(world.begin_as(key().await, app, &listed(&files)).await.status, 403, "{app}");
    }
    let theirs: [(&str, &[u8]); 1] = [("index.html", b"theirs")];
    let pending = id(&world.begin("other", &listed(&theirs)).await);
    let put = world.put_as(key().await, &sha256(b"theirs"), b"theirs").await;
    assert_eq!(code(&put), "NOT_ANNOUNCED", "what others wait for is none of its business");
    let api = async |method: &str, path: String| world.api_as(key().await, method, &path, "").await;
    assert_eq!(api("POST", format!("/api/deployments/{pending}/activate")).await.status, 404);
    let own = id(&begun);
    assert_eq!(api("POST", format!("/api/deployments/{own}/activate")).await.status, 200);
    let list = world.api("GET", "/api/apps/other/deployments").await.json();
    let other = list["data"][0]["deployment_id"].as_str().unwrap().to_owned();
    for path in ["files", "content/index.html", "diff"] {
        assert_eq!(
            api("GET", format!("/api/deployments/{other}/{path}")).await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(api("DELETE", format!("/api/deployments/{other}")).await.status, 404);
    assert_eq!(api("GET", format!("/api/deployments/{own}/files")).await.status, 200);
    let reader = world.key(&[Scope::Read], None).await;
    assert_eq!(world.begin_as(reader, "blog", &listed(&files)).await.status, 403);
    let reader = world.key(&[Scope::Read], None).await;
    assert_eq!(world.put_as(reader, &sha256(b"theirs"), b"theirs").await.status, 403);
}

#[tokio::test]
async fn a_deployment_can_be_listed_fetched_compared_and_removed() {
    let world = World::new().await;
    let first = Site::new().file("a.txt", "a").file("b.txt", "b").file("api/x.js", "code");
    let second = Site::new().file("b.txt", "B!").file("c.txt", "c").file("api/x.js", "code");
    let deployed = async |site: &Site| {
        let reply = world.upload("blog", site).await.json();
        reply["data"]["deployment_id"].as_str().unwrap().to_owned()
    };
    let (old, new) = (deployed(&first).await, deployed(&second).await);
    let page = world.api("GET", &format!("/api/deployments/{old}/files?limit=2")).await.json();
    assert_eq!(
        (&page["data"][0]["path"], &page["data"][1]["path"]),
        (&json!("a.txt"), &json!("api/x.js"))
    );
    assert_eq!(page["meta"], json!({"has_more": true, "cursor": "api/x.js"}));
    let rest = format!("/api/deployments/{old}/files?limit=2&cursor=api/x.js");
    assert_eq!(world.api("GET", &rest).await.json()["data"][0]["path"], "b.txt");

    let content = world.api("GET", &format!("/api/deployments/{old}/content/api/x.js")).await;
    assert_eq!((content.status, content.text()), (200, "code"));
    assert_eq!(content.header("content-type"), Some("application/octet-stream"));
    assert_eq!(content.header("content-disposition"), Some("attachment"));
    for path in ["c.txt", "", "api", "../x"] {
        let path = format!("/api/deployments/{old}/content/{path}");
        assert_eq!(world.api("GET", &path).await.status, 404, "{path}");
    }

    let diff =
        world.api("GET", &format!("/api/deployments/{old}/diff")).await.json()["data"].clone();
    assert_eq!((&diff["from"], &diff["to"]), (&json!(old), &json!(new)));
    let changes: Vec<_> = diff["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            format!("{} {}", file["change"].as_str().unwrap(), file["path"].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes, ["removed a.txt", "changed b.txt", "added c.txt"]);
    assert_eq!(diff["unchanged"], 1);
    let back = world.api("GET", &format!("/api/deployments/{new}/diff?to={old}")).await.json();
    assert_eq!((&back["data"]["added"], &back["data"]["removed"]), (&json!(1), &json!(1)));
    world.deploy("other", &first).await;
    let list = world.api("GET", "/api/apps/other/deployments").await.json();
    let other = list["data"][0]["deployment_id"].as_str().unwrap();
    let foreign = world.api("GET", &format!("/api/deployments/{old}/diff?to={other}")).await;
    assert_eq!(foreign.status, 400, "{}", foreign.text());

    let active = world.api("DELETE", &format!("/api/deployments/{new}")).await;
    assert_eq!((active.status, code(&active).as_str()), (409, "DEPLOYMENT_ACTIVE"));
    assert_eq!(world.api("DELETE", &format!("/api/deployments/{old}")).await.status, 200);
    assert_eq!(world.api("DELETE", &format!("/api/deployments/{old}")).await.status, 404);
    assert_eq!(world.versions("blog").await, [2]);
    let status = world.api("GET", "/api/apps/blog/status").await.json()["data"].clone();
    assert_eq!((&status["version"], &status["deployments"]), (&json!(2), &json!(1)));
    assert_eq!((&status["files"], &status["pending"]), (&json!(3), &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_lists_at_the_same_time_one_wins_whole() {
    let world = Arc::new(World::new().await);
    let mut deploys = JoinSet::new();
    for number in 0..20_usize {
        let world = Arc::clone(&world);
        deploys.spawn(async move {
            let own = number.to_string();
            let big = noise(300_000 + number);
            let paths: Vec<String> = (0..20).map(|file| format!("{file}.txt")).collect();
            let mut files: Vec<(&str, &[u8])> =
                paths.iter().map(|path| (path.as_str(), own.as_bytes())).collect();
            files.push(("big.bin", &big));
            files.push(("shared.txt", b"shared"));
            world.deploy_list("blog", &listed(&files), &files).await["version"].as_u64().unwrap()
        });
    }
    let versions: BTreeSet<_> = deploys.join_all().await.into_iter().collect();
    assert_eq!(versions, (1..=20).collect(), "each has a number of its own");
    let winner: usize = world.get("blog", "/0.txt").await.text().parse().unwrap();
    for file in 0..20 {
        assert_eq!(world.get("blog", &format!("/{file}.txt")).await.text(), winner.to_string());
    }
    assert_eq!(world.get("blog", "/big.bin").await.body.len(), 300_000 + winner);
}

#[tokio::test]
async fn previews_and_old_deployments_go_and_the_active_one_stays() {
    let settings = [("hosting.keep_deployments", "2"), ("hosting.keep_previews", "2")];
    let world = World::with(&settings).await;
    let preview = async |text: &str| {
        let files: [(&str, &[u8]); 1] = [("index.html", text.as_bytes())];
        let mut list = listed(&files);
        list["preview"] = json!(true);
        world.deploy_list("blog", &list, &files).await
    };
    let live = async |text: &str| world.deploy("blog", &Site::new().file("index.html", text)).await;
    live("v1").await;
    live("v2").await;
    world.roll_back("blog", Some(1)).await;
    for version in 3..=5 {
        preview(&format!("v{version}")).await;
    }
    assert_eq!(world.versions("blog").await, [5, 4, 2, 1], "two previews, two that were active");
    live("v6").await;
    live("v7").await;
    assert_eq!(world.versions("blog").await, [7, 6, 5, 4]);
    world.advance(Duration::from_secs(7 * 24 * 3_600 + 1));
    live("v8").await;
    assert_eq!(world.versions("blog").await, [8, 7], "previews of last week are gone");
    world.roll_back("blog", Some(7)).await;
    for version in 9..=12 {
        preview(&format!("v{version}")).await;
    }
    assert_eq!(world.versions("blog").await, [12, 11, 8, 7]);
    assert_eq!(world.get("blog", "/").await.text(), "v7");
}

#[tokio::test]
async fn a_list_over_the_cap_on_files_is_refused_whole() {
    let world = World::new().await;
    world.deploy("blog", &Site::new().file("index.html", "old")).await;
    let rows = world.rows().await;
    let hash = sha256(b"x");
    let files: Vec<_> = (0..100_001)
        .map(|number| json!({"path": number.to_string(), "sha256": hash, "size": 1}))
        .collect();
    let mut list = json!({ "files": files });
    let reply = world.begin("blog", &list).await;
    assert_eq!((reply.status, code(&reply).as_str()), (413, "TOO_MANY_ENTRIES"));
    assert_eq!(world.rows().await, rows);
    // One file less is a deployment like any other.
    list["files"].as_array_mut().unwrap().pop();
    let begun = world.begin("blog", &list).await;
    assert_eq!(missing(&begun).len(), 1);
    world.put(&hash, b"x").await;
    let reply = world.activate(&id(&begun)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.get("blog", "/99999").await.text(), "x");
}
