//! Connections that lie idle between requests of one app to one origin at one address.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fazt_sdk::AppId;

use super::line::Line;
use super::target::Target;

/// Whose connection it is, and where it leads. Apps share none: what a server remembers of a
/// connection is nobody else's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) app: Option<AppId>,
    is_secure: bool,
    host: String,
    port: u16,
}

impl Key {
    pub(super) fn of(app: Option<AppId>, target: &Target) -> Self {
        Self { app, is_secure: target.is_secure(), host: target.shown(), port: target.port() }
    }
}

struct Idle {
    key: Key,
    line: Line,
    /// When it was laid down, by the clock that never goes back.
    since: Duration,
}

/// The idle connections of a node, the oldest first.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Idle>>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pool({} idle)", self.idle().len())
    }
}

impl Pool {
    /// A connection that leads to one of `addresses`, which were judged just now.
    pub(super) fn take(&self, key: &Key, addresses: &[SocketAddr], now: Duration) -> Option<Line> {
        let mut idle = self.idle();
        drop_old(&mut idle, now);
        let fits = |one: &Idle| one.key == *key && addresses.contains(&one.line.from);
        while let Some(at) = idle.iter().rposition(fits) {
            let mut line = idle.remove(at).line;
            if line.is_still_open() {
                return Some(line);
            }
        }
        None
    }

    /// Lays a connection down for a while.
    pub(super) fn put(&self, key: Key, line: Line, now: Duration) {
        let mut idle = self.idle();
        drop_old(&mut idle, now);
        if idle.iter().filter(|one| one.key == key).count() >= IDLE_PER_ORIGIN_MAX {
            return;
        }
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push(Idle { key, line, since: now });
    }

    /// Closes what lay idle for too long.
    pub(super) fn sweep(&self, now: Duration) {
        drop_old(&mut self.idle(), now);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_old(idle: &mut Vec<Idle>, now: Duration) {
    idle.retain(|one| now.saturating_sub(one.since) < IDLE_TIME);
}

/// The most idle connections of the node.
const IDLE_MAX: usize = 32;

/// The most idle connections of one app to one origin.
const IDLE_PER_ORIGIN_MAX: usize = 4;

/// How long a connection may lie idle.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);
