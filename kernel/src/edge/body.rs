//! The body of a request: read when asked, never beyond its limit.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use abi_stable::std_types::{ROption, RResult};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::Body as RawBodySource;
use fazt_sdk::{Error, Result};
use http_body::Body as _;
use hyper::body::Incoming;

use super::connection::Link;

/// A body on its way in. The connection reads at most one buffer ahead of whoever takes it, and
/// sends `100 Continue` when it is first read (RFC 9110 §10.1.1).
#[derive(Debug)]
pub(super) struct IncomingBody {
    incoming: Mutex<Option<Incoming>>,
    announced: Option<u64>,
    limit: AtomicU64,
    taken: AtomicU64,
    begun: AtomicBool,
    link: Arc<Link>,
}

impl IncomingBody {
    pub(super) fn new(incoming: Incoming, limit: u64, link: Arc<Link>) -> Self {
        link.body_begins();
        Self {
            announced: incoming.size_hint().exact(),
            incoming: Mutex::new(Some(incoming)),
            limit: AtomicU64::new(limit),
            taken: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            link,
        }
    }

    pub(super) fn announced(&self) -> Option<u64> {
        self.announced
    }

    pub(super) fn set_limit(&self, bytes: u64) -> Result<()> {
        self.limit.store(bytes, Relaxed);
        self.check_announced()
    }

    fn check_announced(&self) -> Result<()> {
        let limit = self.limit.load(Relaxed);
        match self.announced {
            Some(announced) if announced > limit => Err(too_large(limit)),
            _ => Ok(()),
        }
    }

    /// The next chunk. After an error or the end there is nothing more.
    fn poll_chunk(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut slot = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(incoming) = slot.as_mut() else { return Poll::Ready(None) };
        if !self.begun.swap(true, Relaxed)
            && let Err(error) = self.check_announced()
        {
            *slot = None;
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            let result = match ready!(Pin::new(&mut *incoming).poll_frame(context)) {
                // Trailers are dropped: no route asked for them (RFC 9110 §6.5.1).
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if chunk.is_empty() => continue,
                    Ok(chunk) => self.count(chunk),
                    Err(_) => continue,
                },
                Some(Err(error)) => Err(broken(&error)),
                None => {
                    *slot = None;
                    return Poll::Ready(None);
                }
            };
            if result.is_err() {
                *slot = None;
            }
            return Poll::Ready(Some(result));
        }
    }

    fn count(&self, chunk: Bytes) -> Result<Bytes> {
        let taken = self.taken.load(Relaxed) + chunk.len() as u64;
        self.taken.store(taken, Relaxed);
        let limit = self.limit.load(Relaxed);
        if taken > limit { Err(too_large(limit)) } else { Ok(chunk) }
    }
}

fn too_large(limit: u64) -> Error {
    Error::too_large(format!("the body is larger than {limit} bytes")).with_code("BODY_TOO_LARGE")
}

fn broken(error: &hyper::Error) -> Error {
    // The cause says where the framing broke; it holds no bytes of the body.
    Error::invalid(format!("the body ended early or its framing is broken: {error}"))
        .with_code("BODY_BROKEN")
}

/// Notes that somebody waits for the body, as long as it lives.
struct Waiting<'a>(&'a Link);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.body_came(0);
    }
}

impl RawBodySource for IncomingBody {
    fn next(self: &Arc<Self>) -> FfiFuture<ROption<RResult<RawBytes, RawError>>> {
        let this = Arc::clone(self);
        guarded(async move {
            let waiting = Waiting(&this.link);
            let chunk = std::future::poll_fn(|context| {
                let poll = this.poll_chunk(context);
                if poll.is_pending() {
                    this.link.body_waits();
                }
                poll
            })
            .await;
            drop(waiting);
            match chunk {
                Some(Ok(bytes)) => {
                    this.link.body_came(bytes.len());
                    ROption::RSome(RResult::ROk(bytes.into()))
                }
                Some(Err(error)) => ROption::RSome(RResult::RErr(error.into())),
                None => ROption::RNone,
            }
        })
    }

    fn size(self: &Arc<Self>) -> u64 {
        match self.announced {
            Some(announced) => announced.saturating_sub(self.taken.load(Relaxed)),
            None => u64::MAX,
        }
    }
}
