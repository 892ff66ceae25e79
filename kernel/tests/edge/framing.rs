//! What is ambiguous or broken is refused, and never becomes a second request.

use std::io::Read as _;
use std::time::Duration;

use crate::client::{Client, NoReply, now};
use crate::node::Node;

/// Sends raw bytes and gives back the statuses of all responses, until the connection ends or
/// nothing comes for a while; and whether it ended.
fn statuses(node: &Node, bytes: &[u8]) -> (Vec<u16>, bool) {
    let mut client = node.connect();
    client.send(bytes);
    client.stream.patience(Duration::from_millis(2_500));
    let mut statuses = Vec::new();
    loop {
        match client.reply() {
            Ok(reply) => statuses.push(reply.status),
            Err(NoReply::Closed) => return (statuses, true),
            Err(NoReply::Cut) => panic!("a response was cut"),
            Err(NoReply::Silence) => return (statuses, false),
        }
    }
}

/// The request is refused with one of these, once, and the connection closed.
#[track_caller]
fn refused(node: &Node, bytes: impl AsRef<[u8]>, with: &[u16]) {
    let bytes = bytes.as_ref();
    let (statuses, closed) = statuses(node, bytes);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
    assert!(closed, "left open after {statuses:?}: {shown:?}");
    match statuses[..] {
        [status] => assert!(with.contains(&status), "{status}: {shown:?}"),
        _ => panic!("{statuses:?}: {shown:?}"),
    }
}

#[test]
fn a_length_together_with_chunks_ends_the_connection() {
    let node = Node::start();
    for head in [
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\nG");
        let (statuses, closed) = statuses(&node, request.as_bytes());
        assert!(closed, "left open");
        assert!(matches!(statuses[..], [200] | [400]), "{statuses:?}");
    }
    node.assert_well();
}

#[test]
fn two_lengths_that_differ_are_refused() {
    let node = Node::start();
    for lengths in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: -1",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length: 99999999999999999999",
        "content-length:",
    ] {
        refused(
            &node,
            format!("POST /echo HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n123456"),
            &[400],
        );
    }
    node.assert_well();
}

#[test]
fn transfer_codings_other_than_chunked_are_refused() {
    let node = Node::start();
    for coding in [
        "xchunked",
        "chunked, identity",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "chunked\r\ntransfer-encoding: chunked",
        "\"chunked\"",
        "chunked;a=b",
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n"
        );
        refused(&node, request, &[400, 501]);
    }
    refused(
        &node,
        "POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400, 501],
    );
    node.assert_well();
}

#[test]
fn broken_heads_are_refused() {
    let node = Node::start();
    for head in [
        "x: a\0b",
        "x: a\rb",
        "x y: a",
        "x\t: a",
        "x : a",
        " x: a",
        "x: a\r\n b",
        "x: a\r\n\tb",
        "x(: a",
        ": a",
        "no colon",
        "x\u{e9}: a",
        "x: a\u{7f}b",
    ] {
        refused(&node, format!("GET / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n"), &[400]);
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /",
        "GET / HTTP/1.2",
        "GET / HTTP/3.0",
        "GET / http/1.1",
        "GET / XTTP/1.1",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET / a HTTP/1.1",
        "G@T / HTTP/1.1",
    ] {
        refused(&node, format!("{line}\r\nhost: a\r\n\r\n"), &[400, 501]);
    }
    node.assert_well();
}

#[test]
fn bare_line_feeds_are_read_as_line_ends_everywhere() {
    let node = Node::start();
    for path in ["/", "/echo", "/nowhere"] {
        let request =
            format!("GET {path} HTTP/1.1\nhost: a\n\nGET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let (statuses, _) = statuses(&node, request.as_bytes());
        assert_eq!(statuses.len(), 2, "{path}");
        assert_eq!(statuses[0], statuses[1], "{path}");
    }
}

#[test]
fn broken_chunks_end_the_connection() {
    let node = Node::start();
    for body in [
        "x\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "fffffffffffffffff\r\na",
        "1;\na\r\n0\r\n\r\n",
        "\r\n\r\n",
        "1 \t2\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}GET / HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let (statuses, closed) = statuses(&node, request.as_bytes());
        assert!(closed, "left open: {body:?}");
        assert!(matches!(statuses[..], [] | [400]), "{statuses:?}: {body:?}");
    }
    node.assert_well();
}

#[test]
fn a_head_over_its_limits_is_refused_within_a_second() {
    let node = Node::start();
    let many: String = (0..101).map(|number| format!("x{number}: a\r\n")).collect();
    let long = "a".repeat(40 << 10);
    for (request, with) in [
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), &[431][..]),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"), &[431]),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(10 << 10)), &[414]),
        ("G".repeat(1 << 20), &[400, 414, 431, 501]),
        (format!("GET /{}", "a".repeat(1 << 20)), &[414, 431]),
    ] {
        let start = now();
        refused(&node, request, with);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    let exact: String = (0..99).map(|number| format!("x{number}: a\r\n")).collect();
    let (statuses, _) =
        statuses(&node, format!("GET / HTTP/1.1\r\nhost: a\r\n{exact}\r\n").as_bytes());
    assert_eq!(statuses, [200], "100 fields are allowed");
    node.assert_well();
}

#[test]
fn another_number_of_fields_is_kept_too() {
    let node = Node::with(|limits| limits.header_fields = 10);
    let fields = |count| (0..count).map(|number| format!("x{number}: a\r\n")).collect::<String>();
    refused(&node, format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(10)), &[431]);
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", fields(9));
    assert_eq!(statuses(&node, request.as_bytes()), (vec![200], false));
}

#[test]
fn a_request_within_a_body_is_no_request() {
    let node = Node::start();
    let inner = "GET /status/418 HTTP/1.1\r\nhost: a\r\n\r\n";
    let request = format!(
        "GET /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{inner}GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        inner.len()
    );
    let mut client = node.connect();
    client.send(request);
    assert_eq!(client.reply().unwrap().text(), inner);
    assert_eq!(client.reply().unwrap().text(), "ok");
    client.stream.patience(Duration::from_millis(300));
    assert_eq!(client.reply().unwrap_err(), NoReply::Silence);
}

#[test]
fn methods_that_no_route_can_have_are_refused() {
    let node = Node::start();
    for method in ["TRACE", "CONNECT"] {
        let mut client = node.connect();
        let target = if method == "CONNECT" { "a.test:80" } else { "/" };
        client.send(format!("{method} {target} HTTP/1.1\r\nhost: a.test:80\r\n\r\n"));
        let reply = client.reply().unwrap();
        assert_eq!(reply.status, 405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        assert!(client.closed_after(Duration::from_secs(3)).is_some());
    }
    let long = "M".repeat(10 << 10);
    for method in ["get", "BREW", "PROPFIND", "PRI", &long] {
        refused(&node, format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"), &[501, 400]);
    }
    // The preface of HTTP/2 is no request of ours; the connection ends without a word.
    let (statuses, closed) = statuses(&node, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(closed && matches!(statuses[..], [] | [400] | [501]), "{statuses:?}");
    node.assert_well();
}

#[test]
fn exactly_one_host_is_needed() {
    let node = Node::start();
    for hosts in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host:\r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: u@a\r\n",
        "host: a:99999\r\n",
        "host: b\u{fc}cher.test\r\n",
        "host: a,b\r\n",
        "host: .\r\n",
    ] {
        refused(&node, format!("GET / HTTP/1.1\r\n{hosts}\r\n"), &[400]);
    }
    refused(&node, "GET / HTTP/1.0\r\n\r\n", &[400]);
}

#[test]
fn the_authority_of_a_target_must_be_the_host() {
    let node = Node::start();
    let describe = |target: &str, host: &str| {
        let mut client = node.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        client.reply().unwrap()
    };
    let reply = describe("http://A.test:80/describe?q", "a.TEST.:80");
    assert_eq!(reply.status, 200);
    let seen: serde_json::Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(
        (&seen["host"], &seen["port"], &seen["query"]),
        (&"a.test".into(), &"80".into(), &"q".into())
    );
    for (target, host) in [
        ("http://b.test/describe", "a.test"),
        ("http://a.test:81/describe", "a.test"),
        ("http://u@a.test/", "a.test"),
        ("ftp://a.test/", "a.test"),
        ("a.test", "a.test"),
        ("*", "a.test"),
        ("http://a.test", "b.test"),
    ] {
        assert_eq!(describe(target, host).status, 400, "{target}");
    }
}

#[test]
fn the_gateway_sees_one_spelling() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("GET /describe/%C3%BC/a%20b?x=%2f#f HTTP/1.1\r\nHost: App.Example.ORG.:8080\r\nX-Test: v\r\n\r\n");
    let seen: serde_json::Value = serde_json::from_str(&client.reply().unwrap().text()).unwrap();
    assert_eq!(seen["host"], "app.example.org");
    assert_eq!(seen["port"], "8080");
    assert_eq!(seen["path"], "/describe/\u{fc}/a b");
    assert_eq!(seen["raw_path"], "/describe/%C3%BC/a%20b");
    assert_eq!(seen["query"], "x=%2f");
    assert_eq!(seen["header"], "v");
    assert_eq!(seen["client"], "127.0.0.1");
    assert_eq!((&seen["method"], &seen["raw_method"]), (&"GET".into(), &"GET".into()));
    assert_eq!((&seen["local"], &seen["secure"]), (&true.into(), &false.into()));
    for path in [
        "//a",
        "/a/../b",
        "/%2e%2e/b",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/%ff",
        "/%4",
        "/a/./b",
        "/..",
    ] {
        refused(&node, format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"), &[400]);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("GET /sleep/100 HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.reply().unwrap().text(), "slept");
    assert_eq!(client.reply().unwrap().text(), "ok");
    assert_eq!(client.reply().unwrap().status, 404);
}

#[test]
fn a_refusal_can_be_read_by_a_client_that_is_still_sending() {
    let node = Node::start();
    let mut client: Client = node.connect();
    client.send("POST /limit/10 HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n");
    for _ in 0..20 {
        // A reset would end this early, and could overtake the response.
        assert!(client.send(vec![b'a'; 10_000]));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.reply().unwrap().status, 413);
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
}
