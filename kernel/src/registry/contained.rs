//! Responses that outlive their head: streams and WebSockets stay inside the plugin's gate.
//!
//! A stopped plugin has a moment to finish its streams, then they are cut; its WebSockets are closed
//! at once, with the code that tells clients to come back. Either way its code runs no more.

use std::sync::Arc;

use abi_stable::std_types::{ROption, RResult};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::{
    Body, RawBody, RawResponse, RawResponseBody, RawSocket, RawSocketHandler, SocketHandler,
};
use fazt_sdk::Error;

use super::gate::{Gate, Inside};

/// "Service Restart" of the registry of RFC 6455 close codes (IANA).
const CLOSE_RESTART: u32 = 1012;

/// The error of work that was ended because its plugin was stopped.
pub(crate) fn stopped() -> Error {
    Error::unavailable("the plugin was stopped before it had finished; try again later")
}

/// `response`, of a call that was `inside`, with whatever of it still runs kept inside.
pub(crate) fn contain(inside: Inside, response: RawResponse) -> RawResponse {
    let body = match response.body {
        RawResponseBody::Stream(body) => {
            RawResponseBody::Stream(RawBody::new(Arc::new(Stream { body, inside })))
        }
        RawResponseBody::WebSocket(handler) => {
            let gate = Arc::clone(inside.gate());
            RawResponseBody::WebSocket(RawSocketHandler::new(Arc::new(Socket { handler, gate })))
        }
        done @ (RawResponseBody::Empty
        | RawResponseBody::Full(_)
        | RawResponseBody::Blob { .. }
        | RawResponseBody::Pass(_)) => done,
    };
    RawResponse { body, ..response }
}

struct Stream {
    body: RawBody,
    inside: Inside,
}

impl Body for Stream {
    fn next(self: &Arc<Self>) -> FfiFuture<ROption<RResult<RawBytes, RawError>>> {
        let this = Arc::clone(self);
        guarded(async move {
            let chunk = this.inside.run(this.body.next()).await;
            chunk.unwrap_or_else(|| ROption::RSome(RResult::RErr(stopped().into())))
        })
    }

    fn size(self: &Arc<Self>) -> u64 {
        self.body.size()
    }
}

struct Socket {
    handler: RawSocketHandler,
    gate: Arc<Gate>,
}

impl SocketHandler for Socket {
    fn run(self: &Arc<Self>, socket: RawSocket) -> FfiFuture<RResult<(), RawError>> {
        let this = Arc::clone(self);
        guarded(async move {
            if let Some(inside) = this.gate.enter() {
                let running = this.handler.run(socket.clone());
                if let Some(result) = inside.run_while_open(running).await {
                    return result;
                }
            }
            socket.close(CLOSE_RESTART, Bytes::from_static(b"the plugin was stopped").into()).await
        })
    }
}
