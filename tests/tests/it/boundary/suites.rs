//! The main stories of the template and of hosting, told by their libraries.

use std::io::Write as _;

use fazt_sdk::http::Method;
use fazt_sdk::json;
use fazt_testkit::{Caller, TestKernel};
use fazt_tests::fixtures::Library;

use super::{get, info, node};

#[tokio::test]
async fn the_template_greets_counts_and_reports_as_a_library() {
    let mut kernel = node(&[Library::Template]).await;
    kernel.app("shop").await.unwrap();
    assert_eq!(info(&kernel, "template").await["origin"], "library");
    assert_eq!(get(&kernel, "/_template/hello").await.1, "Hello, visitor 1\n");
    assert_eq!(get(&kernel, "/_template/hello").await.1, "Hello, visitor 2\n");
    let shop = kernel.get("shop", "/_template/hello").await;
    assert_eq!(shop.text(), "Hello, visitor 1\n");
    kernel.restart().await.unwrap();
    let greetings = "/api/template/blog/greetings";
    let shown = kernel.operate(Method::Get, greetings, json!({})).await.unwrap();
    assert_eq!(
        (shown[0]["path"].as_str(), shown[0]["count"].as_u64()),
        (Some("/_template/hello"), Some(2))
    );
    for (caller, query, status) in [
        (Caller::ANONYMOUS, "", 401),
        (Caller::OWNER, "limit=x", 400),
        (Caller::OWNER, "order=up", 400),
        (Caller::OWNER, "limit=1", 200),
    ] {
        let answer = kernel.admin(caller, Method::Get, greetings, query, "").await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_library_follows_the_log_and_takes_part_in_the_life_of_apps() {
    let kernel = node(&[Library::Template]).await;
    get(&kernel, "/_template/hello").await;
    let app = kernel.operate(Method::Get, "/api/apps/blog", json!({})).await.unwrap();
    assert_eq!(
        (app["usage"][0]["what"].as_str(), app["usage"][0]["count"].as_u64()),
        (Some("greetings"), Some(1))
    );
    kernel.operate(Method::Delete, "/api/apps/blog", json!({})).await.unwrap();
    assert_eq!(kernel.get("blog", "/_template/hello").await.status, 404);
}

#[tokio::test]
async fn a_setting_of_a_library_is_used_at_its_next_start_and_a_wrong_one_is_refused() {
    let mut kernel = node(&[Library::Template]).await;
    kernel.kernel().set_setting("template.greeting", "Moin").await.unwrap();
    kernel.restart().await.unwrap();
    assert_eq!(get(&kernel, "/_template/hello").await.1, "Moin, visitor 1\n");
    let error = kernel.kernel().set_setting("template.retention", "soon").await.unwrap_err();
    assert!(error.message().contains("template.retention"), "{error}");
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn deploy(kernel: &TestKernel, files: &[(&str, &[u8])]) {
    let zip = [("content-type", "application/zip")];
    let (path, query) = ("/api/deploy", "site_name=blog");
    let answer =
        kernel.admin_with(Caller::OWNER, Method::Post, path, query, &zip, archive(files)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn hosting_deploys_serves_and_rolls_back_as_a_library() {
    let mut kernel = node(&[Library::Hosting]).await;
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3 << 20).collect();
    deploy(&kernel, &[("index.html", b"<p>one"), ("large.bin", &large)]).await;
    let first = kernel.get("blog", "/").await;
    assert_eq!((first.status, first.text()), (200, "<p>one".to_owned()));
    assert_eq!(first.header("content-type"), Some("text/html; charset=utf-8"));
    let etag = first.header("etag").unwrap().to_owned();
    let again = [("if-none-match", etag.as_str())];
    let cached = kernel.request("blog", Method::Get, "/", &again, "").await;
    assert_eq!((cached.status, cached.body.len()), (304, 0));
    // A blob of many chunks, streamed by the kernel.
    assert!(kernel.get("blog", "/large.bin").await.body == large);
    let range = [("range", "bytes=1000000-1000003")];
    let part = kernel.request("blog", Method::Get, "/large.bin", &range, "").await;
    assert_eq!((part.status, &part.body[..]), (206, &large[1_000_000..1_000_004]));

    deploy(&kernel, &[("index.html", b"<p>two")]).await;
    assert_eq!(get(&kernel, "/").await.1, "<p>two");
    assert_eq!(get(&kernel, "/large.bin").await.0, 404);
    kernel.restart().await.unwrap();
    assert_eq!(get(&kernel, "/").await.1, "<p>two");
    let rolled_back = kernel.operate(Method::Post, "/api/apps/blog/rollback", json!({})).await;
    rolled_back.unwrap();
    assert_eq!(get(&kernel, "/").await.1, "<p>one");
}
