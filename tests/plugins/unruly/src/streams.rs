//! Bodies and connections that end badly, or never.

use std::time::Duration;

use fazt_sdk::host::Clock;
use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;
use fazt_sdk::socket::{Socket, SocketHandler};

use crate::drops::{Alive, PanicsInDrop};
use crate::works::Unruliness;

/// A stream of one good part and then something else.
pub(crate) struct Streams(pub(crate) Clock);

struct Source {
    how: String,
    clock: Clock,
    part: u32,
    _held: Option<PanicsInDrop>,
}

impl Handler for Streams {
    async fn call(&self, _: &Call, request: Request) -> Result<Response> {
        let how = request.capture(0).to_owned();
        let held = (how == "drop").then(|| PanicsInDrop("a stream"));
        let source = Source { how, clock: self.0.clone(), part: 0, _held: held };
        Ok(Response::new(200).stream(source))
    }
}

impl BodySource for Source {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.part += 1;
        if self.part == 1 {
            return Some(Ok(Bytes::from_static(b"one part")));
        }
        self.clock.sleep(Duration::from_millis(1)).await;
        match self.how.as_str() {
            "error" => Some(Err(Error::unavailable("the rest is gone"))),
            "panic" => panic!("no more parts"),
            "hang" => std::future::pending().await,
            _ => None,
        }
    }
}

/// A WebSocket whose handler never says anything.
pub(crate) struct Silence(pub(crate) Unruliness);

struct Silent(Unruliness);

impl Handler for Silence {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::websocket(Silent(self.0.clone())))
    }
}

impl SocketHandler for Silent {
    async fn run(&self, socket: Socket) -> Result<()> {
        let _alive = Alive::new(&self.0.alive);
        if let Some(fazt_sdk::socket::Message::Text(text)) = socket.receive().await?
            && text == "panic"
        {
            panic!("lost for words");
        }
        std::future::pending().await
    }
}
