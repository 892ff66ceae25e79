//! The edge, seen by clients with raw sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it is surprised")]

#[path = "edge/bodies.rs"]
mod bodies;
#[path = "edge/client.rs"]
mod client;
#[path = "edge/deadlines.rs"]
mod deadlines;
#[path = "edge/framing.rs"]
mod framing;
#[path = "edge/lifecycle.rs"]
mod lifecycle;
#[path = "edge/mutated.rs"]
mod mutated;
#[path = "edge/node.rs"]
mod node;
#[path = "edge/rates.rs"]
mod rates;
#[path = "edge/responses.rs"]
mod responses;
#[path = "edge/sockets.rs"]
mod sockets;
