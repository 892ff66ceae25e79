//! `_redirects` and `_headers`, over HTTP.

use crate::world::{Site, World};

async fn world(redirects: &str, headers: &str) -> World {
    let world = World::new().await;
    let site = Site::new()
        .file("index.html", "home")
        .file("about.html", "about")
        .file("shop/index.html", "shop")
        .file("404.html", "lost")
        .file("gone.html", "gone")
        .file("private/k.html", "secret")
        .file("a.css", "a{}")
        .file("_redirects", redirects)
        .file("_headers", headers);
    world.deploy("blog", &site).await;
    world
}

#[tokio::test]
async fn redirects_lead_away_and_rewrites_stay() {
    let rules = "/old /about\n/temporary https://example.org/x 302\n/news/* /blog/:splat 301\n\
                 /inside/* /shop/index.html 200\n/shop / 301\n/about / 301!\n/retired /gone.html 410\n\
                 /hidden /404.html 404\n/peek /private/k.html 200\n";
    let world = world(rules, "").await;
    let to = async |path: &str| {
        let reply = world.get("blog", path).await;
        (reply.status, reply.header("location").unwrap_or_default().to_owned())
    };
    assert_eq!(to("/old").await, (301, "/about".to_owned()));
    assert_eq!(to("/temporary").await, (302, "https://example.org/x".to_owned()));
    assert_eq!(to("/news/2024/a b").await, (301, "/blog/2024/a%20b".to_owned()));
    assert_eq!(to("/about").await, (301, "/".to_owned()), "forced: the file is shadowed");
    for (path, status, text) in [
        ("/inside/any/where", 200, "shop"),
        ("/shop", 200, "shop"),
        ("/retired", 410, "gone"),
        ("/hidden", 404, "lost"),
        ("/nothing", 404, "lost"),
    ] {
        let reply = world.get("blog", path).await;
        assert_eq!((reply.status, reply.text()), (status, text), "{path}");
    }
    assert_eq!(world.get("blog", "/peek").await.status, 401, "a rewrite opens nothing");
    for path in ["/_redirects", "/_headers"] {
        assert_eq!(world.get("blog", path).await.text(), "lost", "{path}");
    }
    let reply = world.get("blog", "/inside/x").await;
    let tag = [("if-none-match", reply.header("etag").unwrap())];
    assert_eq!(world.get_with("blog", "/inside/x", &tag).await.status, 304);
}

#[tokio::test]
async fn headers_are_added_replaced_and_left_out() {
    let rules = "/*\n  X-Frame-Options: DENY\n  Referrer-Policy: no-referrer\n\
                 /*.css\n  Cache-Control: public, max-age=60\n  ! X-Frame-Options\n\
                 /shop\n  X-Frame-Options: SAMEORIGIN\n  ! X-Content-Type-Options\n\
                 /s/:name\n  X-Name: :name\n";
    let world = world("/s/* /about.html 200", rules).await;
    let header = async |path: &str, name: &str| {
        world.get("blog", path).await.header(name).map(str::to_owned)
    };
    for _ in 0..2 {
        assert_eq!(header("/", "x-frame-options").await.as_deref(), Some("DENY"));
        assert_eq!(header("/", "referrer-policy").await.as_deref(), Some("no-referrer"));
        assert_eq!(header("/", "cache-control").await.as_deref(), Some("no-cache"));
        assert_eq!(header("/", "x-content-type-options").await.as_deref(), Some("nosniff"));
        assert_eq!(header("/a.css", "cache-control").await.as_deref(), Some("public, max-age=60"));
        assert_eq!(header("/a.css", "x-frame-options").await, None);
        assert_eq!(header("/shop", "x-frame-options").await.as_deref(), Some("DENY, SAMEORIGIN"));
        assert_eq!(header("/shop", "x-content-type-options").await, None);
        assert_eq!(header("/nothing", "x-frame-options").await.as_deref(), Some("DENY"));
        assert_eq!(header("/s/one", "x-name").await.as_deref(), Some("one"));
        assert_eq!(header("/s/two", "x-name").await.as_deref(), Some("two"));
    }
    let etag = header("/a.css", "etag").await.unwrap();
    let same = world.get_with("blog", "/a.css", &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.header("cache-control")), (304, Some("public, max-age=60")));
    let part = world.get_with("blog", "/a.css", &[("range", "bytes=0-0")]).await;
    assert_eq!((part.status, part.header("cache-control")), (206, Some("public, max-age=60")));
}

#[tokio::test]
async fn what_differs_by_visitor_says_so() {
    let world = world("/ /about 302 Language=de\n", "").await;
    let german = world.get_with("blog", "/", &[("accept-language", "de")]).await;
    let vary = german.header("vary").unwrap().to_owned();
    assert!(vary.contains("accept-language") && vary.contains("cookie"), "{vary}");
    let other = world.get_with("blog", "/shop", &[("accept-language", "de")]).await;
    let vary = other.header("vary").unwrap().to_owned();
    assert!(!vary.contains("cookie"), "no condition asks about this path: {vary}");
    let world = self::world("/x /about 302 Language=de\n/x /shop 302\n", "").await;
    for (language, location) in [("de-AT, en;q=0.5", "/about"), ("en", "/shop")] {
        let reply = world.get_with("blog", "/x", &[("accept-language", language)]).await;
        assert_eq!((reply.status, reply.header("location")), (302, Some(location)));
        assert_eq!(reply.header("vary"), Some("accept-language, cookie"));
    }
}

/// What read a visitor's cookie is kept by nobody in between, whatever the file alone would allow.
#[tokio::test]
async fn no_shared_cache_keeps_what_read_a_cookie() {
    let world = world("/a.css /about 302! Cookie=beta\n/none /about 302 Cookie=beta\n", "").await;
    for cookie in [&[][..], &[("cookie", "beta=1")][..]] {
        for path in ["/a.css", "/none"] {
            let reply = world.get_with("blog", path, cookie).await;
            let status =
                if cookie.is_empty() { [200, 404][usize::from(path == "/none")] } else { 302 };
            assert_eq!(reply.status, status, "{path}");
            let cache = reply.header("cache-control").unwrap_or_default();
            assert!(cache.contains("private") || cache.contains("no-store"), "{path}: {cache}");
            assert!(reply.header("vary").unwrap().contains("cookie"), "{path}");
        }
    }
    let other = world.get("blog", "/shop").await;
    assert_eq!(other.header("cache-control"), Some("no-cache"), "no rule asks about this path");
}

#[tokio::test]
async fn circles_are_refused_and_other_mistakes_are_said() {
    let world = world("", "").await;
    let site = Site::new().file("index.html", "new");
    let circle = site.clone().file("_redirects", "# a circle\n/a /b\n/b /a\n");
    let refused = world.upload("blog", &circle).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "REDIRECT_LOOP");
    assert!(error["message"].as_str().unwrap().contains("_redirects:2"), "{error}");
    assert_eq!(world.get("blog", "/").await.text(), "home", "nothing changed");

    let sloppy = site.file("_redirects", "/a /b 999\n/c /d\n").file("_headers", "/\n  Date: now\n");
    let deployed = world.upload("blog", &sloppy).await;
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    let warnings = deployed.json()["data"]["warnings"].to_string();
    assert!(warnings.contains("_redirects:1") && warnings.contains("_headers:2"), "{warnings}");
    assert_eq!(world.get("blog", "/c").await.header("location"), Some("/d"));
}
