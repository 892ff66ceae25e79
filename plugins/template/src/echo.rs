//! `GET /_template/echo`: a WebSocket that sends every message back.

use fazt_sdk::prelude::*;
use fazt_sdk::socket::{Socket, SocketHandler};

pub(crate) struct Echo;

impl Handler for Echo {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::websocket(Echoing))
    }
}

struct Echoing;

impl SocketHandler for Echoing {
    async fn run(&self, socket: Socket) -> Result<()> {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
}
