//! Ordinary requests: what arrives, what comes back, over plain HTTP and TLS.

use serde_json::json;

use crate::asker::SECRET;
use crate::internet::{world, world_with};
use crate::server::{Authority, Server, Then, ok, respond};

/// An address of the Internet that is nobody's in these tests.
const THERE: &str = "93.184.215.14";

#[tokio::test]
async fn a_request_arrives_as_it_was_meant_and_the_answer_comes_back() {
    let world = world().await;
    let server = Server::new(|asked, to| {
        respond(
            to,
            "HTTP/1.1 201 Created\r\nX-One: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n",
            &asked.body,
        )
    });
    world.internet.host("api.test", THERE, 80, &server);
    let options = json!({"method": "POST", "headers": {"X-Mine": "yes", "Host": "evil", "connection": "close"}, "body": {"$bytes": "AAEC/w=="}});
    let reply = world.ask("http://api.test/a%20b?c=d#e", options).await;
    assert_eq!(reply.code(), "201", "{reply:?}");
    assert_eq!(reply.bytes(), [0, 1, 2, 255]);
    let answer = reply.0.unwrap();
    let headers = answer["headers"].to_string();
    assert!(headers.contains(r#"["x-one","1"]"#), "{headers}");
    assert!(headers.contains(r#"["set-cookie","a=1"],["set-cookie","b=2"]"#), "{headers}");
    let asked = &server.asked()[0];
    assert_eq!(asked.line(), "POST /a%20b?c=d");
    assert_eq!(asked.field("host").unwrap(), "api.test");
    assert_eq!(asked.field("x-mine").unwrap(), "yes");
    assert_eq!(asked.field("accept-encoding").unwrap(), "gzip, br");
    assert!(asked.field("connection").is_none_or(|value| value != "close"), "{}", asked.head);
}

#[tokio::test]
async fn https_is_spoken_with_whom_an_authority_vouches_for_and_nobody_else() {
    let (good, other) = (Authority::new(), Authority::new());
    let world = world_with(&[], vec![good.der.clone()]).await;
    let servers = [
        ("right.test", good.server("right.test", 2040), "200"),
        ("wrong-name.test", good.server("another.test", 2040), "NET_ERROR"),
        ("expired.test", good.server("expired.test", 2021), "NET_ERROR"),
        ("stranger.test", other.server("stranger.test", 2040), "NET_ERROR"),
    ];
    for (at, (host, config, expected)) in servers.into_iter().enumerate() {
        let server = Server::secure(config, |_, to| ok(to, "private"));
        world.internet.host(host, &format!("93.184.215.{at}"), 443, &server);
        let reply = world.ask(&format!("https://{host}/"), json!({})).await;
        assert_eq!(reply.code(), expected, "{host}: {reply:?}");
        assert_eq!(server.asked().len(), usize::from(expected == "200"), "{host}");
    }
    let plain = Server::greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    world.internet.host("plain.test", "93.184.215.9", 443, &plain);
    assert_eq!(world.ask("https://plain.test/", json!({})).await.code(), "NET_ERROR");
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_closed_one_is_replaced() {
    let world = world().await;
    let server = Server::new(|asked, to| {
        ok(to, "x")?;
        let closes = asked.line().ends_with("/last");
        Ok(if closes { Then::Closes } else { Then::Goes })
    });
    world.internet.host("api.test", THERE, 80, &server);
    for _ in 0..5 {
        assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
    }
    assert_eq!(server.connections(), 1);
    // The server closes right after this answer, without having said so.
    assert_eq!(world.ask("http://api.test/last", json!({})).await.code(), "200");
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "200");
    assert_eq!(server.connections(), 2);
    let other = world.node.app("shop").await.unwrap();
    let reply = crate::asker::ask(&world.node, other, "http://api.test/", json!({})).await;
    assert_eq!(reply.code(), "200");
    assert_eq!(server.connections(), 3, "another app has a connection of its own");
}

#[tokio::test]
async fn coded_answers_come_back_as_what_they_stand_for() {
    let world = world().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, b"hello hello hello").unwrap();
    let server =
        Server::saying("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n", encoder.finish().unwrap());
    world.internet.host("api.test", THERE, 80, &server);
    let reply = world.ask("http://api.test/", json!({})).await;
    assert_eq!(reply.text(), "hello hello hello");
    assert!(!reply.0.unwrap()["headers"].to_string().contains("content-encoding"));
}

#[tokio::test]
async fn a_secret_is_added_outside_and_goes_to_its_hosts_over_tls_only() {
    let authority = Authority::new();
    let world = world_with(&[], vec![authority.der.clone()]).await;
    let server = Server::secure(authority.server("api.test", 2040), |_, to| ok(to, "x"));
    world.internet.host("api.test", THERE, 443, &server);
    let plain = Server::saying("HTTP/1.1 200 OK\r\n", "x");
    world.internet.host("plain.test", THERE, 80, &plain);
    for (name, field, value) in [
        ("BEARER", "authorization", format!("Bearer {SECRET}")),
        ("BASIC", "authorization", "Basic czNjcjN0LXZhbHVl".to_owned()),
        ("HEADER", "x-custom", SECRET.to_owned()),
    ] {
        let options = json!({"auth": name, "headers": {"authorization": "mine"}});
        let reply = world.ask("https://api.test/", options).await;
        assert_eq!(reply.code(), "200", "{name}: {reply:?}");
        assert_eq!(server.asked().last().unwrap().field(field), Some(value), "{name}");
    }
    let reply = world.ask("https://api.test/x?a=b", json!({"auth": "QUERY"})).await;
    assert_eq!(server.asked().last().unwrap().line(), format!("GET /x?a=b&k={SECRET}"));
    assert_eq!(reply.0.unwrap()["url"], "https://api.test/x?a=b");
    for (url, name) in [
        ("https://api.test/", "MISSING"),
        ("https://api.test/", "ELSEWHERE"),
        ("http://plain.test/", "BEARER"),
    ] {
        let reply = world.ask(url, json!({"auth": name})).await;
        assert_eq!(reply.code(), "NET_AUTH", "{name}");
        assert!(!reply.message().contains(SECRET), "{name}");
    }
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn an_answer_is_kept_for_its_app_when_it_is_asked_for() {
    let world = world().await;
    let server = Server::saying("HTTP/1.1 200 OK\r\n", "x");
    world.internet.host("api.test", THERE, 80, &server);
    let other = world.node.app("shop").await.unwrap();
    let keep = json!({"cacheTtl": 60_000});
    for expected in [1, 1, 1] {
        assert_eq!(world.ask("http://api.test/", keep.clone()).await.code(), "200");
        assert_eq!(server.asked().len(), expected);
    }
    let again = world.ask("http://api.test/", keep.clone()).await;
    assert_eq!(again.0.unwrap()["fromCache"], true);
    world.ask("http://api.test/", json!({})).await;
    assert_eq!(server.asked().len(), 2, "who does not ask for it gets a fresh one");
    crate::asker::ask(&world.node, other, "http://api.test/", keep).await;
    assert_eq!(server.asked().len(), 3, "another app asks for itself");
}

#[tokio::test]
async fn what_is_not_there_is_an_error_of_the_other_side() {
    let world = world().await;
    world.internet.name("closed.test", &[THERE]);
    for url in ["http://nowhere.test/", "http://closed.test/", "http://93.184.215.77/"] {
        assert_eq!(world.ask(url, json!({})).await.code(), "NET_ERROR", "{url}");
    }
    for method in ["CONNECT", "TRACE", "TRACK", "G T", ""] {
        let reply = world.ask("http://closed.test/", json!({ "method": method })).await;
        assert_eq!(reply.code(), "NET_ERROR", "{method}");
    }
}
