//! Aliases on the move: linking, reserving, swapping, and the names of apps.

use fazt_sdk::http::Method;
use fazt_testkit::{Connection, TestKernel};
use serde_json::{Value, json};

use crate::gadget::GADGET;

async fn world() -> TestKernel {
    let node = TestKernel::with(vec![GADGET]).await.unwrap();
    node.app("blog").await.unwrap();
    node.app("shop").await.unwrap();
    node
}

/// The app that answers under an alias; nothing when nobody does.
pub(crate) async fn answering(node: &TestKernel, alias: &str) -> Option<String> {
    let answer = node.get(alias, "/_gadget/preview").await;
    (answer.status == 200).then(|| answer.text().split(' ').next().unwrap().to_owned())
}

pub(crate) async fn post(node: &TestKernel, path: &str, input: Value) -> fazt_sdk::Result<Value> {
    node.operate(Method::Post, path, input).await
}

async fn link(node: &TestKernel, name: &str, app: &str) -> fazt_sdk::Result<Value> {
    node.operate(Method::Put, &format!("/api/aliases/{name}"), json!({ "app": app })).await
}

#[tokio::test]
async fn linking_takes_a_name_from_wherever_it_led() {
    let mut node = world().await;
    let (blog, shop) = (answering(&node, "blog").await, answering(&node, "shop").await);
    assert_ne!(blog, shop);
    let redirect = json!({ "name": "old", "redirect": "https://new.example/" });
    post(&node, "/api/aliases", redirect).await.unwrap();
    post(&node, "/api/aliases/kept/reserve", json!(null)).await.unwrap();
    for name in ["fresh", "old", "kept", "blog"] {
        link(&node, name, "shop").await.unwrap();
        assert_eq!(answering(&node, name).await, shop, "{name}");
    }
    // The app without a name is still there, under its id and the name that it alone has.
    let path = format!("/api/apps/{}", blog.clone().unwrap());
    let info = node.operate(Method::Get, &path, json!({})).await.unwrap();
    assert_eq!(info["aliases"], json!([]));
    link(&node, "again", blog.as_deref().unwrap()).await.unwrap();
    assert_eq!(link(&node, "x", "nobody").await.unwrap_err().code(), "NO_SUCH_APP");
    assert_eq!(link(&node, "a.b", "shop").await.unwrap_err().code(), "BAD_NAME");
    node.restart().await.unwrap();
    assert_eq!(answering(&node, "again").await, blog);
    assert_eq!(answering(&node, "old").await, shop);
}

#[tokio::test]
async fn an_app_whose_name_leads_elsewhere_is_found_by_the_name_that_it_alone_has() {
    let node = world().await;
    let blog = answering(&node, "blog").await;
    node.operate(Method::Delete, "/api/aliases/blog", json!({})).await.unwrap();
    assert_eq!(answering(&node, "blog").await, None);
    let info = node.operate(Method::Get, "/api/apps/blog", json!({})).await.unwrap();
    assert_eq!(info["id"].as_str(), blog.as_deref());
    // A deploy to the free name makes a new app, and then the name alone does not tell them apart.
    let second = node.app("blog").await.unwrap().to_string();
    assert_ne!(Some(second.as_str()), blog.as_deref());
    let info = node.operate(Method::Get, "/api/apps/blog", json!({})).await.unwrap();
    assert_eq!(info["id"], second.as_str(), "the alias comes first");
    node.operate(Method::Delete, "/api/aliases/blog", json!({})).await.unwrap();
    let none = node.operate(Method::Get, "/api/apps/blog", json!({})).await.unwrap_err();
    assert_eq!(none.code(), "NO_SUCH_APP");
}

#[tokio::test]
async fn a_reserved_name_is_kept_free_and_a_used_one_is_not_reserved() {
    let node = world().await;
    for _ in 0..2 {
        let reserved = post(&node, "/api/aliases/shop2/reserve", json!(null)).await.unwrap();
        assert_eq!((&reserved["kind"], &reserved["target"]), (&json!("reserved"), &json!("")));
    }
    assert_eq!(answering(&node, "shop2").await, None);
    assert!(node.app("shop2").await.is_err(), "nothing is deployed there");
    let error = post(&node, "/api/aliases/blog/reserve", json!(null)).await.unwrap_err();
    assert_eq!(error.code(), "ALIAS_TAKEN");
    assert!(answering(&node, "blog").await.is_some());
    let error = post(&node, "/api/aliases/admin/reserve", json!(null)).await.unwrap_err();
    assert_eq!(error.code(), "RESERVED_NAME");
}

#[tokio::test]
async fn two_aliases_are_swapped_whatever_they_lead_to() {
    let mut node = world().await;
    let (blog, shop) = (answering(&node, "blog").await, answering(&node, "shop").await);
    let swap = async |node: &TestKernel, one: &str, other: &str| {
        post(node, "/api/aliases/swap", json!({ "alias1": one, "alias2": other })).await
    };
    let rows = swap(&node, "blog", "shop").await.unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["target"]), (&json!("blog"), &json!(shop)));
    assert_eq!(
        (answering(&node, "blog").await, answering(&node, "shop").await),
        (shop.clone(), blog.clone())
    );
    let redirect = json!({ "name": "old", "redirect": "https://new.example/" });
    post(&node, "/api/aliases", redirect).await.unwrap();
    swap(&node, "old", "blog").await.unwrap();
    assert_eq!(answering(&node, "old").await, shop);
    assert_eq!(node.get("blog", "/").await.status, 301);
    for (one, other, code) in [
        ("old", "old", "INVALID"),
        ("old", "none", "NO_SUCH_ALIAS"),
        ("none", "old", "NO_SUCH_ALIAS"),
    ] {
        assert_eq!(swap(&node, one, other).await.unwrap_err().code(), code, "{one} {other}");
    }
    node.restart().await.unwrap();
    assert_eq!(answering(&node, "old").await, shop);
    assert_eq!(answering(&node, "shop").await, blog);
}

#[tokio::test]
async fn an_alias_says_what_it_leads_to() {
    let node = world().await;
    let info = node.operate(Method::Get, "/api/aliases/blog", json!({})).await.unwrap();
    assert_eq!(info["kind"], "app");
    assert_eq!(info["url"], "http://blog.localhost:8080");
    assert_eq!(info["apps"][0]["name"], "blog");
    assert_eq!(info["apps"][0]["weight"], 100);
    let none = node.operate(Method::Get, "/api/aliases/none", json!({})).await.unwrap_err();
    assert_eq!(none.code(), "NO_SUCH_ALIAS");
}

#[tokio::test]
async fn an_app_is_created_once_under_a_name() {
    let node = world().await;
    let made = post(&node, "/api/apps", json!({ "name": "fresh" })).await.unwrap();
    assert_eq!(made["urls"], json!(["http://fresh.localhost:8080"]));
    assert_eq!(answering(&node, "fresh").await.as_deref(), made["id"].as_str());
    let taken = post(&node, "/api/apps", json!({ "name": "fresh" })).await.unwrap_err();
    assert_eq!(taken.code(), "ALIAS_TAKEN");
}

/// One verdict on a name, whichever way it comes in.
#[tokio::test]
async fn a_bad_or_kept_name_is_refused_on_every_way_in() {
    let node = world().await;
    let many = "a".repeat(64);
    for (name, code) in [
        ("admin", "RESERVED_NAME"),
        ("root", "RESERVED_NAME"),
        ("localhost", "RESERVED_NAME"),
        ("Admin", "RESERVED_NAME"),
        ("a.b", "BAD_NAME"),
        ("a_b", "BAD_NAME"),
        ("-a", "BAD_NAME"),
        ("a-", "BAD_NAME"),
        ("xn--a", "BAD_NAME"),
        (many.as_str(), "BAD_NAME"),
    ] {
        let alias = format!("/api/aliases/{name}");
        let split = json!({ "targets": ["blog:50", "shop:50"] });
        for (method, path, input) in [
            (Method::Post, "/api/apps".to_owned(), json!({ "name": name })),
            (Method::Post, "/api/aliases".to_owned(), json!({ "name": name, "app": "blog" })),
            (Method::Put, alias.clone(), json!({ "app": "blog" })),
            (Method::Post, format!("{alias}/reserve"), json!(null)),
            (Method::Post, format!("{alias}/split"), split),
            (Method::Post, "/api/apps/blog/fork".to_owned(), json!({ "as": name })),
        ] {
            let error = node.operate(method, &path, input).await.unwrap_err();
            assert_eq!((error.kind().http_status(), error.code()), (400, code), "{name} at {path}");
        }
        assert_eq!(node.app(name).await.unwrap_err().code(), code, "{name} by a deploy");
    }
}

#[tokio::test]
async fn a_key_for_one_app_sees_aliases_and_domains_of_that_app_only() {
    let node = world().await;
    let (_, key) = crate::support::key(&node, &["read"], Some("blog")).await;
    let domain = json!({ "name": "shop.example", "redirect_to": "www.shop.example" });
    drop(post(&node, "/api/domains", domain).await);
    for (path, status) in [
        ("/api/aliases/blog", 200),
        ("/api/aliases/shop", 403),
        ("/api/aliases/none", 403),
        ("/api/domains", 200),
        ("/api/domains/shop.example", 403),
        ("/api/domains/none.example", 403),
    ] {
        let answer = crate::support::ask_with_key(&node, &key, Method::Get, path, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.text().contains("www.shop.example"), "{path}");
    }
}

#[tokio::test]
async fn an_alias_that_moves_is_seen_over_every_connection() {
    let node = TestKernel::configured(vec![GADGET], vec![], &[("server.domain", "example.com")]);
    let node = node.await.unwrap();
    let (blog, shop) = (node.app("blog").await.unwrap(), node.app("shop").await.unwrap());
    for (app, name) in [(shop, "shop"), (blog, "blog")] {
        link(&node, "www", name).await.unwrap();
        for connection in [Connection::Loopback, Connection::PlainHttp, Connection::Tls] {
            let host = "www.example.com";
            let path = "/_gadget/preview";
            let answer = node.exchange(connection, host, Method::Get, path, &[], "").await;
            assert!(answer.text().starts_with(&app.to_string()), "{name}");
        }
    }
}
