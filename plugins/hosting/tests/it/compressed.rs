//! Content gets compressed forms in the background, and they go with it.

use std::io::Read as _;
use std::time::Duration;

use serde_json::Value;

use crate::world::{Reply, Site, World, noise};

const ON: [(&str, &str); 2] =
    [("hosting.precompress_bytes_max", "1000000"), ("hosting.keep_deployments", "1")];

fn page(version: u32) -> String {
    format!("<p>this is version {version} of a page that says the same again and again</p>\n")
        .repeat(200)
}

impl World {
    async fn status(&self, app: &str) -> Value {
        self.api("GET", &format!("/api/apps/{app}/status")).await.json()["data"].clone()
    }

    async fn until_compressed(&self, app: &str) {
        self.until(async |world| {
            // Nobody waits for the pause after a deploy.
            world.advance(Duration::from_millis(500));
            world.status(app).await["uncompressed"] == 0
        })
        .await;
    }

    async fn encoded(&self, app: &str, path: &str, encoding: &str) -> Reply {
        self.get_with(app, path, &[("accept-encoding", encoding)]).await
    }
}

fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let read = match encoding {
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut content),
        "zstd" => zstd::Decoder::new(body).unwrap().read_to_end(&mut content),
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut content),
        _ => panic!("{encoding}"),
    };
    read.unwrap();
    content
}

#[tokio::test]
async fn what_an_app_serves_is_compressed_and_what_does_not_pay_is_not() {
    let world = World::with(&ON).await;
    let site = Site::new()
        .file("index.html", page(1))
        .file("small.html", "<p>small</p>")
        .file("photo.png", page(2))
        .file("random.txt", noise(5_000))
        .file("large.txt", "x".repeat(1_000_001))
        .file("api/main.js", page(3));
    world.deploy("blog", &site).await;
    world.until_compressed("blog").await;
    for encoding in ["br", "zstd", "gzip"] {
        world
            .until(async |world| {
                world.encoded("blog", "/", encoding).await.header("content-encoding")
                    == Some(encoding)
            })
            .await;
        let reply = world.encoded("blog", "/", encoding).await;
        assert!(reply.body.len() < page(1).len() / 10);
        assert_eq!(decoded(encoding, &reply.body), page(1).as_bytes());
        for path in ["/small.html", "/photo.png", "/random.txt", "/large.txt"] {
            assert_eq!(
                world.encoded("blog", path, encoding).await.header("content-encoding"),
                None
            );
        }
    }
    let rows = world.rows().await;
    assert_eq!(rows["hosting_variant"], 6, "the page, and the file that does not pay");
    // The same content is not compressed twice.
    world.deploy("other", &Site::new().file("index.html", page(1))).await;
    assert_eq!(world.status("other").await["uncompressed"], 0);
    let reply = world.encoded("other", "/", "br").await;
    assert_eq!(reply.header("content-encoding"), Some("br"));
}

#[tokio::test]
async fn a_node_that_stops_goes_on_where_it_was() {
    let mut world = World::with(&ON).await;
    let mut site = Site::new();
    for file in 0..40 {
        site = site.file(&format!("{file}.html"), page(file));
    }
    world.deploy("blog", &site).await;
    world.until(async |world| world.status("blog").await["uncompressed"] != 40).await;
    world.restart().await;
    world.until_compressed("blog").await;
    assert_eq!(world.rows().await["hosting_variant"], 120);
}

#[tokio::test]
async fn compressed_forms_go_with_the_content() {
    let mut world = World::with(&ON).await;
    world.deploy("blog", &Site::new().file("index.html", page(1))).await;
    world.until_compressed("blog").await;
    world.deploy("blog", &Site::new().file("index.html", page(2))).await;
    world.until_compressed("blog").await;
    assert_eq!(world.rows().await["blob"], 8);
    let hours = Duration::from_secs(2 * 3_600);
    world.advance(hours);
    assert_eq!(world.collect().await["deleted"], 1, "the forms are still known");
    world.restart().await;
    world.until(async |world| world.rows().await["hosting_variant"] == 3).await;
    assert_eq!(world.collect().await["deleted"], 3);
    let reply = world.encoded("blog", "/", "br").await;
    assert_eq!(decoded("br", &reply.body), page(2).as_bytes());
    // And come again with it.
    world.deploy("blog", &Site::new().file("index.html", page(1))).await;
    world.until_compressed("blog").await;
    world
        .until(async |world| {
            world.encoded("blog", "/", "br").await.header("content-encoding") == Some("br")
        })
        .await;
    assert_eq!(decoded("br", &world.encoded("blog", "/", "br").await.body), page(1).as_bytes());
}
