//! Responses: framed by the edge alone, whatever a plugin says.

use std::cell::Cell;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::client::{NoReply, eventually};
use crate::node::{Node, blob_byte};

fn head(client: &mut crate::client::Client, path: &str) -> crate::client::Reply {
    client.send(format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    client.head().unwrap()
}

#[test]
fn a_prepared_head_is_sent_as_it_was_made() {
    let node = Node::start();
    let mut client = node.connect();
    for _ in 0..3 {
        let reply = client.get("/prepared");
        assert_eq!(reply.text(), "prepared page");
        assert_eq!(reply.header("etag"), Some("\"p\""));
        assert_eq!(reply.header("content-length"), Some("13"));
        let twice: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| name == "x-twice")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(twice, ["1", "2"]);
        assert!(reply.header("date").is_some());
        assert!(reply.header("server").is_none());
    }
}

#[test]
fn head_has_the_length_and_no_content() {
    let node = Node::start();
    let mut client = node.connect();
    for (path, length) in [
        ("/prepared", Some("13")),
        ("/full/77", Some("77")),
        ("/blob/1000000", Some("1000000")),
        ("/stream/5", None),
        ("/nowhere", None),
        ("/full/0", Some("0")),
    ] {
        let reply = head(&mut client, path);
        if path != "/nowhere" {
            assert_eq!(reply.header("content-length"), length, "{path}");
        }
        // The next response begins right after the head.
        assert_eq!(client.get("/").text(), "ok", "{path}");
    }
    assert_eq!(node.seen.produced.load(SeqCst), 0, "nothing was read for it");
}

#[test]
fn statuses_without_content_have_none() {
    let node = Node::start();
    let mut client = node.connect();
    for status in [204, 304] {
        let reply = client.get(&format!("/status/{status}"));
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("etag"), Some("\"e\""));
        assert_eq!(reply.header("content-length"), None, "{status}");
        assert_eq!(reply.header("transfer-encoding"), None, "{status}");
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(client.get("/nothing").header("content-length"), Some("0"));
}

#[test]
fn framing_said_by_a_plugin_is_dropped() {
    let node = Node::start();
    let mut client = node.connect();
    let reply = client.get("/own-framing");
    assert_eq!(reply.text(), "four");
    assert_eq!(reply.header("content-length"), Some("4"));
    for name in ["transfer-encoding", "connection", "keep-alive"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    assert_eq!(reply.header("x-kept"), Some("yes"));
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn a_response_that_http_does_not_allow_is_a_reported_500() {
    let node = Node::start();
    let mut client = node.connect();
    for path in [
        "/bad-value",
        "/bad-name",
        "/bad-status",
        "/status/101",
        "/status/99",
        "/status/1000",
        "/no-blob",
    ] {
        let reply = client.get(path);
        assert_eq!(reply.status, 500, "{path}");
        assert_eq!(reply.header("set-cookie"), None);
        assert!(
            !reply.text().contains("set-cookie") && !reply.text().contains("blob"),
            "{}",
            reply.text()
        );
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(node.seen.reports.lock().unwrap().len(), 7);
    assert_eq!(node.figures().panics, 0);
}

#[test]
fn a_blob_arrives_whole_and_in_chunks() {
    let node = Node::start();
    let mut client = node.connect();
    for len in [0, 1, 262_143, 262_144, 262_145, 3_000_000] {
        let reply = client.get(&format!("/blob/{len}"));
        assert_eq!(reply.header("content-length"), Some(len.to_string().as_str()));
        assert!(
            reply.body.iter().zip(5..).all(|(byte, offset)| *byte == blob_byte(offset)),
            "{len}"
        );
        assert_eq!(reply.body.len(), len);
    }
}

#[test]
fn a_blob_is_read_only_as_fast_as_the_client_takes_it() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("GET /blob/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n");
    // The socket's buffers take some of it, on a busy machine over a while; then it stands still.
    let before = Cell::new(0);
    eventually("nothing is read ahead any more", || {
        std::thread::sleep(Duration::from_millis(300));
        let produced = node.seen.produced.load(SeqCst);
        before.replace(produced) == produced && produced > 0
    });
    assert!(node.seen.produced.load(SeqCst) < 32 << 20);
}

#[test]
fn a_stream_arrives_in_chunks() {
    let node = Node::start();
    let mut client = node.connect();
    let reply = client.get("/stream/1000000");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.body.len(), 1_000_000);
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn what_fails_midway_does_not_look_complete() {
    let node = Node::start();
    for path in ["/stream-fail/100000", "/short-blob"] {
        let mut client = node.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(client.reply().unwrap_err(), NoReply::Cut, "{path}");
    }
    // A client of HTTP/1.0 has no chunks: only a reset tells it that something is missing.
    let mut client = node.connect();
    client.send("GET /stream-fail/100000 HTTP/1.0\r\nhost: a\r\n\r\n");
    let mut buffer = [0; 64 << 10];
    let end = loop {
        match client.stream.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error.kind()),
        }
    };
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(node.seen.reports.lock().unwrap().len(), 3);
}

#[test]
fn errors_are_json_for_the_api_and_text_for_people() {
    let node = Node::start();
    let mut client = node.connect();
    let reply = client.get("/nowhere");
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(reply.text().starts_with("404 there is nothing here\nrequest "), "{}", reply.text());
    let reply = client.get("/api/nowhere");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(body["error"]["code"], "NOT_FOUND");
    client.send("GET /..  HTTP/1.1\r\nhost: a\r\n\r\n");
    drop(client);
    let mut client = node.connect();
    client.send("GET /.. HTTP/1.1\r\nhost: a\r\naccept: application/json\r\n\r\n");
    let body: serde_json::Value = serde_json::from_str(&client.reply().unwrap().text()).unwrap();
    assert_eq!(body["error"]["code"], "BAD_REQUEST");
    assert_eq!(body["error"]["request_id"].as_str().unwrap().len(), 16);
}
