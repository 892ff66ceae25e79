//! The server: accepts, keeps the set of connections, stops without cutting anybody short.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fazt_abi::error::guard_drop;
use fazt_sdk::call::RequestId;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use tokio::task::JoinSet;

use super::address::Range;
use super::connection::{self, Link, Order, Peer};
use super::failure::Refusal;
use super::gateway::{BlobSource, Gateway};
use super::limits::Limits;
use super::listener::{Accepted, Listener, Setback, setback};
use super::rate::Rates;
use super::response::Blobs;
use super::sweeper::{Connections, Full, Place, SWEEP};
use super::transport::{Metered, Transport};
use crate::clock::Clock;

/// What the operator decides about the edge.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The limits.
    pub limits: Limits,
    /// Proxies that are believed when they say whom they forward for. Their connections do not
    /// count against `connections_per_address`.
    pub trusted_proxies: Vec<Range>,
}

/// Figures since the start, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections closed at once because there were too many.
    pub connections_refused: u64,
    /// Connections closed because they were past a deadline.
    pub connections_swept: u64,
    /// Requests whose head was understood by the parser.
    pub requests: u64,
    /// Requests answered with 504.
    pub requests_timed_out: u64,
    /// Requests answered with 429: their sender made too many.
    pub requests_limited: u64,
    /// Panics caught; each one is a defect.
    pub panics: u64,
}

/// How a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because they outlived `drain_ms`.
    pub cut: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    swept: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) limited: AtomicU64,
    pub(super) panics: AtomicU64,
}

/// All that the connections of one edge share.
pub(super) struct Shared<G> {
    pub(super) gateway: Arc<G>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) limits: Limits,
    pub(super) trusted: Vec<Range>,
    pub(super) http1: http1::Builder,
    pub(super) counters: Counters,
    rates: Option<Rates>,
    connections: Arc<Connections>,
    clock: Arc<dyn Clock>,
    ids: AtomicU64,
}

impl<G> Shared<G> {
    /// Brings the coarse clock of the connections up to date.
    pub(super) fn update_clock(&self) {
        self.connections.set_now(self.clock.monotonic());
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// The refusal, when its sender makes too many.
    pub(super) fn count(&self, client: impl FnOnce() -> IpAddr) -> Result<(), Refusal> {
        let Some(rates) = &self.rates else { return Ok(()) };
        rates.take(client(), self.clock.monotonic()).map_err(|wait| {
            self.counters.limited.fetch_add(1, Relaxed);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Refusal::new(429, "RATE_LIMITED", "this address makes too many requests")
                .with("retry-after", seconds.to_string())
        })
    }

    /// An id that no other request of this process has, and that tells nothing about their number.
    pub(super) fn next_id(&self) -> RequestId {
        // SplitMix64: a bijection over a counter that starts at random.
        let mut id = self.ids.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        RequestId::new(id ^ (id >> 31))
    }
}

/// A server for HTTP.
pub struct Edge<G> {
    shared: Arc<Shared<G>>,
}

impl<G: Gateway> Edge<G> {
    /// Makes a server; it listens to nothing yet.
    #[must_use]
    pub fn new<B: BlobSource>(
        gateway: Arc<G>,
        blobs: Arc<B>,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Options { limits, trusted_proxies } = options;
        let connections = Arc::new(Connections::new(&limits));
        let seed = getrandom::u64().unwrap_or_default();
        Self {
            shared: Arc::new(Shared {
                gateway,
                blobs,
                http1: http1(&limits),
                rates: Rates::new(limits.requests_per_second, limits.request_burst),
                connections,
                limits,
                trusted: trusted_proxies,
                counters: Counters::default(),
                clock,
                ids: AtomicU64::new(seed),
            }),
        }
    }

    /// Serves `listeners` until `shutdown` is ready, then drains: nothing new is accepted, idle
    /// connections close at once, running requests may finish and WebSockets end with 1012, for at
    /// most `drain_ms`. Needs a Tokio runtime with I/O and time. Serves once: a second call drains
    /// at once. Dropping the future cuts everything.
    pub async fn serve(
        &self,
        listeners: Vec<Listener>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Drained {
        let connections = &self.shared.connections;
        let _cut = CutOnDrop(connections);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(Arc::clone(&self.shared), listener));
        }
        let mut sweeping = JoinSet::new();
        sweeping.spawn(sweep(Arc::clone(&self.shared)));

        shutdown.await;
        accepting.shutdown().await;
        connections.give_all(Order::Drain);
        let drain = Duration::from_millis(self.shared.limits.drain_ms);
        let is_empty = |count| count == 0;
        if tokio::time::timeout(drain, connections.changed_from(is_empty)).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = connections.count();
        connections.give_all(Order::Close);
        // Closing takes a moment of each task; one that does not come to an end is left behind.
        let _ =
            tokio::time::timeout(Duration::from_secs(1), connections.changed_from(is_empty)).await;
        Drained { cut }
    }

    /// What happened so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counters = &self.shared.counters;
        Figures {
            connections_open: self.shared.connections.count() as u64,
            connections: counters.accepted.load(Relaxed),
            connections_refused: counters.refused.load(Relaxed),
            connections_swept: counters.swept.load(Relaxed),
            requests: counters.requests.load(Relaxed),
            requests_timed_out: counters.timed_out.load(Relaxed),
            requests_limited: counters.limited.load(Relaxed),
            panics: counters.panics.load(Relaxed),
        }
    }
}

/// Connections do not outlive the server that watches over them.
struct CutOnDrop<'a>(&'a Connections);

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        self.0.give_all(Order::Close);
    }
}

/// How HTTP/1.1 is spoken. Deadlines are the sweeper's.
fn http1(limits: &Limits) -> http1::Builder {
    let bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX);
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(bytes)
        // The head must fit; one buffer of this size is also what a body may be ahead of its reader.
        .max_buf_size(bytes.saturating_add(1).max(64 << 10))
        .half_close(false);
    if limits.header_fields != 100 {
        // Naming the default would move it from the stack to the heap.
        builder.max_headers(usize::try_from(limits.header_fields).unwrap_or(usize::MAX));
    }
    builder
}

/// Accepts connections of one listener for ever.
async fn accept<G: Gateway>(shared: Arc<Shared<G>>, listener: Listener) {
    const PAUSE_MIN: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let mut pause = PAUSE_MIN;
    loop {
        // At the limit, connections wait in the backlog of the system.
        shared.connections.changed_from(|_| shared.connections.has_room()).await;
        match listener.accept().await {
            Ok(accepted) => {
                pause = PAUSE_MIN;
                admit(&shared, accepted);
            }
            Err(error) => match setback(&error) {
                Setback::Connection => {}
                Setback::Exhausted => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            },
        }
    }
}

/// Takes a connection into the set and starts to serve it.
fn admit<G: Gateway>(shared: &Arc<Shared<G>>, accepted: Accepted) {
    shared.counters.accepted.fetch_add(1, Relaxed);
    shared.update_clock();
    let (address, uid) = match &accepted {
        Accepted::Tcp(_, address) => (Some(*address), None),
        Accepted::Unix(_, uid) => (None, *uid),
    };
    let peer = Peer { address, uid, secure: false };
    let counted = address.map(|address| address.ip()).filter(|ip| !is_trusted(shared, *ip));
    let (link, place) = match shared.connections.enter(peer, counted) {
        Ok(entered) => entered,
        Err(Full::Address | Full::All) => {
            shared.counters.refused.fetch_add(1, Relaxed);
            return;
        }
    };
    match accepted {
        Accepted::Tcp(stream, _) => {
            // Without it a response in two writes waits for the client's acknowledgment.
            drop(stream.set_nodelay(true));
            start(shared, link, place, stream);
        }
        Accepted::Unix(stream, _) => start(shared, link, place, stream),
    }
}

fn is_trusted<G>(shared: &Shared<G>, ip: IpAddr) -> bool {
    shared.trusted.iter().any(|range| range.contains(ip))
}

/// Serves a connection on a task of its own.
fn start<G: Gateway, T: Transport>(
    shared: &Arc<Shared<G>>,
    link: Arc<Link>,
    place: Place,
    socket: T,
) {
    let shared = Arc::clone(shared);
    // A handshake of TLS goes between these two lines; it is metered, and `Phase::New` limits it.
    let stream = Metered::new(socket, Arc::clone(&link));
    let serving = connection::serve(Arc::clone(&shared), link, stream);
    spawn(async move {
        if let Err(payload) = AssertUnwindSafe(serving).catch_unwind().await {
            guard_drop(payload);
            shared.counters.panics.fetch_add(1, Relaxed);
        }
        drop(place);
    });
}

/// Looks for connections past a deadline as long as there are any.
async fn sweep<G: Gateway>(shared: Arc<Shared<G>>) {
    let connections = &shared.connections;
    loop {
        connections.changed_from(|count| count > 0).await;
        tokio::time::sleep(SWEEP).await;
        shared.update_clock();
        shared.counters.swept.fetch_add(connections.sweep(&shared.limits), Relaxed);
    }
}

/// Runs a connection. It is watched by its place in the set, not by a handle.
#[expect(clippy::disallowed_methods, reason = "the set of connections supervises these tasks")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
