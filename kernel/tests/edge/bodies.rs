//! Request bodies: limits, 100 Continue, backpressure, clients that leave.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::client::eventually;
use crate::node::Node;

#[test]
fn a_body_arrives_whole_by_length_and_by_chunks() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel");
    client.send("lo");
    assert_eq!(client.reply().unwrap().text(), "hello");
    client.send("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nt: u\r\n\r\n");
    assert_eq!(client.reply().unwrap().text(), "hello");
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn a_body_over_its_limit_is_413_however_it_is_framed() {
    let node = Node::with(|limits| limits.body_bytes = 100);
    let mut client = node.connect();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n{}",
        "a".repeat(101)
    ));
    assert_eq!(client.reply().unwrap().status, 413);
    let mut client = node.connect();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n65\r\n{}\r\n",
        "a".repeat(101)
    ));
    assert_eq!(client.reply().unwrap().status, 413);
    assert!(
        client.closed_after(Duration::from_secs(4)).is_some(),
        "an unfinished body ends the connection"
    );
    let mut client = node.connect();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{}",
        "a".repeat(100)
    ));
    assert_eq!(client.reply().unwrap().status, 200);
}

#[test]
fn a_route_can_change_the_limit() {
    let node = Node::with(|limits| limits.body_bytes = 100);
    let mut client = node.connect();
    client.send(format!(
        "POST /limit/200 HTTP/1.1\r\nhost: a\r\ncontent-length: 200\r\n\r\n{}",
        "a".repeat(200)
    ));
    assert_eq!(client.reply().unwrap().status, 200);
    client.send("POST /limit/5 HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n123456");
    assert_eq!(client.reply().unwrap().status, 413);
}

#[test]
fn who_waits_for_100_and_announces_too_much_is_refused_without_it() {
    let node = Node::start();
    for path in ["/echo", "/limit/1000"] {
        let mut client = node.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10737418240\r\n\r\n"));
        assert_eq!(client.reply().unwrap().status, 413, "no 100 before it");
        assert!(client.closed_after(Duration::from_secs(4)).is_some());
    }
}

#[test]
fn a_body_that_is_read_sends_100_first() {
    let node = Node::start();
    let mut client = node.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    );
    assert_eq!(client.reply().unwrap().status, 100);
    client.send("hi");
    assert_eq!(client.reply().unwrap().text(), "hi");
}

#[test]
fn a_body_that_nobody_reads_gets_no_100() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.reply().unwrap().status, 200);
}

#[test]
fn a_fast_sender_is_slowed_down_by_a_slow_reader() {
    let node = Node::start();
    let mut client = node.connect();
    let total = 64 << 20;
    client.send(format!("POST /count/50 HTTP/1.1\r\nhost: a\r\ncontent-length: {total}\r\n\r\n"));
    client.stream.patience(Duration::from_millis(500));
    let chunk = vec![b'a'; 64 << 10];
    let mut sent = 0;
    while sent < total && client.send(&chunk) {
        sent += chunk.len();
    }
    assert!(sent < total, "all {total} bytes were taken at once");
    let consumed = node.seen.consumed.load(SeqCst);
    // What is under way lies in the socket buffers of the system and one buffer of ours.
    assert!(sent - consumed < 32 << 20, "{} bytes under way", sent - consumed);
    drop(client);
    node.assert_well();
}

#[test]
fn a_large_body_passes_in_bounded_pieces() {
    let node = Node::start();
    let mut client = node.connect();
    let total = 32 << 20;
    client.send(format!("POST /count/0 HTTP/1.1\r\nhost: a\r\ncontent-length: {total}\r\n\r\n"));
    let chunk = vec![b'a'; 1 << 20];
    for _ in 0..32 {
        assert!(client.send(&chunk));
    }
    assert_eq!(client.reply().unwrap().text(), total.to_string());
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("GET /hang HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request runs", || node.seen.running.load(SeqCst) == 1);
    drop(client);
    eventually("its future is dropped", || node.seen.running.load(SeqCst) == 0);
    node.assert_well();
}

#[test]
fn a_body_that_ends_early_is_an_error_and_not_an_end() {
    let node = Node::start();
    let mut client = node.connect();
    client.send("POST /count/0 HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc");
    eventually("the first bytes arrive", || node.seen.consumed.load(SeqCst) == 3);
    client.finish();
    // Half a body gets 400 or no answer at all, never 200.
    if let Ok(reply) = client.reply() {
        assert_eq!(reply.status, 400);
    }
    node.assert_well();
}

#[test]
fn a_route_learns_what_was_announced_before_it_reads() {
    let node = Node::start();
    let announce = |path: &str, length: &str| {
        let mut client = node.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n"));
        client.reply().unwrap()
    };
    assert_eq!(announce("/limit-only/5", "content-length: 6").status, 413);
    assert_eq!(announce("/limit-only/6", "content-length: 6").text(), "Some(6)");
    assert_eq!(announce("/limit-only/6", "transfer-encoding: chunked").text(), "None");
    assert_eq!(announce("/limit-only/0", "content-length: 0").text(), "Some(0)");
}
