//! Objects.

use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_sdk::json;
use fazt_testkit::{Answer, Caller};

use crate::world::{World, code};

#[tokio::test]
async fn the_provider_conforms() {
    World::new().await.conforms("objects").await;
}

async fn put(world: &World, app: &str, path: &str, content: &[u8]) -> Answer {
    let path = format!("/api/storage/{app}/blobs/{path}");
    let headers = [("content-type", "text/html")];
    let content = content.to_vec();
    world.kernel.admin_with(Caller::OWNER, Method::Put, &path, "", &headers, content).await
}

async fn fetch(world: &World, app: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    world.kernel.request(app, Method::Get, path, headers, "").await
}

#[tokio::test]
async fn owners_put_objects_and_get_them_back() {
    let world = World::new().await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (path, content) in [("a.html", &b"<script>"[..]), ("deep/er/b.bin", &large), ("empty", b"")]
    {
        let answer = put(&world, "alpha", path, content).await;
        assert_eq!(answer.json()["data"]["size_bytes"], content.len(), "{}", answer.text());
        let got = world.ask(Method::Get, &format!("/api/storage/alpha/blobs/{path}"), "", "").await;
        assert_eq!((got.status, &got.body[..]), (200, content));
        // On the owner's host nothing is what it says it is.
        assert_eq!(got.header("content-type"), Some("application/octet-stream"));
        assert_eq!(got.header("content-disposition"), Some("attachment"));
    }
    let listed = world.get("/api/storage/alpha/blobs", "prefix=deep/").await.unwrap();
    assert_eq!(
        (&listed[0]["path"], &listed[0]["content_type"]),
        (&json!("deep/er/b.bin"), &json!("text/html"))
    );
    assert_eq!(world.usage("alpha", "objects").await, (3, 1_000_008));
    world.delete("/api/storage/alpha/blobs", "path=a.html").await.unwrap();
    assert_eq!(code(world.delete("/api/storage/alpha/blobs", "path=a.html").await), "NOT_FOUND");
    assert_eq!(world.get("/api/storage/beta/blobs", "").await.unwrap(), json!([]));
    assert_eq!(
        world.ask(Method::Get, "/api/storage/beta/blobs/deep/er/b.bin", "", "").await.status,
        404
    );
}

#[tokio::test]
async fn a_signed_address_works_for_its_object_app_and_time_only() {
    let world = World::new().await;
    put(&world, "alpha", "photos/a.html", b"0123456789").await;
    put(&world, "beta", "photos/a.html", b"beta's").await;
    let url = world.signed("photos/a.html").await;
    let answer = fetch(&world, "alpha", &url, &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"), "{url}");
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
    let tag = answer.header("etag").unwrap().to_owned();
    for (header, value, status, body) in [
        ("range", "bytes=2-4", 206, "234"),
        ("range", "bytes=-2", 206, "89"),
        ("range", "bytes=99-", 416, ""),
        ("range", "bytes=0-1,4-5", 200, "0123456789"),
        ("if-none-match", tag.as_str(), 304, ""),
    ] {
        let answer = fetch(&world, "alpha", &url, &[(header, value)]).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{header}: {value}");
    }
    let changed = |from: &str, to: &str| {
        assert!(url.contains(from), "{url}");
        url.replacen(from, to, 1)
    };
    for (app, url) in [
        ("beta", url.clone()),
        ("alpha", changed("photos/a", "photos/b")),
        ("alpha", changed("?e=", "?e=9")),
        ("alpha", changed("&k=", "&u=ann&k=")),
        ("alpha", changed("&k=", "&k=0")),
        ("alpha", url[..url.len() - 1].to_owned()),
        ("alpha", "/_fazt/blobs/photos/a.html".to_owned()),
    ] {
        assert_eq!(fetch(&world, app, &url, &[]).await.status, 403, "{app} {url}");
    }
    assert_eq!(fetch(&world, "alpha", "/_fazt/blobs/", &[]).await.status, 404);
    assert_eq!(fetch(&world, "alpha", "/_fazt/other", &[]).await.status, 404);
    assert_eq!(fetch(&world, "alpha", "/_fazt/health", &[]).await.text(), "ok\n");
    world.skip(Duration::from_secs(61));
    assert_eq!(fetch(&world, "alpha", &url, &[]).await.status, 403);
}

#[tokio::test]
async fn a_full_app_is_told_which_setting_stops_it() {
    let world = World::with(&[
        ("storage.object_bytes_max", "1000"),
        ("storage.objects_bytes_max", "1500"),
        ("storage.objects_max", "2"),
    ])
    .await;
    let error = |answer: Answer| {
        let json = answer.json();
        let text = |field: &str| json["error"][field].as_str().unwrap_or_default().to_owned();
        (answer.status, text("code"), text("message"))
    };
    let (status, code, message) = error(put(&world, "alpha", "a", &[0; 1001]).await);
    assert_eq!((status, code.as_str()), (413, "OBJECT_TOO_LARGE"));
    assert!(message.contains("storage.object_bytes_max"), "{message}");
    assert_eq!(put(&world, "alpha", "a", &[1; 1000]).await.status, 200);
    let (status, code, message) = error(put(&world, "alpha", "b", &[2; 600]).await);
    assert_eq!((status, code.as_str()), (507, "QUOTA_EXCEEDED"));
    assert!(message.contains("storage.objects_bytes_max"), "{message}");
    assert_eq!(put(&world, "alpha", "b", &[3; 500]).await.status, 200);
    let (_, _, message) = error(put(&world, "alpha", "c", b"").await);
    assert!(message.contains("storage.objects_max"), "{message}");
    assert_eq!(put(&world, "alpha", "a", b"less").await.status, 200);
    assert_eq!(world.usage("alpha", "objects").await, (2, 504));
}

#[tokio::test]
async fn content_stays_while_an_object_has_it_and_no_longer() {
    let world = World::with(&[("storage.sweep", "1 s")]).await;
    put(&world, "alpha", "a", &[7; 300_000]).await;
    put(&world, "alpha", "b", b"small").await;
    world.fork("alpha", "copy").await;
    assert_eq!(world.usage("copy", "objects").await, world.usage("alpha", "objects").await);
    world.skip(Duration::from_secs(3 * 3_600));
    let collect = async || {
        world.ask(Method::Post, "/api/system/cartridge/gc", "", "").await.data().unwrap();
    };
    let blobs = "SELECT count(*) FROM blob WHERE hash IN (SELECT hash FROM storage_object)";
    assert!(world.rows(blobs).await >= 1);
    collect().await;
    let got = world.ask(Method::Get, "/api/storage/copy/blobs/a", "", "").await;
    assert_eq!((got.status, got.body.len()), (200, 300_000));
    world.delete("/api/storage/alpha/blobs", "path=a").await.unwrap();
    collect().await;
    assert_eq!(world.ask(Method::Get, "/api/storage/copy/blobs/a", "", "").await.status, 200);
    world.delete("/api/storage/copy/blobs", "path=a").await.unwrap();
    let before = world.rows("SELECT count(*) FROM blob").await;
    world.skip(Duration::from_secs(3 * 3_600));
    collect().await;
    assert!(world.rows("SELECT count(*) FROM blob").await < before);
    assert_eq!(world.ask(Method::Get, "/api/storage/copy/blobs/b", "", "").await.text(), "small");
}
