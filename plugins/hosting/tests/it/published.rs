//! The examples that the two vendors publish behave as they document, once through the rules alone and
//! once over HTTP.
//!
//! Names and paths are our own; what each example shows is what its source says.

use fazt_hosting::resolve::{Resolution, Routing, Viewer, resolve};
use fazt_hosting::rules::{Ask, Headers, Outcome, Redirects};
use fazt_hosting::visibility::Visibility;

use crate::world::{Site, World};

/// What a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// This status with this location.
    To(u16, &'static str),
    /// This status with the content of this file.
    File(u16, &'static str),
    /// 404, without a page of the app.
    Nothing,
}

use Gets::{File, Nothing, To};

/// Headers of a request.
type Sent = &'static [(&'static str, &'static str)];

struct Example {
    source: &'static str,
    redirects: &'static str,
    headers: &'static str,
    files: &'static [&'static str],
    /// App, path with its query, headers of the request.
    requests: &'static [(&'static str, &'static str, Sent, Gets)],
    /// App, path, name of a header of the answer and its value.
    answers: &'static [(&'static str, &'static str, &'static str, Option<&'static str>)],
    /// How many lines are left out, and said.
    findings: usize,
}

const NONE: Example = Example {
    source: "",
    redirects: "",
    headers: "",
    files: &["index.html"],
    requests: &[],
    answers: &[],
    findings: 0,
};

const EXAMPLES: [Example; 14] = [
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/overview/#syntax-for-the-_redirects-file",
        redirects: "# Pages that moved keep their addresses\n\
                    /start             /\n\
                    /journal/first.php /journal/first\n\
                    /latest            /journal   # the same as 301\n\
                    /friends           https://www.example.com",
        requests: &[
            ("blog", "/start", &[], To(301, "/")),
            ("blog", "/journal/first.php", &[], To(301, "/journal/first")),
            ("blog", "/latest", &[], To(301, "/journal")),
            ("blog", "/friends", &[], To(301, "https://www.example.com/")),
            ("blog", "/", &[], File(200, "index.html")),
            ("blog", "/other", &[], Nothing),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#http-status-codes",
        redirects: "/home  / 301\n/soon / 302\n/shop /closed 404\n/pass /index.html 200",
        files: &["index.html", "closed.html"],
        requests: &[
            ("blog", "/home", &[], To(301, "/")),
            ("blog", "/soon", &[], To(302, "/")),
            ("blog", "/shop", &[], File(404, "closed.html")),
            ("blog", "/pass", &[], File(200, "index.html")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#custom-404-page-handling",
        redirects: "/en/* /en/404.html 404\n/de/* /de/404.html 404",
        files: &["404.html", "en/404.html", "de/404.html", "de/index.html"],
        requests: &[
            ("blog", "/en/none", &[], File(404, "en/404.html")),
            ("blog", "/de/none/here", &[], File(404, "de/404.html")),
            ("blog", "/de/index.html", &[], File(200, "de/index.html")),
            ("blog", "/fr/none", &[], File(404, "404.html")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#splats",
        redirects: "/jobs/gardener /team/botanist\n\
                    /jobs/*        /team/:splat\n\
                    /jobs/filled   /team/thanks",
        requests: &[
            ("blog", "/jobs/gardener", &[], To(301, "/team/botanist")),
            ("blog", "/jobs/cook/assistant", &[], To(301, "/team/cook/assistant")),
            ("blog", "/jobs/filled", &[], To(301, "/team/filled")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#placeholders",
        redirects: "/news/:month/:date/:year/:slug /blog/:year/:month/:date/:slug",
        requests: &[
            ("blog", "/news/02/12/2004/a-story", &[], To(301, "/blog/2004/02/12/a-story")),
            ("blog", "/news/02/12/2004/a.html?b", &[], To(301, "/blog/2004/02/12/a.html?b")),
            ("blog", "/news/02/12/2004", &[], Nothing),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#query-parameters",
        redirects: "/store id=:id /blog/:id 301\n\
                    /list id=:id tag=:tag /posts/:tag/:id 301\n\
                    /path/* a=:a b=:b /other/:a/:b/:splat 301\n\
                    /path/* a=:a      /other/:a/:splat    301\n\
                    /path/* b=:b      /other/:b/:splat    301\n\
                    /path/*           /other/:splat       301",
        requests: &[
            ("blog", "/store?id=my-post", &[], To(301, "/blog/my-post")),
            ("blog", "/store?id=my-post&x=1", &[], Nothing),
            ("blog", "/list?tag=t&id=i", &[], To(301, "/posts/t/i")),
            ("blog", "/list?id=i", &[], Nothing),
            ("blog", "/path/x/y?b=2&a=1", &[], To(301, "/other/1/2/x/y")),
            ("blog", "/path/x?a=1", &[], To(301, "/other/1/x")),
            ("blog", "/path/x?b=2", &[], To(301, "/other/2/x")),
            ("blog", "/path/x?c=3", &[], To(301, "/other/x?c=3")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#trailing-slash",
        // The second rule would never end, says the source; here it is left out.
        redirects: "/blog/tpyo /blog/typo\n/blog/no-slash/ /blog/no-slash 301!",
        files: &["blog/no-slash/index.html"],
        requests: &[
            ("blog", "/blog/tpyo", &[], To(301, "/blog/typo")),
            ("blog", "/blog/tpyo/", &[], To(301, "/blog/typo")),
            ("blog", "/blog/no-slash", &[], File(200, "blog/no-slash/index.html")),
        ],
        findings: 1,
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#domain-level-redirects",
        redirects: "http://old.localhost/*  https://www.example.com/old/:splat 301!\n\
                    https://old.localhost/* https://www.example.com/old/:splat 301!",
        requests: &[
            ("old", "/a/b", &[], To(301, "https://www.example.com/old/a/b")),
            ("old", "/", &[], To(301, "https://www.example.com/old/")),
            ("blog", "/", &[], File(200, "index.html")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/redirect-options/#redirect-by-country-or-language",
        redirects: "/     /anz       302 Country=au,nz\n\
                    /wall/* /wall/zh/:splat 302 Language=zh\n\
                    /*    /:splat/old 200! Cookie=legacy,beta",
        files: &["index.html", "wall/index.html", "a/old/index.html"],
        requests: &[
            ("blog", "/", &[("accept-language", "zh")], File(200, "index.html")),
            ("blog", "/wall/x", &[("accept-language", "zh-TW,en")], To(302, "/wall/zh/x")),
            ("blog", "/wall/x", &[("accept-language", "en,zh")], Nothing),
            ("blog", "/wall", &[("accept-language", "zh")], File(200, "wall/index.html")),
            ("blog", "/a", &[("cookie", "x=1; beta=1")], File(200, "a/old/index.html")),
            ("blog", "/a", &[("cookie", "x=1")], Nothing),
        ],
        findings: 1,
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/redirects/rewrites-proxies/ (history pushstate, shadowing, proxy)",
        redirects: "/api/* https://api.example.com/:splat 200\n/app/* /app/index.html 200!\n/* /index.html 200",
        files: &["index.html", "app/index.html", "app/real.html", "real.html"],
        requests: &[
            ("blog", "/any/where", &[], File(200, "index.html")),
            ("blog", "/real", &[], File(200, "real.html")),
            ("blog", "/app/real", &[], File(200, "app/index.html")),
            ("blog", "/api/x", &[], File(200, "index.html")),
        ],
        findings: 1,
        ..NONE
    },
    Example {
        source: "https://developers.cloudflare.com/pages/configuration/redirects/#per-file",
        // The two rules about slashes at the end are for a host that tells them apart.
        redirects: "/home301 / 301\n/home302 / 302\n/query /?query=string 301\n/video https://v.example\n\
                    /slash /slash/ 301\n/noslash/ /nslash 301\n/page/ /page2/#fragment 301\n\
                    /blog/* https://blog.example/:splat\n\
                    /products/:code/:name /products?code=:code&name=:name",
        requests: &[
            ("blog", "/home301", &[], To(301, "/")),
            ("blog", "/home302", &[], To(302, "/")),
            ("blog", "/query", &[], To(301, "/?query=string")),
            ("blog", "/video", &[], To(301, "https://v.example/")),
            ("blog", "/noslash/", &[], To(301, "/nslash")),
            ("blog", "/page/", &[], To(301, "/page2/#fragment")),
            ("blog", "/blog/a/b", &[], To(301, "https://blog.example/a/b")),
            ("blog", "/products/7/chair", &[], To(301, "/products?code=7&name=chair")),
        ],
        findings: 1,
        ..NONE
    },
    Example {
        source: "https://developers.cloudflare.com/pages/configuration/redirects/#proxying",
        redirects: "/a /b 200\n/b /c 200",
        files: &["b.html", "c.html"],
        requests: &[("blog", "/a", &[], File(200, "b.html"))],
        ..NONE
    },
    Example {
        source: "https://developers.cloudflare.com/pages/configuration/headers/#attach-a-header",
        headers: "# This is a comment\n\
                  /safe/page\n  X-Frame-Options: DENY\n  X-Content-Type-Options: nosniff\n  Referrer-Policy: no-referrer\n\n\
                  /static/*\n  Access-Control-Allow-Origin: *\n  X-Robots-Tag: nosnippet\n\n\
                  https://:project.localhost/*\n  X-From: :project\n\n\
                  https://old.localhost/*\n  X-Robots-Tag: noindex\n\n\
                  /*\n  Content-Security-Policy: default-src 'self';\n\n\
                  /*.jpg\n  ! Content-Security-Policy\n\n\
                  /movies/:title\n  x-movie-name: You are watching \":title\"",
        files: &["index.html", "safe/page.html", "static/i.jpg", "static/s.css", "movies/m.html"],
        answers: &[
            ("blog", "/safe/page", "x-frame-options", Some("DENY")),
            ("blog", "/safe/page", "referrer-policy", Some("no-referrer")),
            ("blog", "/safe/page", "x-robots-tag", None),
            ("blog", "/static/i.jpg", "access-control-allow-origin", Some("*")),
            ("blog", "/static/i.jpg", "x-robots-tag", Some("nosnippet")),
            ("blog", "/static/i.jpg", "content-security-policy", None),
            ("old", "/static/s.css", "x-robots-tag", Some("nosnippet, noindex")),
            ("old", "/static/s.css", "content-security-policy", Some("default-src 'self';")),
            ("old", "/", "x-robots-tag", Some("noindex")),
            ("old", "/", "x-from", Some("old")),
            ("blog", "/movies/m", "x-movie-name", Some("You are watching \"m\"")),
        ],
        ..NONE
    },
    Example {
        source: "https://docs.netlify.com/manage/routing/headers/ (wildcards, multi-value headers)",
        headers: "/*\n  X-Frame-Options: DENY\n  cache-control: max-age=0\n  cache-control: no-cache\n\
                  \x20 cache-control: no-store\n  cache-control: must-revalidate\n\
                  /templates/:name\n  X-XSS-Protection: 1; mode=block\n\
                  /pass\n  Basic-Auth: someone:secret",
        files: &["index.html", "templates/a.html", "templates/b/c.html", "pass.html"],
        answers: &[
            ("blog", "/", "cache-control", Some("max-age=0, no-cache, no-store, must-revalidate")),
            ("blog", "/", "x-xss-protection", None),
            ("blog", "/templates/a", "x-xss-protection", Some("1; mode=block")),
            ("blog", "/templates/a", "x-frame-options", Some("DENY")),
            ("blog", "/templates/b/c", "x-xss-protection", None),
            ("blog", "/pass", "basic-auth", None),
        ],
        findings: 1,
        ..NONE
    },
];

#[test]
fn published_redirects_behave_as_documented() {
    for example in &EXAMPLES {
        let lookup = |path: &str| {
            let found = example.files.iter().find(|file| **file == path);
            found.map(|file| (Visibility::Public, *file))
        };
        let answer = |path: &str| match resolve(path, Routing::Files, Viewer::Anonymous, lookup) {
            Resolution::File(file) => File(200, file),
            Resolution::NotFoundPage(file) => File(404, file),
            Resolution::WithoutSlash | Resolution::WithSlash => To(301, ""),
            Resolution::NotFound | Resolution::Unauthorized => Nothing,
        };
        let exists = |path: &str| !matches!(answer(path), Nothing | File(404, _));
        let (redirects, findings) = Redirects::parse(example.redirects.as_bytes());
        if !example.redirects.is_empty() {
            assert_eq!(findings.len(), example.findings, "{}: {findings:?}", example.source);
        }
        let circles = redirects.loops(exists);
        assert!(!circles.iter().any(|one| one.is_error()), "{}: {circles:?}", example.source);
        for (app, target, headers, expected) in example.requests {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let header = |wanted: &str| {
                let found = headers.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.as_bytes())
            };
            let host = format!("{app}.localhost");
            let (language, cookie) = (header("accept-language"), header("cookie"));
            let ask = Ask { language, cookie, host: Some(&host) };
            let context = format!("{target} of {}", example.source);
            match (redirects.find(path, query, &ask, exists), *expected) {
                (Some(Outcome::Redirect { location, status }), To(wanted, to)) => {
                    assert_eq!((status, &*location), (wanted, to), "{context}");
                }
                (Some(Outcome::Rewrite { path, status }), expected) => {
                    let file = match answer(&path) {
                        File(200, file) => File(status, file),
                        other => other,
                    };
                    assert_eq!(file, expected, "{context}");
                }
                (None, expected) => assert_eq!(answer(path), expected, "{context}"),
                (got, expected) => panic!("{context}: {got:?} is not {expected:?}"),
            }
        }
    }
}

#[test]
fn published_headers_behave_as_documented() {
    for example in EXAMPLES.iter().filter(|example| !example.headers.is_empty()) {
        let (headers, findings) = Headers::parse(example.headers.as_bytes());
        assert_eq!(findings.len(), example.findings, "{}: {findings:?}", example.source);
        for (app, path, name, expected) in example.answers {
            let host = format!("{app}.localhost");
            let fields = headers.fields(headers.select(path, Some(&host), None), path, Some(&host));
            assert_eq!(fields.get(name), *expected, "{name} of {path} of {}", example.source);
        }
    }
}

#[tokio::test]
async fn published_examples_behave_as_documented_over_http() {
    for example in &EXAMPLES {
        let world = World::new().await;
        let mut site = Site::new();
        for file in example.files {
            site = site.file(file, file);
        }
        for (name, content) in [("_redirects", example.redirects), ("_headers", example.headers)] {
            if !content.is_empty() {
                site = site.file(name, content);
            }
        }
        for app in ["blog", "old"] {
            world.deploy(app, &site).await;
        }
        for (app, target, headers, expected) in example.requests {
            let reply = world.get_with(app, target, headers).await;
            let context = format!("{target} of {}: {}", example.source, reply.text());
            match *expected {
                To(status, location) => {
                    let got = (reply.status, reply.header("location"));
                    assert_eq!(got, (status, Some(location)), "{context}");
                }
                File(status, file) => {
                    assert_eq!((reply.status, reply.text()), (status, file), "{context}");
                }
                Nothing => assert_eq!(reply.status, 404, "{context}"),
            }
        }
        for (app, path, name, expected) in example.answers {
            let reply = world.get(app, path).await;
            assert_eq!(reply.status, 200, "{path} of {}", example.source);
            let expected = expected.or_else(|| default_of(name));
            assert_eq!(reply.header(name), expected, "{name} of {path} of {}", example.source);
        }
        for file in ["/_redirects", "/_headers"] {
            let reply = world.get("blog", file).await;
            assert!(!reply.text().contains(" /"), "{file} of {} is not served", example.source);
        }
    }
}

/// What an answer has where the rules say nothing.
fn default_of(name: &str) -> Option<&'static str> {
    (name == "referrer-policy").then_some("strict-origin-when-cross-origin")
}
