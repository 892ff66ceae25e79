//! Slow clients are closed in time, and fast ones are not.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::client::{Client, NoReply, eventually, now};
use crate::node::Node;

/// What a busy machine may add to a deadline; far below every default.
const SLACK: Duration = Duration::from_secs(5);

/// Closed not before `at_least` ms, and not long after.
#[track_caller]
fn closed_in_time(client: &mut Client, at_least: u64) {
    let at_least = Duration::from_millis(at_least);
    let after = client.closed_after(at_least + SLACK).expect("still open");
    assert!(after + Duration::from_millis(300) >= at_least, "closed after {after:?} already");
}

#[test]
fn a_silent_connection_is_closed() {
    let node = Node::with(|limits| limits.header_ms = 600);
    closed_in_time(&mut node.connect(), 600);
    assert_eq!(node.figures().connections_swept, 1);
    node.assert_well();
}

#[test]
fn a_head_that_trickles_is_closed() {
    let node = Node::with(|limits| limits.header_ms = 600);
    let start = now();
    let mut client = node.connect();
    client.send("GET / HTTP/1.1\r\n");
    while client.send("x: y\r\n") && start.elapsed() < 2 * SLACK {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    node.assert_well();
}

#[test]
fn the_head_of_a_second_request_has_the_same_deadline() {
    let node = Node::with(|limits| limits.header_ms = 600);
    let mut client = node.connect();
    client.get("/");
    std::thread::sleep(Duration::from_millis(1_200));
    client.send("GET / HT");
    closed_in_time(&mut client, 600);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let node = Node::with(|limits| {
        limits.idle_ms = 1_000;
        limits.header_ms = 60_000;
    });
    let mut idle = node.connect();
    idle.get("/");
    let mut busy = node.connect();
    let mut working = node.connect();
    working.send("GET /sleep/2000 HTTP/1.1\r\nhost: a\r\n\r\n");
    for _ in 0..20 {
        busy.get("/");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(idle.closed_after(Duration::from_millis(300)).map(|_| ()), Some(()));
    assert_eq!(working.reply().unwrap().text(), "slept");
    closed_in_time(&mut busy, 1_000);
}

#[test]
fn a_body_that_trickles_is_closed() {
    let node = Node::with(|limits| limits.body_window_ms = 600);
    let start = now();
    let mut client = node.connect();
    client.send("POST /count/0 HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n");
    while client.send("a") && start.elapsed() < 2 * SLACK {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    node.assert_well();
}

#[test]
fn a_slow_handler_is_not_taken_for_a_slow_client() {
    let node = Node::with(|limits| limits.body_window_ms = 300);
    let mut client = node.connect();
    client.send("POST /count/1200 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n");
    // The handler waits a moment for the client, then takes a second over what came.
    std::thread::sleep(Duration::from_millis(100));
    client.send("abc");
    assert_eq!(client.reply().unwrap().text(), "3");
}

#[test]
fn an_upload_may_take_longer_than_a_request() {
    let node = Node::with(|limits| {
        limits.request_ms = 1_000;
        limits.body_rate = 1;
    });
    let mut client = node.connect();
    client.send("POST /count/0 HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(250));
        client.send("a");
    }
    assert_eq!(client.reply().unwrap().text(), "10");
}

#[test]
fn a_request_past_its_wall_clock_is_504_and_its_future_dropped() {
    let node = Node::with(|limits| limits.request_ms = 200);
    let mut client = node.connect();
    let reply = client.get("/hang");
    assert_eq!(reply.status, 504);
    assert_eq!(node.seen.dropped.load(SeqCst), 1);
    assert_eq!(node.figures().requests_timed_out, 1);
    assert_eq!(client.get("/").text(), "ok", "the connection survives");
}

#[test]
fn an_unhurried_request_may_take_longer_and_the_next_one_may_not() {
    let node = Node::with(|limits| limits.request_ms = 200);
    let mut client = node.connect();
    assert_eq!(client.get("/unhurried/900").text(), "at last");
    assert_eq!(client.get("/sleep/900").status, 504);
    assert_eq!(node.figures().requests_timed_out, 1);
}

#[test]
fn an_unhurried_request_ends_when_its_client_leaves() {
    let node = Node::with(|limits| limits.request_ms = 200);
    let mut client = node.connect();
    client.send("GET /unhurried/600000 HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it runs", || node.seen.running.load(SeqCst) == 1);
    drop(client);
    eventually("it was dropped", || node.seen.dropped.load(SeqCst) == 1);
}

#[test]
fn a_client_that_does_not_read_is_closed_with_a_reset() {
    let node = Node::with(|limits| limits.write_ms = 600);
    let mut client = node.connect();
    client.send("GET /stream/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the connection is swept", || node.figures().connections_swept == 1);
    eventually("the connection is gone", || node.figures().connections_open == 0);
    // Backpressure: the source was not pulled beyond the buffers of the two sockets.
    assert!(node.seen.produced.load(SeqCst) < 32 << 20, "{}", node.seen.produced.load(SeqCst));
    assert_eq!(client.reply().unwrap_err(), NoReply::Cut);
}

/// Reads a piece of `bytes` every 20 ms, until the server ends the connection or for `patience`; says
/// whether it ended.
fn read_slowly(client: &mut Client, bytes: usize, patience: Duration) -> bool {
    let start = now();
    let mut buffer = vec![0; bytes];
    while start.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(20));
        if !client.stream.read(&mut buffer).is_ok_and(|len| len > 0) {
            return true;
        }
    }
    false
}

#[test]
fn a_client_that_takes_too_little_is_closed_and_one_that_takes_enough_is_not() {
    let node = Node::with(|limits| {
        limits.write_ms = 60_000;
        limits.write_rate = 256 << 10;
        limits.write_window_ms = 1_000;
    });
    let asked = |mut client: Client| {
        client.send("GET /stream/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n");
        client
    };
    // At most 25 KiB/s, and 3 MiB/s.
    let mut slow = asked(Client::connect_narrow(node.address));
    let mut fast = asked(node.connect());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| read_slowly(&mut slow, 512, SLACK));
        let fast = scope.spawn(|| read_slowly(&mut fast, 64 << 10, Duration::from_secs(4)));
        assert!(slow.join().unwrap(), "the slow one is still open");
        assert!(!fast.join().unwrap(), "the other was closed");
    });
    assert_eq!(node.figures().connections_swept, 1);
    node.assert_well();
}

#[test]
fn little_is_taken_ahead_of_a_client_that_does_not_read() {
    let node = Node::start();
    let mut client = Client::connect_narrow(node.address);
    client.send("GET /stream/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the first bytes leave", || node.seen.produced.load(SeqCst) > 0);
    std::thread::sleep(Duration::from_millis(300));
    let ahead = node.seen.produced.load(SeqCst);
    assert!(ahead < 1 << 20, "{ahead} bytes for a client that took nothing");
}

#[test]
fn pipelining_without_reading_stays_bounded_and_is_closed() {
    let node = Node::with(|limits| limits.write_ms = 1_000);
    let mut client = node.connect();
    let request = "GET /full/10240 HTTP/1.1\r\nhost: a\r\n\r\n";
    client.stream.patience(Duration::from_millis(500));
    for _ in 0..100 {
        client.send(request.repeat(100));
    }
    let answered = node.figures().requests;
    assert!(answered < 3_000, "{answered} responses of 10 KiB were made though nobody reads");
    eventually("the connection is closed", || node.figures().connections_open == 0);
}

#[test]
fn one_address_holds_only_so_many_connections() {
    let node = Node::with(|limits| limits.connections_per_address = 3);
    let mut held: Vec<Client> = (0..3).map(|_| node.connect()).collect();
    for client in &mut held {
        client.get("/");
    }
    assert!(node.connect().closed_after(Duration::from_secs(2)).is_some());
    assert_eq!(node.figures().connections_refused, 1);
    assert_eq!(held[0].get("/").text(), "ok");
    held.pop();
    eventually("its place is free", || node.figures().connections_open == 2);
    assert_eq!(node.connect().get("/").text(), "ok");
}

#[test]
fn at_the_limit_of_all_connections_idle_ones_make_room() {
    let node = Node::with(|limits| limits.connections = 4);
    let mut held: Vec<Client> = (0..4).map(|_| node.connect()).collect();
    for client in &mut held {
        client.get("/");
    }
    // Waits in the backlog until the idle ones are closed, long before their 60 s.
    let mut next = node.connect();
    assert_eq!(next.get("/").text(), "ok");
    assert_eq!(node.figures().connections_refused, 0);
}
