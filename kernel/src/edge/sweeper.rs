//! The set of open connections, and the one task that closes those past a deadline.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::address::Sender;
use super::connection::{Link, Order, Peer, Phase};
use super::limits::Limits;

/// How often the sweeper looks; a deadline is kept to within twice this.
pub(super) const SWEEP: Duration = Duration::from_millis(250);
/// Time that the client gets to read our last words.
const LINGER_MS: u64 = 2_000;
/// Idle time when connections are nearly used up.
const IDLE_PRESSED_MS: u64 = 1_000;

/// Why a connection was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Its address holds too many already.
    Address,
    /// There are too many in all.
    All,
}

/// All open connections. Bounded by `connections` and `connections_per_address`.
#[derive(Debug)]
pub(super) struct Connections {
    now: Arc<AtomicU64>,
    all_max: usize,
    per_address_max: usize,
    draining: AtomicBool,
    open: Mutex<Open>,
    /// Told when the first connection opens and whenever one closes.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    links: HashMap<u64, Arc<Link>>,
    senders: HashMap<Sender, usize>,
}

/// The place of one connection in the set; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    sender: Option<Sender>,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            now: Arc::new(AtomicU64::new(0)),
            all_max: limits.connections_allowed(),
            per_address_max: usize::try_from(limits.connections_per_address).unwrap_or(usize::MAX),
            draining: AtomicBool::new(false),
            open: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the coarse clock.
    pub(super) fn set_now(&self, now: Duration) {
        self.now.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.open().links.len()
    }

    /// Whether another connection fits at all.
    pub(super) fn has_room(&self) -> bool {
        self.count() < self.all_max
    }

    /// Takes a connection in. `counted` is the address whose connections are limited, if any.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: Peer,
        counted: Option<IpAddr>,
    ) -> Result<(Arc<Link>, Place), Full> {
        let sender = counted.map(Sender::of);
        let link = Arc::new(Link::new(peer, Arc::clone(&self.now)));
        let mut open = self.open();
        if open.links.len() >= self.all_max {
            return Err(Full::All);
        }
        if let Some(sender) = sender {
            let held = open.senders.entry(sender).or_default();
            if *held >= self.per_address_max {
                return Err(Full::Address);
            }
            *held += 1;
        }
        let number = open.next;
        open.next += 1;
        open.links.insert(number, Arc::clone(&link));
        let first = open.links.len() == 1;
        drop(open);
        if self.draining.load(Relaxed) {
            link.give(Order::Drain);
        }
        if first {
            self.changed.notify_waiters();
        }
        Ok((link, Place { connections: Arc::clone(self), number, sender }))
    }

    /// Gives `order` to all connections.
    pub(super) fn give_all(&self, order: Order) {
        self.draining.store(true, Relaxed);
        let links: Vec<_> = self.open().links.values().cloned().collect();
        for link in links {
            link.give(order);
        }
    }

    /// Ready when a connection has closed or the first has opened since the last look.
    pub(super) async fn changed_from(&self, is_done: impl Fn(usize) -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if is_done(self.count()) {
                return;
            }
            changed.await;
        }
    }

    /// Looks at all connections once and orders those past a deadline to close.
    pub(super) fn sweep(&self, limits: &Limits) -> u64 {
        let now = self.now.load(Relaxed);
        let open = self.open();
        let pressed = open.links.len() > self.all_max - self.all_max / 16 - 1;
        let idle_ms = if pressed { limits.idle_ms.min(IDLE_PRESSED_MS) } else { limits.idle_ms };
        let mut closed = 0;
        for link in open.links.values() {
            let stalled = link.reads_slowly(limits);
            if stalled {
                // The bytes under way would otherwise keep the socket alive in the kernel.
                link.reset_at_end();
            }
            let in_phase = now.saturating_sub(link.since());
            let late = match link.phase() {
                Phase::New | Phase::Head => in_phase > limits.header_ms,
                Phase::Idle => in_phase > idle_ms,
                Phase::Lingering => in_phase > LINGER_MS,
                Phase::Busy => link.body_is_slow(limits),
                Phase::Socket => false,
            };
            if stalled || late {
                closed += u64::from(link.give(Order::Close));
            }
        }
        closed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.links.remove(&self.number);
        if let Some(sender) = self.sender
            && let Some(held) = open.senders.get_mut(&sender)
        {
            *held -= 1;
            if *held == 0 {
                open.senders.remove(&sender);
            }
        }
        drop(open);
        self.connections.changed.notify_waiters();
    }
}
