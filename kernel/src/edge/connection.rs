//! One connection: what it is doing, and the future that serves it.
//!
//! No request arms a timer. The connection notes in a few atomics what it is doing and since when;
//! the sweeper reads them and gives an order to what is past a deadline. Times are milliseconds of
//! the sweeper's coarse clock, so noting one is a load and a store.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::flow::Flow;
use super::gateway::Gateway;
use super::limits::Limits;
use super::response::StreamFailure;
use super::server::Shared;
use super::service;
use super::socket::{self, Upgrade};

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The socket's address; nothing for a Unix socket.
    pub(super) address: Option<SocketAddr>,
    /// The user id behind a Unix socket.
    pub(super) uid: Option<u32>,
    /// Whether the connection is encrypted.
    pub(super) secure: bool,
}

/// What a connection is doing; decides which deadline counts.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Accepted; no complete head of a request yet.
    New,
    /// Between two requests.
    Idle,
    /// Part of a head has arrived.
    Head,
    /// A request is being answered.
    Busy,
    /// It became a WebSocket.
    Socket,
    /// Our side is closed; what still arrives is thrown away so that the client can read our last
    /// words (RFC 9112 §9.6).
    Lingering,
}

/// What the sweeper or a stopping server tells a connection to do.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Finish what is running, then close.
    Drain,
    /// Close now.
    Close,
}

/// The facts about one connection that its task, its streams and the sweeper share.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Peer,
    now: Arc<AtomicU64>,
    phase: AtomicU8,
    since: AtomicU64,
    /// Bytes came while a request without a body was being answered: the next one has begun.
    read_ahead: AtomicBool,
    /// What the client takes; waited for as long as it takes nothing.
    written: Flow,
    /// What the client sends in the body of the request; waited for by whoever reads it.
    body: Flow,
    /// The wall clock does not cut the request.
    patient: AtomicBool,
    order: AtomicU8,
    pub(super) waker: AtomicWaker,
    reset: AtomicBool,
    upgrade: Mutex<Option<Upgrade>>,
}

impl Link {
    pub(super) fn new(peer: Peer, now: Arc<AtomicU64>) -> Self {
        let since = AtomicU64::new(now.load(Relaxed));
        Self {
            peer,
            now,
            phase: AtomicU8::new(Phase::New as u8),
            since,
            read_ahead: AtomicBool::new(false),
            written: Flow::default(),
            body: Flow::default(),
            patient: AtomicBool::new(false),
            order: AtomicU8::new(Order::Serve as u8),
            waker: AtomicWaker::new(),
            reset: AtomicBool::new(false),
            upgrade: Mutex::new(None),
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        const PHASES: [Phase; 6] =
            [Phase::New, Phase::Idle, Phase::Head, Phase::Busy, Phase::Socket, Phase::Lingering];
        PHASES[usize::from(self.phase.load(Relaxed)).min(5)]
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.since.store(self.now(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// When the phase began, or last made progress while idle.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// Bytes have arrived.
    pub(super) fn has_read(&self) {
        match self.phase() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Busy => self.read_ahead.store(true, Relaxed),
            Phase::New | Phase::Head | Phase::Socket | Phase::Lingering => {}
        }
    }

    /// Bytes have left.
    pub(super) fn has_written(&self, bytes: usize) {
        self.written.passed(bytes, || self.now());
        if self.phase() == Phase::Idle {
            self.since.store(self.now(), Relaxed);
        }
    }

    /// The client takes no more bytes for now.
    pub(super) fn cannot_write(&self) {
        self.written.waits(self.now());
    }

    /// Whether the client took nothing for too long, or too little over the last window of waiting.
    pub(super) fn reads_slowly(&self, limits: &Limits) -> bool {
        let now = self.now();
        let stands_still = self
            .written
            .waiting_since()
            .is_some_and(|since| now.saturating_sub(since) > limits.write_ms);
        stands_still || self.written.is_slow(limits.write_window_ms, limits.write_rate, now)
    }

    /// A request was understood and is being answered.
    pub(super) fn request_begins(&self) {
        self.read_ahead.store(false, Relaxed);
        self.patient.store(false, Relaxed);
        self.enter(Phase::Busy);
    }

    /// The wall clock does not cut the request that is being answered.
    pub(super) fn be_patient(&self) {
        self.patient.store(true, Relaxed);
    }

    pub(super) fn is_patient(&self) -> bool {
        self.patient.load(Relaxed)
    }

    /// The last byte of a response is in the connection's buffer.
    pub(super) fn response_ends(&self) {
        if self.phase() == Phase::Busy {
            let begun = self.read_ahead.load(Relaxed);
            self.enter(if begun { Phase::Head } else { Phase::Idle });
        }
    }

    /// A request with a body begins; what earlier ones did no longer counts.
    pub(super) fn body_begins(&self) {
        self.body.restart();
    }

    /// Somebody waits for more of the body.
    pub(super) fn body_waits(&self) {
        self.body.waits(self.now());
    }

    /// Nobody waits any more; `bytes` came.
    pub(super) fn body_came(&self, bytes: usize) {
        self.body.passed(bytes, || self.now());
    }

    /// Milliseconds spent waiting for the client's body so far.
    pub(super) fn body_waited(&self) -> u64 {
        self.body.waited(self.now())
    }

    /// Whether the body came too slowly over the last window of waiting.
    pub(super) fn body_is_slow(&self, limits: &Limits) -> bool {
        self.body.is_slow(limits.body_window_ms, limits.body_rate, self.now())
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(SeqCst) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Close,
        }
    }

    /// Gives an order and says whether it was news; a weaker one than the last has no effect.
    pub(super) fn give(&self, order: Order) -> bool {
        let is_news = self.order.fetch_max(order as u8, SeqCst) < order as u8;
        if is_news {
            self.waker.wake();
        }
        is_news
    }

    /// What the peer got is not the whole: end with a reset, so that it cannot think otherwise.
    pub(super) fn reset_at_end(&self) {
        self.reset.store(true, Relaxed);
    }

    pub(super) fn resets_at_end(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Keeps what runs once the connection has become a WebSocket.
    pub(super) fn will_upgrade(&self, upgrade: Upgrade) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    fn take_upgrade(&self) -> Option<Upgrade> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves one connection until it ends. `stream` is metered already, and past its handshake.
pub(super) async fn serve<G, S>(shared: Arc<Shared<G>>, link: Arc<Link>, stream: S)
where
    G: Gateway,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = {
        let (shared, link) = (Arc::clone(&shared), Arc::clone(&link));
        service_fn(move |request| service::answer(Arc::clone(&shared), Arc::clone(&link), request))
    };
    {
        let connection = shared.http1.serve_connection(TokioIo::new(stream), answering);
        let mut connection = pin!(connection.with_upgrades());
        let mut obeyed = None;
        let served = std::future::poll_fn(|context| {
            if obeyed != Some(link.order()) {
                // Registered before the order is read: one given in between wakes this task.
                link.waker.register(context.waker());
                let order = link.order();
                obeyed = Some(order);
                match order {
                    Order::Serve => {}
                    Order::Drain => connection.as_mut().graceful_shutdown(),
                    Order::Close => return Poll::Ready(Ok(())),
                }
            }
            connection.as_mut().poll(context)
        })
        .await;
        if let Err(error) = served
            && let Some(failure) = StreamFailure::behind(&error)
        {
            shared.gateway.report(failure.request_id, &failure.error);
        }
    }
    if let Some(upgrade) = link.take_upgrade()
        && link.order() < Order::Close
    {
        link.enter(Phase::Socket);
        socket::serve::<G, S>(&shared, &link, upgrade).await;
    }
}
