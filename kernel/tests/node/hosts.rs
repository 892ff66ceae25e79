//! Which host leads where.

use fazt_sdk::http::Method;
use fazt_testkit::{Connection, TestKernel};
use serde_json::json;

use crate::gadget::GADGET;

async fn node(domain: &str) -> TestKernel {
    let settings = [("server.domain", domain)];
    let node = TestKernel::configured(vec![GADGET], vec![], &settings).await.unwrap();
    node.app("blog").await.unwrap();
    node
}

async fn status(node: &TestKernel, connection: Connection, host: &str, path: &str) -> u16 {
    node.exchange(connection, host, Method::Get, path, &[], "").await.status
}

#[tokio::test]
async fn the_machine_itself_always_knows_the_node_as_localhost() {
    let node = node("example.com").await;
    let (here, plain, tls) = (Connection::Loopback, Connection::PlainHttp, Connection::Tls);
    for host in ["admin.example.com", "admin.localhost"] {
        assert_eq!(status(&node, here, host, "/").await, 200, "{host}");
        assert_eq!(status(&node, here, host, "/api/apps").await, 401, "{host}");
    }
    assert_eq!(status(&node, tls, "admin.example.com", "/api/apps").await, 401);
    for connection in [plain, tls] {
        for host in ["admin.localhost", "localhost", "blog.localhost"] {
            assert_eq!(status(&node, connection, host, "/api/apps").await, 404, "{host}");
        }
    }
    let link = node.operate(Method::Post, "/api/login-link", json!(null)).await.unwrap();
    assert!(link["url"].as_str().unwrap().starts_with("http://admin.localhost"), "{link}");
}

#[tokio::test]
async fn no_other_name_leads_to_the_admin_surface() {
    let node = node("example.com").await;
    for host in [
        "example.com",
        "root.example.com",
        "blog.example.com",
        "none.example.com",
        "xadmin.example.com",
        "admin.blog.example.com",
        "admin.example.com.evil.example",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "evil.example",
        "admin",
        "",
    ] {
        for connection in [Connection::Loopback, Connection::PlainHttp, Connection::Tls] {
            let path = "/api/system/info";
            assert_eq!(status(&node, connection, host, path).await, 404, "{host}");
        }
    }
}

/// What visitors of every kind of alias get, as they did before this node.
#[tokio::test]
async fn aliases_answer_by_their_kind() {
    let node = node("example.com").await;
    node.operate(Method::Post, "/api/aliases/kept/reserve", json!(null)).await.unwrap();
    let redirect = json!({ "name": "old", "redirect": "https://new.example/" });
    node.operate(Method::Post, "/api/aliases", redirect).await.unwrap();
    for (host, expected) in [
        ("blog.example.com", 200),
        ("kept.example.com", 404),
        ("old.example.com", 301),
        ("none.example.com", 404),
        ("a.blog.example.com", 404),
    ] {
        let path = "/_gadget/headers";
        assert_eq!(status(&node, Connection::Tls, host, path).await, expected, "{host}");
    }
}

#[tokio::test]
async fn every_host_that_leads_nowhere_gets_the_same_page() {
    let node = node("example.com").await;
    let page = async |host: &str, path: &str| {
        let connection = Connection::PlainHttp;
        let answer = node.exchange(connection, host, Method::Get, path, &[], "").await;
        (answer.status, answer.headers.clone(), answer.text())
    };
    let first = page("evil.example", "/").await;
    assert_eq!(first.0, 404);
    for host in ["none.example.com", "<script>alert(1)</script>", "kept.example.com"] {
        assert_eq!(page(host, "/<script>").await, first, "{host}");
    }
}

#[tokio::test]
async fn a_redirect_goes_where_the_owner_said_and_nowhere_else() {
    let node = node("example.com").await;
    let add = async |name: &str, url: &str| {
        node.operate(Method::Post, "/api/aliases", json!({ "name": name, "redirect": url })).await
    };
    for (name, url) in [
        ("exact", "https://new.example/path"),
        ("query", "https://new.example/?x=1/"),
        ("base", "https://new.example/docs/"),
        ("host", "https://new.example"),
    ] {
        add(name, url).await.unwrap();
    }
    // An address that ends with a slash, or is a host alone, stands for all that is below it.
    for (name, path, location) in [
        ("exact", "/", "https://new.example/path"),
        ("exact", "/a/b?c=d", "https://new.example/path"),
        ("exact", "//evil.example", "https://new.example/path"),
        ("query", "/a", "https://new.example/?x=1/"),
        ("base", "/", "https://new.example/docs/"),
        ("base", "/a/b?c=d&e", "https://new.example/docs/a/b?c=d&e"),
        ("base", "/?c=d", "https://new.example/docs/?c=d"),
        ("host", "/", "https://new.example"),
        ("host", "/a?c", "https://new.example/a?c"),
        ("host", "//evil.example", "https://new.example//evil.example"),
        ("host", "/@evil.example", "https://new.example/@evil.example"),
        ("host", "/\u{fc} <b>?\"x\" #y", "https://new.example/%C3%BC%20%3Cb%3E?%22x%22%20%23y"),
    ] {
        let host = format!("{name}.example.com");
        let answer = node.exchange(Connection::PlainHttp, &host, Method::Get, path, &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (301, Some(location)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "it can be taken back");
    }
    for bad in [
        "javascript:alert(1)",
        "//evil.example",
        "https://",
        "https:///x",
        "https://a\r\nset-cookie: x=y",
        "https://a b",
        "https://\u{fc}.example",
        "/relative",
    ] {
        assert!(add("bad", bad).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_preview_host_leads_to_the_app_and_tells_the_plugin_which_deployment_is_meant() {
    let node = node("example.com").await;
    let app = node.app("blog").await.unwrap();
    let ask = async |connection: Connection, host: &str| {
        node.exchange(connection, host, Method::Get, "/_gadget/preview", &[], "").await
    };
    for (host, preview) in
        [("blog.example.com", "None"), ("k3xab9k3xab9--blog.example.com", "Some(\"k3xab9k3xab9\")")]
    {
        let answer = ask(Connection::Tls, host).await;
        assert_eq!((answer.status, answer.text()), (200, format!("{app} {preview} {host}")));
    }
    let here = ask(Connection::Loopback, "k3x--blog.localhost").await;
    assert_eq!(here.text(), format!("{app} Some(\"k3x\") k3x--blog.localhost"));
    for host in ["k3x--none.example.com", "--blog.example.com", "k3x--admin.example.com"] {
        assert_eq!(ask(Connection::Tls, host).await.status, 404, "{host}");
    }
    // Whoever is called so is meant, and no deployment of somebody else.
    let exact = node.app("k3x--blog").await.unwrap();
    let answer = ask(Connection::Tls, "k3x--blog.example.com").await;
    assert_eq!(answer.text(), format!("{exact} None k3x--blog.example.com"));
}

#[tokio::test]
async fn names_that_the_node_needs_are_kept_from_aliases_and_apps() {
    let node = node("example.com").await;
    for name in ["admin", "root", "localhost", "fazt", "Admin", "a.b", "a_b", "", "-a", "xn--a"] {
        let input = json!({ "name": name, "redirect": "https://new.example" });
        let added = node.operate(Method::Post, "/api/aliases", input).await;
        assert_eq!(added.unwrap_err().kind().http_status(), 400, "{name}");
        assert!(node.app(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn methods_that_an_address_does_not_have_are_named() {
    let node = node("localhost").await;
    let admin = "admin.localhost";
    for (host, path, allow) in [
        (admin, "/api/apps", "GET"),
        ("blog.localhost", "/_gadget/headers", "GET"),
        ("blog.localhost", "/_fazt/health", "GET"),
    ] {
        for method in [Method::Options, Method::Patch] {
            let answer = node.exchange(Connection::Loopback, host, method, path, &[], "").await;
            assert_eq!(answer.status, 405, "{path}");
            assert!(answer.header("allow").unwrap().contains(allow), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let head = Method::Head;
    let answer =
        node.exchange(Connection::Loopback, "blog.localhost", head, "/_fazt/health", &[], "");
    assert_eq!(answer.await.status, 200);
}

/// A request cannot make the node send anybody to a host that it made up.
#[tokio::test]
async fn no_answer_leads_to_a_host_that_the_request_named() {
    let node = node("example.com").await;
    let redirect = json!({ "name": "old", "redirect": "https://new.example/" });
    node.operate(Method::Post, "/api/aliases", redirect).await.unwrap();
    for connection in [Connection::PlainHttp, Connection::Tls, Connection::Loopback] {
        for host in [
            "evil.example",
            "example.com.evil.example",
            "evil.example.com",
            "old.example.com.evil.example",
            "old.example.com",
            "blog.example.com",
            "example.com",
            "admin.example.com",
            "k3x--old.example.com",
        ] {
            for path in
                ["/", "//evil.example/", "/a/../..//evil.example", "/login?next=//evil.example"]
            {
                let forwarded = [("x-forwarded-host", "evil.example")];
                let answer =
                    node.exchange(connection, host, Method::Get, path, &forwarded, "").await;
                let location = answer.header("location").unwrap_or_default();
                let is_own = location.is_empty()
                    || location.starts_with("https://new.example")
                    || (location.starts_with('/') && !location.starts_with("//"));
                assert!(is_own, "{host}{path} leads to {location}");
                assert!(host == "old.example.com" || !location.starts_with("https"), "{host}");
            }
        }
    }
}

/// Whoever has no business on the admin surface gets nothing there by spelling its host in a new way.
#[tokio::test]
async fn a_visitors_cookies_open_nothing_under_names_of_the_machine() {
    let node = node("example.com").await;
    let cookies = [
        ("cookie", "fazt_session=visitor; __Host-fazt_s=visitor; __Host-fazt_split=visitor"),
        ("authorization", "Bearer visitor"),
    ];
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "0.0.0.0",
        "admin.localhost",
        "admin.example.com",
        "root.example.com",
        "blog.example.com",
        "k3x--admin.example.com",
        "admin--blog.example.com",
        "admin.blog.example.com",
    ] {
        for connection in [Connection::Loopback, Connection::PlainHttp, Connection::Tls] {
            for path in ["/api/apps", "/api/keys", "/api/sql", "/api/settings", "/api/domains"] {
                let answer = node.exchange(connection, host, Method::Get, path, &cookies, "").await;
                assert!(
                    matches!(answer.status, 401 | 403 | 404 | 405),
                    "{host}{path}: {}",
                    answer.status
                );
            }
        }
    }
}
