//! Redirects: where they may lead, and what goes along.

use serde_json::{Value, json};

use crate::internet::{World, world, world_with};
use crate::server::{Authority, Server, ok, respond};

const ONE: &str = "93.184.215.1";
const TWO: &str = "93.184.215.2";

/// A server on `one.test` that redirects to `to`, and one on `two.test` that answers.
async fn pair(status: u16, to: &str) -> (World, Server, Server) {
    let world = world().await;
    let one = Server::leading(status, to);
    let two = Server::new(|_, to| ok(to, "there"));
    world.internet.host("one.test", ONE, 80, &one);
    world.internet.host("two.test", TWO, 80, &two);
    (world, one, two)
}

fn with_secrets() -> Value {
    json!({
        "authorization": "Bearer x", "cookie": "a=b", "x-api-key": "x", "private-token": "x",
        "accept": "text/plain",
    })
}

#[tokio::test]
async fn credentials_stay_with_the_origin_that_they_were_meant_for() {
    let (world, one, two) = pair(302, "http://two.test/").await;
    let reply = world.ask("http://one.test/", json!({"headers": with_secrets()})).await;
    assert_eq!((reply.code().as_str(), reply.text().as_str()), ("200", "there"));
    assert!(one.asked()[0].field("authorization").is_some());
    let there = &two.asked()[0];
    for name in ["authorization", "cookie", "x-api-key", "private-token"] {
        assert_eq!(there.field(name), None, "{name}");
    }
    assert_eq!(there.field("accept").as_deref(), Some("text/plain"));
    let answer = reply.0.unwrap();
    assert_eq!((&answer["redirected"], &answer["url"]), (&json!(true), &json!("http://two.test/")));
}

#[tokio::test]
async fn on_the_same_origin_they_go_along() {
    let world = world().await;
    let server = Server::new(|asked, to| match asked.line().as_str() {
        "GET /" => respond(to, "HTTP/1.1 302 X\r\nlocation: next\r\n", b""),
        _ => ok(to, "there"),
    });
    world.internet.host("one.test", ONE, 80, &server);
    world.ask("http://one.test/", json!({"headers": with_secrets()})).await;
    assert!(server.asked()[1].field("authorization").is_some());
}

#[tokio::test]
async fn an_injected_secret_follows_on_its_origin_and_no_further() {
    let authority = Authority::new();
    let world = world_with(&[], vec![authority.der.clone()]).await;
    let one = Server::secure(authority.server("one.test", 2040), |asked, to| {
        let to_path = match asked.line().split('?').next().unwrap_or_default() {
            "GET /" => "/again",
            _ => "https://two.test/",
        };
        respond(to, &format!("HTTP/1.1 302 X\r\nlocation: {to_path}\r\n"), b"")
    });
    let two = Server::secure(authority.server("two.test", 2040), |_, to| ok(to, "there"));
    world.internet.host("one.test", ONE, 443, &one);
    world.internet.host("two.test", TWO, 443, &two);
    for name in ["BEARER", "HEADER", "QUERY"] {
        let reply = world.ask("https://one.test/", json!({ "auth": name })).await;
        assert_eq!(reply.text(), "there", "{name}");
        let there = two.asked().last().unwrap().clone();
        assert!(!there.head.contains(crate::asker::SECRET), "{name}: {}", there.head);
        let again = one.asked().last().unwrap().clone();
        assert!(again.head.contains(crate::asker::SECRET), "{name}: {}", again.head);
    }
}

#[tokio::test]
async fn the_method_and_the_body_change_as_browsers_change_them() {
    for (status, method, expected) in [
        (301, "POST", "GET /"),
        (302, "POST", "GET /"),
        (303, "POST", "GET /"),
        (303, "PUT", "GET /"),
        (307, "POST", "POST /"),
        (308, "PUT", "PUT /"),
        (302, "PUT", "PUT /"),
        (302, "HEAD", "HEAD /"),
    ] {
        let (world, _, two) = pair(status, "http://two.test/").await;
        let body = if method == "HEAD" { Value::Null } else { json!("content") };
        let options =
            json!({ "method": method, "body": body, "headers": {"content-type": "text/x"} });
        world.ask("http://one.test/", options).await;
        let there = &two.asked()[0];
        assert_eq!(there.line(), expected, "{status} {method}");
        let keeps = !expected.starts_with("GET") && method != "HEAD";
        assert_eq!(!there.body.is_empty(), keeps, "{status} {method}");
        if expected.starts_with("GET") {
            assert_eq!(there.field("content-type"), None, "{status} {method}");
        }
    }
}

#[tokio::test]
async fn circles_and_long_chains_end() {
    let (world, one, _) = pair(302, "http://one.test/").await;
    assert_eq!(world.ask("http://one.test/", json!({})).await.code(), "NET_ERROR");
    assert_eq!(one.asked().len(), 1, "the same request is not made twice");
    let count = std::sync::atomic::AtomicU32::new(0);
    let chain = Server::new(move |_, to| {
        let next = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        respond(to, &format!("HTTP/1.1 302 X\r\nlocation: /{next}\r\n"), b"")
    });
    world.internet.host("chain.test", "93.184.215.3", 80, &chain);
    assert_eq!(world.ask("http://chain.test/start", json!({})).await.code(), "NET_ERROR");
    assert_eq!(chain.asked().len(), 6, "five redirects are followed");
}

#[tokio::test]
async fn a_redirect_is_an_answer_or_an_error_when_that_is_wanted() {
    let (world, _, two) = pair(302, "http://two.test/").await;
    let reply = world.ask("http://one.test/", json!({"redirect": "manual"})).await;
    assert_eq!(reply.code(), "302");
    assert_eq!(
        world.ask("http://one.test/", json!({"redirect": "error"})).await.code(),
        "NET_ERROR"
    );
    assert!(two.asked().is_empty());
}

#[tokio::test]
async fn nothing_leads_from_https_to_http() {
    let authority = Authority::new();
    let world = world_with(&[], vec![authority.der.clone()]).await;
    let one = Server::secure(authority.server("one.test", 2040), |_, to| {
        respond(to, "HTTP/1.1 302 X\r\nlocation: http://two.test/\r\n", b"")
    });
    let two = Server::new(|_, to| ok(to, "x"));
    world.internet.host("one.test", ONE, 443, &one);
    world.internet.host("two.test", TWO, 80, &two);
    assert_eq!(world.ask("https://one.test/", json!({})).await.code(), "NET_BLOCKED");
    assert!(two.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_to_what_is_not_public_is_refused() {
    for to in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://2130706433/",
        "http://inside.test/",
        "//10.0.0.1/",
        "ftp://two.test/",
        "file:///etc/passwd",
        "http://two.test:22/",
        "http://user:x@two.test/",
    ] {
        let (world, one, _) = pair(302, to).await;
        world.internet.name("inside.test", &["10.0.0.1"]);
        assert_eq!(world.ask("http://one.test/", json!({})).await.code(), "NET_BLOCKED", "{to}");
        assert_eq!(world.internet.dialed().len(), 1, "{to}");
        assert_eq!(one.asked().len(), 1, "{to}");
    }
}
