//! `fazt net`: where apps may connect to.

use fazt_sdk::http::Method;
use serde_json::{Value, json};

use crate::internet::{World, world, world_with};
use crate::server::{Authority, Server, ok};

async fn allow(world: &World, input: Value) -> Value {
    world.node.operate(Method::Post, "/api/net", input).await.unwrap()
}

#[tokio::test]
async fn an_app_without_rules_reaches_every_public_address_on_the_ports_of_the_web() {
    let world = world().await;
    let server = Server::new(|_, to| ok(to, "x"));
    world.internet.host("api.test", "93.184.215.14", 80, &server);
    world.internet.serve("93.184.215.14:8080", &server);
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
    assert_eq!(world.ask("http://93.184.215.14/", json!({})).await.code(), "200");
    assert_eq!(world.ask("http://api.test:8080/", json!({})).await.code(), "NET_BLOCKED");
}

#[tokio::test]
async fn an_app_with_a_rule_reaches_what_its_rules_name() {
    let authority = Authority::new();
    let world = world_with(&[], vec![authority.der.clone()]).await;
    let server = Server::secure(authority.server("api.test", 2040), |_, to| ok(to, "x"));
    world.internet.host("api.test", "93.184.215.14", 443, &server);
    world.internet.serve("93.184.215.14:8443", &server);
    let plain = Server::new(|_, to| ok(to, "x"));
    world.internet.serve("93.184.215.14:80", &plain);
    let other = world.node.app("shop").await.unwrap();

    allow(&world, json!({"host": "elsewhere.test", "app": "blog"})).await;
    let reply = world.ask("https://api.test/", json!({})).await;
    assert_eq!(reply.code(), "NET_BLOCKED");
    assert!(reply.message().contains("fazt net allow api.test"), "{}", reply.message());
    let of_other = crate::asker::ask(&world.node, other, "https://api.test/", json!({})).await;
    assert_eq!(of_other.code(), "200", "another app has rules of its own");

    allow(&world, json!({"host": "API.test.", "app": "blog"})).await;
    assert_eq!(world.ask("https://api.test/", json!({})).await.code(), "200");
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "NET_BLOCKED");
    assert_eq!(world.ask("https://api.test:8443/", json!({})).await.code(), "NET_BLOCKED");
    allow(&world, json!({"host": "api.test", "app": "blog", "http": true})).await;
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
    allow(&world, json!({"host": "api.test:8443", "app": "blog"})).await;
    assert_eq!(world.ask("https://api.test:8443/", json!({})).await.code(), "200");

    for host in ["api.test", "api.test:8443", "elsewhere.test"] {
        let path = format!("/api/net/{host}");
        world.node.operate(Method::Delete, &path, json!({"app": "blog"})).await.unwrap();
    }
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
}

#[tokio::test]
async fn a_rule_for_all_apps_holds_for_all() {
    let world = world().await;
    let server = Server::new(|_, to| ok(to, "x"));
    world.internet.host("api.test", "93.184.215.14", 80, &server);
    let made = allow(&world, json!({"host": "*.elsewhere.test"})).await;
    assert_eq!(made["scope"], "all apps");
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "NET_BLOCKED");
    allow(&world, json!({"host": "api.test", "app": "blog", "http": true})).await;
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
}

#[tokio::test]
async fn no_rule_opens_what_is_not_public() {
    let world = world().await;
    world.internet.name("inside.test", &["10.0.0.1"]);
    for host in ["127.0.0.1", "localhost", "10.0.0.1", "inside.test", "169.254.169.254"] {
        allow(&world, json!({"host": host, "app": "blog", "http": true})).await;
        let reply = world.ask(&format!("http://{host}/"), json!({})).await;
        assert!(matches!(reply.code().as_str(), "NET_BLOCKED" | "NET_ERROR"), "{host}: {reply:?}");
    }
    assert!(world.internet.dialed().is_empty());
}

/// How many rules there are.
async fn count(world: &World) -> usize {
    let list = world.node.operate(Method::Get, "/api/net", Value::Null).await.unwrap();
    list.as_array().unwrap().len()
}

#[tokio::test]
async fn rules_outlive_a_restart_and_go_with_their_app() {
    let mut world = world().await;
    allow(&world, json!({"host": "api.test", "app": "blog"})).await;
    allow(&world, json!({"host": "api.test:8443"})).await;
    world.node.restart().await.unwrap();
    assert_eq!(count(&world).await, 2);
    world.node.operate(Method::Delete, "/api/apps/blog", Value::Null).await.unwrap();
    assert_eq!(count(&world).await, 1);
    world.node.restart().await.unwrap();
    assert_eq!(count(&world).await, 1);
}

#[tokio::test]
async fn a_kept_answer_is_not_given_once_its_host_is_forbidden() {
    let world = world().await;
    let server = Server::new(|_, to| ok(to, "x"));
    world.internet.host("api.test", "93.184.215.14", 80, &server);
    let keep = json!({"cacheTtl": 60_000});
    assert_eq!(world.ask("http://api.test/", keep.clone()).await.code(), "200");
    allow(&world, json!({"host": "elsewhere.test", "app": "blog"})).await;
    assert_eq!(world.ask("http://api.test/", keep).await.code(), "NET_BLOCKED");
}
