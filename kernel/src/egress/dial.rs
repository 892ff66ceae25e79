//! From an address to a connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection in either direction, plain or under TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is being made.
pub type Dialing<'d> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'd>>;

/// Connects to addresses. A parameter of the node, so that a test sees which addresses were asked
/// for, and decides who answers there. What it is given was judged before.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Connects to `address` and to nothing else. May take as long as it likes: callers give up on time.
    fn dial(&self, address: SocketAddr) -> Dialing<'_>;
}

/// The machine's own network. Knows of no proxy: the environment is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDialer;

impl Dial for SystemDialer {
    fn dial(&self, address: SocketAddr) -> Dialing<'_> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
