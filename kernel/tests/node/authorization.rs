//! Who may call what: one table over everything that is declared, so that nothing new is forgotten.

use std::collections::BTreeSet;

use fazt_sdk::http::Method;
use fazt_sdk::route::{Surface, Visibility};
use fazt_testkit::{Answer, Connection, TestKernel};
use serde_json::json;

use crate::gadget::GADGET;
use crate::support::{ADMIN, ask, ask_with_key, code, key};

/// One address of the admin API.
struct Line {
    method: Method,
    path: String,
    scope: String,
    for_app_keys: bool,
}

/// Every operation and every route that is not public.
fn lines(node: &TestKernel) -> Vec<Line> {
    let manifests = node.kernel().manifests();
    let operations = manifests.iter().flat_map(|manifest| &manifest.operations).map(|one| Line {
        method: one.method,
        path: one.path.clone(),
        scope: one.scope.clone(),
        for_app_keys: one.for_app_keys,
    });
    let routes = manifests.iter().flat_map(|manifest| &manifest.routes);
    let routes = routes
        .filter(|route| route.surface == Surface::Admin && route.visibility != Visibility::Public);
    let routes = routes.map(|route| Line {
        method: route.method.unwrap(),
        path: route.pattern.clone(),
        scope: route.needed_scope().to_owned(),
        for_app_keys: route.for_app_keys,
    });
    let lines: Vec<_> = operations.chain(routes).collect();
    assert!(lines.len() > 30, "{} lines", lines.len());
    lines
}

/// The path with `app` for `{app}`, and something for every other capture.
fn filled(path: &str, app: &str) -> String {
    let segment = |segment: &str| match segment {
        "{app}" => app.to_owned(),
        other if other.starts_with('{') => "something".to_owned(),
        other => other.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn world() -> TestKernel {
    let node = TestKernel::with(vec![GADGET]).await.unwrap();
    node.app("blog").await.unwrap();
    node.app("shop").await.unwrap();
    node
}

fn refused(answer: &Answer, status: u16, codes: &[&str], line: &Line) {
    let (method, path) = (line.method, &line.path);
    assert_eq!(answer.status, status, "{method:?} {path}: {}", answer.text());
    let code = code(answer);
    assert!(codes.contains(&code.as_str()), "{method:?} {path}: {code}");
}

#[tokio::test]
async fn nobody_calls_anything_anonymously() {
    let node = world().await;
    for line in lines(&node) {
        let path = filled(&line.path, "blog");
        for connection in [Connection::Loopback, Connection::PlainHttp, Connection::Tls] {
            let answer = node.exchange(connection, ADMIN, line.method, &path, &[], "").await;
            // From elsewhere the name of the machine itself leads nowhere.
            if connection == Connection::Loopback || answer.status != 404 {
                refused(&answer, 401, &["UNAUTHORIZED"], &line);
            }
        }
    }
}

#[tokio::test]
async fn a_key_without_the_scope_calls_nothing_that_needs_it() {
    let node = world().await;
    let (_, reader) = key(&node, &["read"], None).await;
    let (_, deployer) = key(&node, &["deploy"], None).await;
    let (_, both) = key(&node, &["read", "deploy"], None).await;
    for line in lines(&node) {
        let key = match line.scope.as_str() {
            "read" => &deployer,
            "deploy" => &reader,
            "admin" => &both,
            other => panic!("{} needs {other}", line.path),
        };
        let path = filled(&line.path, "blog");
        let answer = ask_with_key(&node, key, line.method, &path, "").await;
        refused(&answer, 403, &["SCOPE_MISSING"], &line);
    }
}

#[tokio::test]
async fn a_key_for_one_app_reaches_neither_the_node_nor_another_app() {
    let node = world().await;
    let (_, key) = key(&node, &["read", "deploy", "admin"], Some("blog")).await;
    for line in lines(&node) {
        let answer = ask_with_key(&node, &key, line.method, &filled(&line.path, "shop"), "").await;
        if line.path.contains("{app}") {
            refused(&answer, 403, &["DENIED", "KEY_LIMITED"], &line);
        } else if !line.for_app_keys {
            refused(&answer, 403, &["KEY_LIMITED"], &line);
        }
    }
}

/// What a key for one app may call without naming its app in the path looks at the app by itself.
/// Whoever adds to this list adds the test that it does.
#[tokio::test]
async fn what_answers_keys_of_one_app_is_known() {
    let node = world().await;
    let found: BTreeSet<_> = lines(&node)
        .into_iter()
        .filter(|line| line.for_app_keys && !line.path.contains("{app}"))
        .map(|line| format!("{} {}", line.method.as_str(), line.path))
        .collect();
    let known = [
        "GET /api/apps",
        "GET /api/aliases",
        "GET /api/aliases/{name}",
        "GET /api/domains",
        "GET /api/domains/{name}",
        "POST /api/aliases",
        "DELETE /api/aliases/{name}",
        "GET /api/system/info",
    ];
    assert_eq!(found, known.map(str::to_owned).into());
}

#[tokio::test]
async fn a_key_for_one_app_sees_and_changes_the_names_of_that_app_only() {
    let node = world().await;
    let (_, key) = key(&node, &["admin"], Some("blog")).await;
    for path in ["/api/apps", "/api/aliases"] {
        let seen = ask_with_key(&node, &key, Method::Get, path, "").await.data().unwrap();
        let seen = seen.as_array().unwrap();
        assert_eq!(seen.len(), 1, "{path}: {seen:?}");
        assert_eq!(seen[0]["name"], "blog");
    }
    let add = async |input: serde_json::Value| {
        ask_with_key(&node, &key, Method::Post, "/api/aliases", &input.to_string()).await.status
    };
    assert_eq!(add(json!({ "name": "www", "app": "blog" })).await, 200);
    assert_eq!(add(json!({ "name": "www2", "app": "shop" })).await, 403);
    assert_eq!(add(json!({ "name": "old", "redirect": "https://example.com" })).await, 403);
    let remove = async |name: &str| {
        let path = format!("/api/aliases/{name}");
        ask_with_key(&node, &key, Method::Delete, &path, "").await.status
    };
    assert_eq!(remove("shop").await, 403);
    assert_eq!(remove("nothing").await, 403);
    assert_eq!(remove("www").await, 200);
}

#[tokio::test]
async fn a_key_for_one_app_does_not_learn_which_other_apps_there_are() {
    let node = world().await;
    let (_, key) = key(&node, &["admin"], Some("blog")).await;
    let ask = async |app: &str| {
        let answer = ask_with_key(&node, &key, Method::Get, &format!("/api/apps/{app}"), "").await;
        (answer.status, code(&answer), answer.text().contains("fazt_app_"))
    };
    assert_eq!(ask("blog").await.0, 200);
    assert_eq!(ask("shop").await, ask("nothing").await);
    assert_eq!(ask("shop").await.0, 403);
}

#[tokio::test]
async fn a_key_sees_no_dashboard() {
    let node = world().await;
    for app in [None, Some("blog")] {
        let (_, key) = key(&node, &["admin"], app).await;
        let answer = ask_with_key(&node, &key, Method::Get, "/", "").await;
        assert!(!answer.text().contains("shop"), "{}", answer.text());
    }
}

#[tokio::test]
async fn keys_do_not_travel_over_plain_http() {
    let node = TestKernel::configured(vec![], vec![], &[("server.domain", "example.com")]);
    let node = node.await.unwrap();
    let (_, key) = key(&node, &["admin"], None).await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let host = "admin.example.com";
    let ask = async |connection| {
        node.exchange(connection, host, Method::Get, "/api/keys", &headers, "").await
    };
    let answer = ask(Connection::PlainHttp).await;
    assert_eq!((answer.status, code(&answer).as_str()), (403, "PLAIN_HTTP"));
    assert_eq!(ask(Connection::Loopback).await.status, 200);
    assert_eq!(ask(Connection::Tls).await.status, 200);
}

#[tokio::test]
async fn a_key_is_one_header_of_the_right_form() {
    let node = world().await;
    let (id, key) = key(&node, &["admin"], None).await;
    let bearer = format!("Bearer {key}");
    let cut = &bearer[..bearer.len() - 1];
    for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", &key, cut, &format!("{bearer}0")] {
        let answer = ask(&node, Method::Get, "/api/keys", &[("authorization", wrong)], "").await;
        assert_eq!((answer.status, code(&answer).as_str()), (401, "INVALID_API_KEY"), "{wrong}");
    }
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(ask(&node, Method::Get, "/api/keys", &twice, "").await.status, 401);
    node.operate(Method::Delete, &format!("/api/keys/{id}"), json!({})).await.unwrap();
    assert_eq!(ask_with_key(&node, &key, Method::Get, "/api/keys", "").await.status, 401);
}

#[tokio::test]
async fn only_the_owner_makes_sign_in_links_and_passwords() {
    let node = world().await;
    let (_, key) = key(&node, &["admin"], None).await;
    let link = ask_with_key(&node, &key, Method::Post, "/api/login-link", "").await;
    assert_eq!(link.status, 403, "{}", link.text());
    let input = json!({ "username": "me", "password": "long enough 1" }).to_string();
    let set = ask_with_key(&node, &key, Method::Put, "/api/credentials", &input).await;
    assert_eq!(set.status, 403, "{}", set.text());
}

#[tokio::test]
async fn credentials_of_the_node_end_before_the_plugins() {
    let node = world().await;
    let (_, key) = key(&node, &["read"], None).await;
    for bearer in [format!("Bearer {key}"), format!("bearer  {key}"), format!("BEARER\t{key}")] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("cookie", "theme=dark; fazt_admin_8080=token; lang=en"),
            ("cookie", "__Host-fazt_admin=token"),
        ];
        let answer = node.request("blog", Method::Get, "/_gadget/headers", &headers, "").await;
        assert_eq!(answer.text(), "theme=dark; lang=en|", "{bearer}");
    }
    let own = [("authorization", "Bearer of-the-app"), ("cookie", "a=b")];
    let answer = node.request("blog", Method::Get, "/_gadget/headers", &own, "").await;
    assert_eq!(answer.text(), "a=b|Bearer of-the-app");
}
