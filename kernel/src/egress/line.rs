//! One connection that speaks HTTP/1.1, driven by whoever uses it.
//!
//! Nothing runs beside the request: a connection that nobody uses makes no progress, and costs nothing
//! but its descriptor.

use std::net::SocketAddr;
use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::dial::Stream;

/// The half of a connection that moves bytes; it ends with the connection.
type Driven = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection.
pub(super) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Nothing once the other side has closed it.
    driven: Option<Driven>,
    /// Who is at the other end.
    pub(super) from: SocketAddr,
}

impl Line {
    /// Speaks HTTP over `stream`.
    ///
    /// # Errors
    /// What hyper says.
    pub(super) async fn open(stream: Box<dyn Stream>, from: SocketAddr) -> hyper::Result<Self> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let driven: Driven = Box::pin(connection.map(drop));
        Ok(Self { sender, driven: Some(driven), from })
    }

    /// Sends `request` and waits for the head of the answer.
    ///
    /// # Errors
    /// What hyper says.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        drive(&mut self.driven, self.sender.send_request(request)).await
    }

    /// Does `work`, which waits for the connection, while the connection moves.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        drive(&mut self.driven, work).await
    }

    /// Whether another request can be sent. The body of the last answer was read.
    pub(super) async fn is_free(&mut self) -> bool {
        let Self { sender, driven, .. } = self;
        driven.is_some() && drive(driven, sender.ready()).await.is_ok()
    }

    /// Whether the other side kept the connection open while it lay idle.
    pub(super) fn is_still_open(&mut self) -> bool {
        if self.driven.as_mut().is_some_and(|driven| driven.now_or_never().is_some()) {
            self.driven = None;
        }
        self.driven.is_some() && self.sender.is_ready()
    }
}

async fn drive<T>(driven: &mut Option<Driven>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        let Some(connection) = driven.as_mut() else { return work.await };
        tokio::select! {
            biased;
            done = &mut work => return done,
            // The other side may close before what it sent was taken out of the buffer.
            () = connection => *driven = None,
        }
    }
}

/// The largest head of an answer, in bytes. Not less than hyper's own minimum.
pub(super) const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The most fields of an answer.
pub(super) const HEADERS_MAX: usize = 100;
