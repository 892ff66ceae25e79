//! Splits: who sees what, for how long, and what caches may keep of it.

use std::collections::BTreeMap;

use fazt_sdk::http::Method;
use fazt_testkit::{Answer, Connection, TestKernel};
use serde_json::{Value, json};

use crate::gadget::GADGET;
use crate::names::post;

const HOST: &str = "www.example.com";

async fn world(targets: Value) -> TestKernel {
    let settings = [("server.domain", "example.com")];
    let node = TestKernel::configured(vec![GADGET], vec![], &settings).await.unwrap();
    for app in ["blog", "next", "other"] {
        node.app(app).await.unwrap();
    }
    split(&node, targets).await.unwrap();
    node
}

async fn split(node: &TestKernel, targets: Value) -> fazt_sdk::Result<Value> {
    post(node, "/api/aliases/www/split", json!({ "targets": targets })).await
}

async fn visit(node: &TestKernel, connection: Connection, cookie: Option<&str>) -> Answer {
    let headers: Vec<_> = cookie.into_iter().map(|cookie| ("cookie", cookie)).collect();
    node.exchange(connection, HOST, Method::Get, "/_gadget/preview", &headers, "").await
}

fn app_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().split(' ').next().unwrap().to_owned()
}

/// The cookie as a browser sends it back.
fn cookie_of(answer: &Answer) -> Option<String> {
    Some(answer.header("set-cookie")?.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn new_visitors_are_shared_out_by_weight_and_come_back_to_the_same_app() {
    let node = world(json!(["blog:70", "next:30"])).await;
    let (blog, next) = (node.app("blog").await.unwrap(), node.app("next").await.unwrap());
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let first = visit(&node, Connection::Tls, None).await;
        let (app, cookie) = (app_of(&first), cookie_of(&first).unwrap());
        assert_eq!(cookie, format!("__Host-fazt_split={app}"));
        let again = visit(&node, Connection::Tls, Some(&cookie)).await;
        assert_eq!(
            (app_of(&again), cookie_of(&again)),
            (app.clone(), None),
            "nobody is told twice"
        );
        *seen.entry(app).or_default() += 1;
    }
    // Of 1,000 throws with 700 expected one standard deviation is 14.5: this is seven of them.
    let (blog, next) = (seen[&blog.to_string()], seen[&next.to_string()]);
    assert!((600..=800).contains(&blog), "{blog}");
    assert_eq!(blog + next, 1_000);
}

#[tokio::test]
async fn a_visitor_whose_app_left_the_split_gets_another_and_a_new_cookie() {
    let node = world(json!(["blog:99", "next:1"])).await;
    let next = node.app("next").await.unwrap();
    let cookie = format!("__Host-fazt_split={next}");
    assert_eq!(app_of(&visit(&node, Connection::Tls, Some(&cookie)).await), next.to_string());
    split(&node, json!(["blog:99", "other:1"])).await.unwrap();
    let moved = visit(&node, Connection::Tls, Some(&cookie)).await;
    assert_ne!(app_of(&moved), next.to_string());
    assert_eq!(cookie_of(&moved).unwrap(), format!("__Host-fazt_split={}", app_of(&moved)));
    // Of two cookies the one that still means something counts, wherever it stands.
    let other = node.app("other").await.unwrap();
    for cookies in [
        format!("{cookie}; __Host-fazt_split={other}"),
        format!("a=b; __Host-fazt_split={other}; {cookie}"),
        format!("__Host-fazt_split=; __Host-fazt_split={other}"),
    ] {
        let answer = visit(&node, Connection::Tls, Some(&cookies)).await;
        assert_eq!((app_of(&answer), cookie_of(&answer)), (other.to_string(), None), "{cookies}");
    }
}

#[tokio::test]
async fn the_cookie_is_bound_to_its_connection_and_opens_nothing() {
    let node = world(json!(["blog:99", "next:1"])).await;
    let (next, other) = (node.app("next").await.unwrap(), node.app("other").await.unwrap());
    let tls = visit(&node, Connection::Tls, None).await;
    let set = tls.header("set-cookie").unwrap().to_owned();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"), "{set}");
    let plain = visit(&node, Connection::PlainHttp, None).await;
    let set = plain.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("fazt_split=fazt_app_") && !set.contains("Secure"), "{set}");
    // A cookie that plain HTTP could have set means nothing under TLS.
    let plain = format!("fazt_split={next}");
    assert!(cookie_of(&visit(&node, Connection::Tls, Some(&plain)).await).is_some());
    assert_eq!(cookie_of(&visit(&node, Connection::PlainHttp, Some(&plain)).await), None);
    // An app that the split does not show is not shown by asking for it.
    for foreign in [other.to_string(), "x".to_owned(), String::new(), "a".repeat(4_000)] {
        let answer =
            visit(&node, Connection::Tls, Some(&format!("__Host-fazt_split={foreign}"))).await;
        assert_ne!(app_of(&answer), other.to_string());
        assert!(cookie_of(&answer).is_some());
    }
}

/// A response that read or set a cookie is not for shared caches.
#[tokio::test]
async fn nothing_of_a_split_is_kept_by_shared_caches() {
    let node = world(json!(["blog:50", "next:50"])).await;
    let first = visit(&node, Connection::Tls, None).await;
    let cookie = cookie_of(&first).unwrap();
    let again = visit(&node, Connection::Tls, Some(&cookie)).await;
    for (path, cache) in [
        ("/_gadget/preview", "private, no-cache"),
        ("/_gadget/cached", "private, no-cache"),
        ("/_gadget/prepared", "private, no-cache"),
        ("/_gadget/secret", "no-store"),
        ("/none", "no-store"),
    ] {
        for headers in [vec![], vec![("cookie", cookie.as_str())]] {
            let answer =
                node.exchange(Connection::Tls, HOST, Method::Get, path, &headers, "").await;
            let all = |name: &str| -> Vec<_> {
                answer
                    .headers
                    .iter()
                    .filter(|(known, _)| known == name)
                    .map(|(_, value)| value.as_str())
                    .collect()
            };
            assert_eq!(all("cache-control"), [cache], "{path}");
            assert!(all("vary").contains(&"cookie"), "{path}");
            assert_eq!(all("cdn-cache-control"), [""; 0], "{path}");
        }
    }
    assert_eq!(app_of(&first), app_of(&again));
    // What the app said otherwise, it still says; and on its own host it says all of it.
    let through =
        node.exchange(Connection::Tls, HOST, Method::Get, "/_gadget/prepared", &[], "").await;
    assert_eq!(through.header("etag"), Some("\"gadget\""));
    let own = "blog.example.com";
    for path in ["/_gadget/cached", "/_gadget/prepared"] {
        let answer = node.exchange(Connection::Tls, own, Method::Get, path, &[], "").await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000"), "{path}");
        assert_eq!((answer.header("vary"), answer.header("set-cookie")), (None, None), "{path}");
    }
}

#[tokio::test]
async fn a_split_survives_a_restart_and_is_shown_as_it_is() {
    let mut node =
        world(json!([{ "app": "next", "weight": 25 }, { "app_id": "blog", "weight": 75 }])).await;
    node.restart().await.unwrap();
    let info = node.operate(Method::Get, "/api/aliases/www", json!({})).await.unwrap();
    assert_eq!(info["kind"], "split");
    let target = info["target"].as_str().unwrap();
    assert!(target.starts_with("blog (") && target.ends_with("): 25 %"), "{target}");
    let apps: Vec<_> = info["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| (app["name"].as_str().unwrap(), app["weight"].as_u64().unwrap()))
        .collect();
    assert_eq!(apps, [("blog", 75), ("next", 25)]);
    assert!(cookie_of(&visit(&node, Connection::Tls, None).await).is_some());
}

#[tokio::test]
async fn a_split_that_does_not_add_up_changes_nothing() {
    let node = world(json!(["blog:50", "next:50"])).await;
    for (targets, code) in [
        (json!(["blog:90", "next:20"]), "BAD_SPLIT"),
        (json!(["blog:100"]), "BAD_SPLIT"),
        (json!(["blog:100", "next:0"]), "BAD_SPLIT"),
        (json!(["blog:50", "blog:50"]), "BAD_SPLIT"),
        (json!(["blog:half", "next:half"]), "BAD_SPLIT"),
        (json!(["blog", "next"]), "BAD_SPLIT"),
        (json!([]), "BAD_SPLIT"),
        (json!(["blog:50", "nobody:50"]), "NO_SUCH_APP"),
    ] {
        assert_eq!(split(&node, targets.clone()).await.unwrap_err().code(), code, "{targets}");
    }
    let info = node.operate(Method::Get, "/api/aliases/www", json!({})).await.unwrap();
    assert_eq!(info["apps"][0]["weight"], 50);
}

#[tokio::test]
async fn an_app_that_visitors_are_sent_to_is_not_removed() {
    let node = world(json!(["blog:50", "next:50"])).await;
    let error = node.operate(Method::Delete, "/api/apps/next", json!({})).await.unwrap_err();
    assert_eq!(error.code(), "APP_IN_SPLIT");
    node.operate(Method::Delete, "/api/aliases/www", json!({})).await.unwrap();
    node.operate(Method::Delete, "/api/apps/next", json!({})).await.unwrap();
    // A name that is split takes no deploy: nobody could say to which app.
    split(&node, json!(["blog:50", "other:50"])).await.unwrap();
    let error = node.app("www").await.unwrap_err();
    assert!(error.message().contains("split"), "{error}");
    // An app that lost its own alias to the split is still called by its name.
    let own = json!({ "targets": ["blog:50", "other:50"] });
    post(&node, "/api/aliases/blog/split", own.clone()).await.unwrap();
    post(&node, "/api/aliases/blog/split", own).await.unwrap();
}
