//! What visitors get.

use fazt_hosting::archive::CHUNK_BYTES;

use crate::world::{Site, World, noise};

#[tokio::test]
async fn a_deployed_file_is_served_with_its_validators() {
    let world = World::new().await;
    world.deploy("blog", &Site::new().file("index.html", "<p>hello").file("a.css", "b{}")).await;
    let reply = world.get("blog", "/").await;
    assert_eq!((reply.status, reply.text()), (200, "<p>hello"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    let etag = reply.header("etag").unwrap().to_owned();
    assert_eq!((etag.len(), etag.starts_with('"'), etag.ends_with('"')), (66, true, true));
    assert_eq!(
        world.get("blog", "/a.css").await.header("cache-control"),
        Some("public, max-age=300")
    );

    // The second time it comes out of memory.
    for _ in 0..2 {
        assert_eq!(world.get("blog", "/").await.header("etag"), Some(etag.as_str()));
        let reply = world.get_with("blog", "/", &[("if-none-match", &etag)]).await;
        assert_eq!((reply.status, reply.text()), (304, ""));
        assert_eq!(reply.header("etag"), Some(etag.as_str()));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert_eq!(reply.header("content-type"), None);
    }
    let mut lists = [("if-none-match", "\"a\""), ("if-none-match", etag.as_str())];
    for _ in 0..2 {
        assert_eq!(world.get_with("blog", "/", &lists).await.status, 304);
        lists.reverse();
    }
    assert_eq!(world.get_with("blog", "/", &lists[..1]).await.status, 200);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new().await;
    let large = noise(3 * CHUNK_BYTES + 5);
    let site = Site::new().file("index.html", "<p>hello").file("large.bin", &large);
    world.deploy("blog", &site).await;
    for path in ["/", "/large.bin", "/missing", "/index.html/"] {
        let get = world.get("blog", path).await;
        let head = world.send("HEAD", "blog", path, &[]).await;
        // The kernel drops the body; its length is that of the GET.
        assert!((head.status, &head.body) == (get.status, &get.body), "{path}");
        for name in ["etag", "content-type", "cache-control", "location"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        let range = [("range", "bytes=1-2")];
        let head = world.send("HEAD", "blog", path, &range).await;
        assert_eq!(head.status, get.status, "{path}: a range means nothing for HEAD");
    }
}

#[tokio::test]
async fn ranges_are_cut_from_memory_and_from_the_cartridge_alike() {
    let world = World::new().await;
    let (small, large) = (noise(1000), noise(2 * 1024 * 1024 + 77));
    world.deploy("blog", &Site::new().file("small.bin", &small).file("large.bin", &large)).await;
    for (path, content) in [("/small.bin", &small), ("/large.bin", &large)] {
        let len = content.len();
        let whole = world.get("blog", path).await;
        assert!(whole.body == *content, "{path}");
        let etag = whole.header("etag").unwrap().to_owned();
        for (range, start, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=10-19".to_owned(), 10, 20),
            ("bytes=-7".to_owned(), len - 7, len),
            (format!("bytes={}-", len - 3), len - 3, len),
            (format!("bytes=1-{}", len + 9), 1, len),
        ] {
            let reply = world.get_with("blog", path, &[("range", &range)]).await;
            assert_eq!(reply.status, 206, "{path} {range}");
            assert!(reply.body == content[start..end], "{path} {range}");
            let expected = format!("bytes {start}-{}/{len}", end - 1);
            assert_eq!(reply.header("content-range"), Some(expected.as_str()));
            assert_eq!(reply.header("etag"), Some(etag.as_str()));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
        let reply = world.get_with("blog", path, &[("range", &format!("bytes={len}-"))]).await;
        assert_eq!((reply.status, reply.body.len()), (416, 0));
        let expected = format!("bytes */{len}");
        assert_eq!(reply.header("content-range"), Some(expected.as_str()));
        let stale = [("range", "bytes=0-0"), ("if-range", "\"old\"")];
        assert_eq!(world.get_with("blog", path, &stale).await.status, 200);
        let fresh = [("range", "bytes=0-0"), ("if-range", etag.as_str())];
        assert_eq!(world.get_with("blog", path, &fresh).await.status, 206);
    }
}

/// The parts of a `multipart/byteranges` body: where each lies, and its bytes.
fn parts<'b>(content_type: &str, body: &'b [u8]) -> Vec<(String, &'b [u8])> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let find = |text: &[u8], part: &str| {
        text.windows(part.len()).position(|window| window == part.as_bytes())
    };
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head_len = find(part, "\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&part[..head_len]);
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: ")).unwrap();
        let content = &part[head_len + 4..];
        let len = find(content, &delimiter).unwrap();
        parts.push((range.to_owned(), &content[..len]));
        rest = &content[len + delimiter.len()..];
    }
    assert_eq!(rest, b"--\r\n");
    parts
}

#[tokio::test]
async fn several_ranges_come_as_the_parts_of_one_body() {
    let world = World::new().await;
    let (small, large) = (noise(1000), noise(3 * 1024 * 1024));
    world.deploy("blog", &Site::new().file("small.txt", &small).file("large.bin", &large)).await;
    for (path, content) in [("/small.txt", &small), ("/large.bin", &large)] {
        let len = content.len();
        let ask = format!("bytes=0-9,{}-{},-5", len / 3, len - 100);
        let reply = world.get_with("blog", path, &[("range", &ask)]).await;
        assert_eq!(reply.status, 206, "{path}");
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        assert_eq!(
            reply.header("content-range"),
            None,
            "each part has its own (RFC 9110 §15.3.7.2)"
        );
        let parts = parts(reply.header("content-type").unwrap(), &reply.body);
        let expected = [(0, 10), (len / 3, len - 99), (len - 5, len)];
        assert_eq!(parts.len(), expected.len());
        for ((range, bytes), (start, end)) in parts.iter().zip(expected) {
            assert_eq!(*range, format!("bytes {start}-{}/{len}", end - 1));
            assert!(*bytes == &content[start..end], "{path} {range}");
        }
        let one = world.get_with("blog", path, &[("range", "bytes=0-1,99999999-")]).await;
        assert_eq!(
            (one.status, one.body.len()),
            (206, 2),
            "one range that can be met is no multipart"
        );
        let greedy = world.get_with("blog", path, &[("range", "bytes=0-,0-,0-")]).await;
        assert_eq!((greedy.status, greedy.body.len()), (200, len));
    }
}

#[tokio::test]
async fn files_of_every_size_come_out_byte_for_byte() {
    let world = World::new().await;
    let sizes =
        [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 1 << 20, (1 << 20) + 1, 5 << 20];
    let contents: Vec<_> = sizes.iter().map(|size| noise(*size)).collect();
    let mut site = Site::new();
    for content in &contents {
        site = site.file(&format!("{}.bin", content.len()), content);
    }
    world.deploy("blog", &site).await;
    for content in &contents {
        for _ in 0..2 {
            let reply = world.get("blog", &format!("/{}.bin", content.len())).await;
            assert_eq!(reply.status, 200);
            assert!(reply.body == *content, "{}", content.len());
        }
    }
}

#[tokio::test]
async fn pages_answer_under_their_pretty_names() {
    let world = World::new().await;
    let site = Site::new()
        .file("index.html", "home")
        .file("about/index.html", "about")
        .file("team.html", "team")
        .file("été/a b.html", "summer");
    world.deploy("blog", &site).await;
    for (path, text) in [
        ("/", "home"),
        ("/index.html", "home"),
        ("/about", "about"),
        ("/about/index.html", "about"),
        ("/team", "team"),
        ("/team.html", "team"),
        ("/été/a b", "summer"),
    ] {
        let reply = world.get("blog", path).await;
        assert_eq!((reply.status, reply.text()), (200, text), "{path}");
    }
    for (path, location) in [
        ("/about/", "/about"),
        ("/team/?a=1&b=%20", "/team?a=1&b=%20"),
        ("/été/a b/", "/%C3%A9t%C3%A9/a%20b"),
    ] {
        let reply = world.get("blog", path).await;
        assert_eq!((reply.status, reply.header("location")), (301, Some(location)), "{path}");
    }
}

#[tokio::test]
async fn what_is_missing_is_404_with_the_apps_own_page_if_it_has_one() {
    let world = World::new().await;
    world.deploy("plain", &Site::new().file("index.html", "home")).await;
    let reply = world.get("plain", "/missing").await;
    assert_eq!(reply.status, 404);
    assert!(!reply.text().contains("missing"), "nothing of the request is echoed");

    let site = Site::new().file("index.html", "home").file("404.html", "<h1>lost");
    world.deploy("blog", &site).await;
    for headers in [&[][..], &[("if-none-match", "*")][..], &[("range", "bytes=0-1")][..]] {
        let reply = world.get_with("blog", "/missing", headers).await;
        assert_eq!((reply.status, reply.text()), (404, "<h1>lost"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("etag"), None);
    }
    assert_eq!(world.get("blog", "/404.html").await.status, 200);
}

#[tokio::test]
async fn a_single_page_app_answers_routes_and_nothing_else() {
    let world = World::new().await;
    let site = || Site::new().file("index.html", "app").file("api/main.js", "secret");
    world.deploy("by-form", &site().spa(true)).await;
    let ours = r#"{"name": "app", "spa": true}"#;
    world.deploy("by-manifest", &site().file("manifest.json", ours)).await;
    world.deploy("overruled", &site().file("manifest.json", ours).spa(false)).await;
    for (app, is_spa) in [("by-form", true), ("by-manifest", true), ("overruled", false)] {
        let expected = if is_spa { 200 } else { 404 };
        for path in ["/a", "/a/b/c", "/users/1/"] {
            assert_eq!(world.get(app, path).await.status, expected, "{app} {path}");
        }
        for path in ["/a.js", "/api", "/api/main.js", "/.env", "/.git/config"] {
            let reply = world.get(app, path).await;
            assert_eq!(reply.status, 404, "{app} {path}");
            assert!(!reply.text().contains("secret"));
        }
        assert_eq!(world.get(app, "/private/a").await.status, 401, "{app}");
    }
}

#[tokio::test]
async fn private_files_are_401_and_files_of_the_node_404() {
    let world = World::new().await;
    let canary = "canary-5e1f";
    let mut site =
        Site::new().file("index.html", "home").file(".well-known/security.txt", "public");
    for path in [
        "private/a.pdf",
        "private/b/index.html",
        "api/main.js",
        "jobs/x.js",
        "manifest.json",
        ".env",
        ".git/config",
        "a/.DS_Store",
    ] {
        site = site.file(path, canary);
    }
    world.deploy("blog", &site).await;
    for path in ["/private/a.pdf", "/private/b", "/private/b/", "/private/none"] {
        let reply = world.get("blog", path).await;
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(!reply.text().contains(canary), "{path}");
    }
    for path in [
        "/api/main.js",
        "/api/main",
        "/jobs/x.js",
        "/manifest.json",
        "/.env",
        "/.git/config",
        "/a/.DS_Store",
    ] {
        let reply = world.get("blog", path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains(canary), "{path}");
    }
    for path in ["/x/../private/a.pdf", "/./api/main.js", "//private/a.pdf", "/private\\a.pdf"] {
        let reply = world.get("blog", path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains(canary), "{path}");
    }
    assert_eq!(world.get("blog", "/.well-known/security.txt").await.status, 200);
}

/// The type follows from the name alone, and no answer lets a browser guess another one.
#[tokio::test]
async fn types_are_told_by_the_name_and_never_guessed() {
    let world = World::new().await;
    let types = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.xml", "application/xml; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.mp4", "video/mp4"),
        ("a.pdf", "application/pdf"),
        ("a.zip", "application/zip"),
        ("a.webmanifest", "application/manifest+json; charset=utf-8"),
        ("a.unheard-of", "application/octet-stream"),
        ("LICENSE", "application/octet-stream"),
        ("page.html.bin", "application/octet-stream"),
    ];
    let page = "<!doctype html><script>alert(1)</script>";
    let site = Site::new().file("folder/x.png", "x").file("folder/index.html", page);
    world.deploy("blog", &types.iter().fold(site, |site, (path, _)| site.file(path, page))).await;
    for (path, kind) in types {
        let tag = format!("\"{}\"", crate::lists::sha256(page.as_bytes()));
        let again = [("if-none-match", tag.as_str())];
        for headers in [&[][..], &[("range", "bytes=0-3")], &[("range", "bytes=0-1,3-4")], &again] {
            let reply = world.get_with("blog", &format!("/{path}"), headers).await;
            let several =
                reply.header("content-type").is_some_and(|it| it.starts_with("multipart"));
            if reply.status != 304 {
                assert!(several || reply.header("content-type") == Some(kind), "{path}: {reply:?}");
                let nosniff = reply.header("x-content-type-options");
                assert_eq!(nosniff, Some("nosniff"), "{path} {}", reply.status);
            }
        }
    }
    for path in ["/none", "/none.js", "/private/x", "/api/x", "/.env"] {
        let reply = world.get("blog", path).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
}

#[tokio::test]
async fn a_web_app_manifest_is_served_and_ours_is_not() {
    let world = World::new().await;
    let site = |manifest: &str| Site::new().file("index.html", "x").file("manifest.json", manifest);
    world.deploy("web", &site(r#"{"name": "x", "icons": []}"#)).await;
    world.deploy("ours", &site(r#"{"name": "x"}"#)).await;
    assert_eq!(world.get("web", "/manifest.json").await.status, 200);
    assert_eq!(world.get("ours", "/manifest.json").await.status, 404);
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let world = World::new().await;
    world.deploy("blog", &Site::new().file("index.html", "home")).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = world.send(method, "blog", "/", &[]).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn an_app_without_a_deployment_says_how_to_deploy() {
    let world = World::new().await;
    world.create_app("empty").await;
    let reply = world.get("empty", "/").await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("fazt app deploy"));
    world.deploy("empty", &Site::new().file("index.html", "now")).await;
    assert_eq!(world.get("empty", "/").await.text(), "now");
}

#[tokio::test]
async fn the_nodes_own_name_shows_a_page_or_the_chosen_app() {
    let world = World::new().await;
    let reply = world.get_node("/").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("fazt"));
    assert_eq!(world.get_node("/missing").await.status, 404);

    let world = World::with(&[("hosting.root_app", "home")]).await;
    assert_eq!(world.get_node("/").await.status, 200, "the app does not exist yet");
    world.deploy("home", &Site::new().file("index.html", "mine").file("a.css", "b{}")).await;
    assert_eq!(world.get_node("/").await.text(), "mine");
    assert_eq!(world.get_node("/a.css").await.text(), "b{}");
}

#[tokio::test]
async fn apps_do_not_see_each_others_files() {
    let world = World::new().await;
    let shared = "the same content";
    world.deploy("one", &Site::new().file("a.css", shared).file("only-one.txt", "1")).await;
    world.deploy("two", &Site::new().file("a.txt", shared)).await;
    assert_eq!(world.get("two", "/only-one.txt").await.status, 404);
    // The same content is one blob and still has the type of its own name.
    let types = [("one", "/a.css", "text/css"), ("two", "/a.txt", "text/plain")];
    for (app, path, kind) in types {
        let reply = world.get(app, path).await;
        assert!(reply.header("content-type").unwrap().starts_with(kind), "{app}");
    }
}

#[tokio::test]
async fn small_caches_answer_the_same() {
    let settings = [("hosting.cache_bytes", "100 KiB"), ("hosting.index_entries", "1000")];
    let world = World::with(&settings).await;
    for app in 0..4 {
        let mut site = Site::new();
        for file in 0..400 {
            site = site.file(&format!("{file}.txt"), format!("{app} {file} ").repeat(100));
        }
        world.deploy(&format!("app{app}"), &site).await;
    }
    for round in 0..3 {
        for file in [0, 7, 399] {
            for app in 0..4 {
                let reply = world.get(&format!("app{app}"), &format!("/{file}.txt")).await;
                assert_eq!(reply.text(), format!("{app} {file} ").repeat(100), "round {round}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_markdown_for_whoever_asks_for_it() {
    let world = World::new().await;
    let page =
        "<!doctype html><title>T</title><nav>menu</nav><main><h1>Hi</h1><p>one <b>two</b></main>";
    let site = Site::new()
        .file("index.html", page)
        .file("about.html", "<p>about")
        .file("about.md", "# Written by hand\n")
        .file("empty.html", "<script>1</script>")
        .file("a.css", "a{}");
    world.deploy("blog", &site).await;
    let markdown = [("accept", "text/markdown, text/html;q=0.9")];
    let reply = world.get_with("blog", "/", &markdown).await;
    assert_eq!(reply.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert!(
        reply.text().contains("# Hi") && reply.text().contains("one **two**"),
        "{}",
        reply.text()
    );
    assert!(!reply.text().contains("menu"), "{}", reply.text());
    assert_eq!(reply.header("vary"), Some("accept-encoding, accept"));
    let html = world.get("blog", "/").await;
    assert_eq!((html.text(), html.header("vary")), (page, Some("accept-encoding, accept")));
    let etag = reply.header("etag").unwrap();
    assert_ne!(html.header("etag"), Some(etag));
    let again = [markdown[0], ("if-none-match", etag)];
    assert_eq!(world.get_with("blog", "/", &again).await.status, 304);
    let browser = [("accept", "text/html,*/*;q=0.8")];
    assert_eq!(world.get_with("blog", "/", &browser).await.text(), page);
    assert_eq!(world.get_with("blog", "/about", &markdown).await.text(), "# Written by hand\n");
    assert_eq!(world.get_with("blog", "/empty", &markdown).await.text(), "<script>1</script>");
    assert_eq!(world.get_with("blog", "/a.css", &markdown).await.text(), "a{}");
}

#[tokio::test]
async fn a_folder_shows_what_is_in_it_when_the_app_wants_that() {
    let world = World::new().await;
    let files = Site::new()
        .file("docs/a & b.txt", "x")
        .file("docs/sub/c.txt", "y")
        .file("docs/.hidden", "z")
        .file("private/k", "z")
        .file("404.html", "lost");
    world.deploy("plain", &files).await;
    assert_eq!(world.get("plain", "/docs").await.text(), "lost");
    world.deploy("files", &files.file("manifest.json", r#"{"listing": true}"#)).await;
    let page = world.get("files", "/docs/").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(
        page.text().contains("a &amp; b.txt") && page.text().contains("sub"),
        "{}",
        page.text()
    );
    assert!(!page.text().contains("hidden"), "{}", page.text());
    let root = world.get("files", "/").await;
    assert!(root.text().contains("docs") && !root.text().contains("private"), "{}", root.text());
    assert_eq!(world.get("files", "/nothing").await.text(), "lost");
    assert_eq!(world.get("files", "/private").await.status, 401);
}

#[tokio::test]
async fn a_new_workspace_has_an_address_of_three_words() {
    let world = World::new().await;
    world.deploy("board", &Site::new().file("index.html", "draw")).await;
    let ask = async || {
        let reply = world.get("board", "/?s=new&x=1").await;
        assert_eq!((reply.status, reply.header("cache-control")), (303, Some("no-store")));
        reply.header("location").unwrap().to_owned()
    };
    let location = ask().await;
    let id = location.strip_prefix("/?s=").and_then(|rest| rest.strip_suffix("&x=1")).unwrap();
    assert_eq!(id.split('-').count(), 3, "{location}");
    assert_ne!(ask().await, location);
    assert_eq!(world.get("board", &location).await.text(), "draw");
    assert_eq!(world.get("board", "/?s=something").await.text(), "draw");
}

#[tokio::test]
async fn a_folder_with_files_keeps_its_slash_and_one_of_a_page_alone_loses_it() {
    let world = World::new().await;
    let site = Site::new()
        .file("index.html", "home")
        .file("a.css", "a{}")
        .file("about/index.html", "about")
        .file("about/.notes", "never sent")
        .file("posts/index.html", "posts")
        .file("posts/trip/index.html", "<img src=photo.jpg>")
        .file("posts/trip/images/photo.jpg", "photo")
        .file("guide/index.html", "<a href=start.html>")
        .file("guide/start.html", "start")
        .file("both", "a file")
        .file("both.d/x.txt", "x");
    world.deploy("blog", &site).await;
    let ask = async |path: &str| {
        let reply = world.get("blog", path).await;
        (reply.status, reply.header("location").unwrap_or_default().to_owned())
    };
    assert_eq!(ask("/").await.0, 200);
    assert_eq!(ask("/about").await.0, 200);
    assert_eq!(ask("/about/?x=1").await, (301, "/about?x=1".to_owned()));
    assert_eq!(ask("/posts").await.0, 200, "what is below belongs to the folder below");
    assert_eq!(ask("/guide?x=1").await, (301, "/guide/?x=1".to_owned()));
    assert_eq!(ask("/guide/").await.0, 200, "a link to the page beside it is right here only");
    assert_eq!(ask("/guide/start").await.0, 200);
    assert_eq!(ask("/posts/trip/").await.0, 200);
    assert_eq!(ask("/posts/trip?x=1").await, (301, "/posts/trip/?x=1".to_owned()));
    assert_eq!(ask("/posts/trip/index.html").await.0, 200);
    assert_eq!(ask("/both").await.0, 200);
    assert_eq!(world.get("blog", "/posts/trip/").await.text(), "<img src=photo.jpg>");
}
