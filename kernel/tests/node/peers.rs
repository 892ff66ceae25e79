//! The address book: what it takes, and whom it tells a token.

use fazt_kernel::AdminRequest;
use fazt_sdk::http::{Body, Method};
use fazt_testkit::{Connection, TestKernel};
use serde_json::{Value, json};

use crate::support::{ADMIN, ask_with_key, code, key};

const TOKEN: &str = "fzt_0123456789abcdef";

async fn book() -> TestKernel {
    let node = TestKernel::with(vec![]).await.unwrap();
    add(&node, "home", "https://Example.com/").await.unwrap();
    node
}

async fn add(node: &TestKernel, name: &str, url: &str) -> fazt_sdk::Result<Value> {
    let peer = json!({ "name": name, "url": url, "token": TOKEN });
    node.operate(Method::Post, "/api/peers", peer).await
}

/// The owner in the same process, which is where commands on a closed cartridge are.
async fn from_this_process(node: &TestKernel, path: &str) -> (u16, Value) {
    let request = AdminRequest {
        method: Method::Get,
        path: path.to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Body::empty(),
    };
    let mut answer = node.kernel().admin(request).await;
    let body = answer.body.collect(1024 * 1024).await.unwrap();
    (answer.status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_token_is_told_on_this_machine_only() {
    let node = book().await;
    let path = "/api/peers/home/token";
    let (status, answer) = from_this_process(&node, path).await;
    assert_eq!((status, &answer["data"]["token"]), (200, &json!(TOKEN)), "{answer}");
    assert_eq!(answer["data"]["url"], "https://example.com");

    let (_, admin) = key(&node, &["admin"], None).await;
    let answer = ask_with_key(&node, &admin, Method::Get, path, "").await;
    assert_eq!((answer.status, code(&answer).as_str()), (403, "NOT_OVER_HTTP"));
    // The owner's own session is no exception.
    let error = node.operate(Method::Get, path, Value::Null).await.unwrap_err();
    assert_eq!(error.code(), "NOT_OVER_HTTP");
    for connection in [Connection::Loopback, Connection::Tls] {
        let answer = node.exchange(connection, ADMIN, Method::Get, path, &[], "").await;
        assert!(!answer.text().contains(TOKEN), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_token_stands_nowhere_in_clear() {
    let mut node = book().await;
    let listed = node.operate(Method::Get, "/api/peers", Value::Null).await.unwrap();
    assert_eq!(listed[0]["name"], "home");
    assert!(!listed.to_string().contains(TOKEN));
    node.stop().await.unwrap();
    let file = std::fs::read(node.cartridge()).unwrap();
    assert!(!file.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
}

#[tokio::test]
async fn a_default_follows_its_peer() {
    let node = book().await;
    let default = async || {
        let peers = node.operate(Method::Get, "/api/peers", Value::Null).await.unwrap();
        let peers = peers.as_array().unwrap().clone();
        peers.iter().find(|peer| peer["default"] == true).map(|peer| peer["name"].clone())
    };
    let set = async |name: &str| {
        node.operate(Method::Put, "/api/peers/default", json!({ "name": name })).await
    };
    assert_eq!(default().await, None);
    set("home").await.unwrap();
    assert_eq!(default().await, Some(json!("home")));
    add(&node, "other", "http://localhost:8080").await.unwrap();
    set("other").await.unwrap();
    assert_eq!(default().await, Some(json!("other")));
    assert_eq!(set("nobody").await.unwrap_err().code(), "NO_SUCH_PEER");
    set("local").await.unwrap();
    assert_eq!(default().await, None);
    set("other").await.unwrap();
    node.operate(Method::Delete, "/api/peers/other", Value::Null).await.unwrap();
    assert_eq!(default().await, None);
    let gone = node.operate(Method::Delete, "/api/peers/other", Value::Null).await;
    assert_eq!(gone.unwrap_err().code(), "NO_SUCH_PEER");
}

#[tokio::test]
async fn what_cannot_be_a_peer_is_refused() {
    let node = book().await;
    for (name, url, code) in [
        ("home", "https://example.com", "PEER_EXISTS"),
        ("local", "https://example.com", "RESERVED_NAME"),
        ("No Name", "https://example.com", "BAD_NAME"),
        ("plain", "http://example.com", "PLAIN_HTTP"),
        ("none", "example.com", "INVALID"),
    ] {
        assert_eq!(add(&node, name, url).await.unwrap_err().code(), code, "{name} {url}");
    }
    let empty = json!({ "name": "a", "url": "https://example.com", "token": "" });
    assert!(node.operate(Method::Post, "/api/peers", empty).await.is_err());
}
