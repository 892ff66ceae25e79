//! Sockets and HTTP: everything between a client's bytes and one canonical request.
//!
//! The edge owns listeners, connections, framing, limits and WebSockets. It knows nothing of apps
//! or plugins: it asks a [`Gateway`] to answer an [`EdgeRequest`] and a [`BlobSource`] for the
//! blobs that responses name. The rest of the node never sees a second spelling of a host, a path
//! or a client's address.
//!
//! ```text
//! accept ─ place in the set ─ (handshake) ─ HTTP/1.1 ─ canonical request ─ gateway
//!              │                                │
//!              └── sweeper: deadlines, drain ───┴─ response, or messages of a WebSocket
//! ```
//!
//! # Deadlines
//! No request arms a timer unless its answer is not ready at once. Connections note what they are
//! doing, and one sweeper closes those past a deadline of [`Limits`].
//!
//! # Trust
//! Bytes of clients are hostile: what is ambiguous is refused with 4xx and the connection closed.
//! Responses of plugins are checked too; what HTTP does not allow becomes a logged 500. Framing
//! (length, transfer coding, connection) is decided here alone.

pub mod address;
pub mod canonical;
pub mod failure;
pub mod limits;

mod body;
mod connection;
mod flow;
mod gateway;
mod handshake;
mod listener;
mod mailbox;
mod prepared;
mod rate;
mod request;
mod response;
mod server;
mod service;
mod socket;
mod sweeper;
mod transport;

pub use failure::{Shape, coding_not_supported, method_not_allowed, response as failure_response};
pub use gateway::{BlobSource, BodyLimit, EdgeRequest, Gateway, Patience};
pub use limits::{Limits, Unit};
pub use listener::Listener;
pub use prepared::PreparedHead;
pub use server::{Drained, Edge, Figures, Options};
