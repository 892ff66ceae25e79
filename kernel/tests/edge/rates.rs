//! Senders that make too many requests wait; nobody else does.

use std::time::Duration;

use crate::node::Node;

#[test]
fn a_sender_that_asks_too_often_is_told_how_long_to_wait() {
    let node = Node::with(|limits| {
        limits.requests_per_second = 2;
        limits.request_burst = 3;
    });
    let mut client = node.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    let refused = client.get("/");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    // Another connection of the same address is no way around it.
    assert_eq!(node.connect().get("/").status, 429);
    assert!(node.figures().requests_limited >= 2);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(client.get("/").status, 200, "the connection was kept");
}

#[test]
fn nobody_is_limited_unless_the_owner_says_so() {
    let node = Node::with(|_| {});
    let mut client = node.connect();
    for _ in 0..500 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(node.figures().requests_limited, 0);
}
