//! Bodies between the two worlds: chunks of HTTP and chunks of the sdk.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fazt_sdk::http::{Body as SdkBody, BodySource};
use http_body_util::BodyExt as _;
use hyper::body::Frame;

use super::Body;
use crate::failure::Failure;

/// A body of the sdk as one of HTTP.
pub(super) fn from_sdk(body: SdkBody) -> Body {
    Body::new(Reading(Box::pin(read(body))))
}

type Read = (Option<fazt_sdk::Result<Bytes>>, SdkBody);

async fn read(mut body: SdkBody) -> Read {
    (body.next().await, body)
}

/// A body whose next chunk is on its way.
struct Reading(Pin<Box<dyn Future<Output = Read> + Send>>);

impl hyper::body::Body for Reading {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let (chunk, body) = ready!(self.0.as_mut().poll(context));
        self.0 = Box::pin(read(body));
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data).map_err(Failure::from)))
    }
}

/// A body of HTTP as one of the sdk.
pub(super) fn into_sdk(body: Body) -> SdkBody {
    SdkBody::source(Source(body))
}

struct Source(Body);

impl BodySource for Source {
    async fn next(&mut self) -> Option<fazt_sdk::Result<Bytes>> {
        loop {
            match self.0.frame().await? {
                // Trailers carry nothing here.
                Ok(frame) => match frame.into_data() {
                    Ok(chunk) => return Some(Ok(chunk)),
                    Err(_) => continue,
                },
                Err(failure) => return Some(Err(fazt_sdk::Error::invalid(failure.message))),
            }
        }
    }
}
