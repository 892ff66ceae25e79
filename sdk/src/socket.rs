//! WebSockets as messages; framing, pings and limits are the kernel's.

use std::sync::Arc;

use abi_stable::std_types::{ROption, RResult};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::abi_stable;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::{self as raw, RawMessage, RawSocket, RawSocketHandler};

use crate::error::{Error, Result, from_raw, to_raw};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// Serves the connections of one route.
pub trait SocketHandler: Send + Sync + 'static {
    /// Serves one connection until it ends. Returning closes it with 1000 (RFC 6455 §7.4.1).
    fn run(&self, socket: Socket) -> impl Future<Output = Result<()>> + Send;
}

/// One connection.
#[derive(Debug)]
pub struct Socket(RawSocket);

impl Socket {
    /// The next message; nothing once the peer has closed.
    ///
    /// # Errors
    /// When the peer broke the protocol or a limit; the connection is closed.
    pub async fn receive(&self) -> Result<Option<Message>> {
        match self.0.receive().await {
            ROption::RNone => Ok(None),
            ROption::RSome(RResult::RErr(error)) => Err(error.into()),
            ROption::RSome(RResult::ROk(RawMessage::Binary(bytes))) => {
                Ok(Some(Message::Binary(bytes.into())))
            }
            ROption::RSome(RResult::ROk(RawMessage::Text(bytes))) => {
                String::from_utf8(bytes.as_slice().to_vec())
                    .map(|text| Some(Message::Text(text)))
                    .map_err(|_| Error::internal("the kernel passed text that is not UTF-8"))
            }
        }
    }

    /// Sends one message; ready when it has left the kernel's bounded buffer.
    ///
    /// # Errors
    /// `Unavailable` when the connection is gone.
    pub async fn send(&self, message: Message) -> Result<()> {
        let raw = match message {
            Message::Text(text) => RawMessage::Text(Bytes::from(text).into()),
            Message::Binary(bytes) => RawMessage::Binary(bytes.into()),
        };
        from_raw(self.0.send(raw).await)
    }

    /// Closes with a code of RFC 6455 §7.4 and a reason of at most 123 bytes.
    ///
    /// # Errors
    /// `Unavailable` when the connection is gone already.
    pub async fn close(&self, code: u16, reason: &str) -> Result<()> {
        from_raw(
            self.0.close(u32::from(code), Bytes::copy_from_slice(reason.as_bytes()).into()).await,
        )
    }
}

struct Shim<H>(H);

impl<H: SocketHandler> raw::SocketHandler for Shim<H> {
    fn run(self: &Arc<Self>, socket: RawSocket) -> FfiFuture<RResult<(), RawError>> {
        let this = Arc::clone(self);
        guarded(async move { to_raw(this.0.run(Socket(socket)).await) })
    }
}

pub(crate) fn handler(handler: impl SocketHandler) -> RawSocketHandler {
    RawSocketHandler::new(Arc::new(Shim(handler)))
}
