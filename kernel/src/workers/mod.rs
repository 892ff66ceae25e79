//! Workers: supervised, sandboxed child processes of this very program.
//!
//! A worker is the same binary, started again with `--worker PLUGIN` and one end of a socket pair. It
//! gives up everything else before it reads a byte (`sandbox`) and enters the plugin's `worker`.
//! Here they are started (`spawner`), fed, watched and counted (`worker`); what the frames mean
//! is the plugin's business.
//!
//! The surprising thing: workers are started by one thread that lives as long as the node. The signal
//! that ends a child with its parent follows the *thread* that made it, not the process.

mod calls;
mod child;
mod descriptors;
mod frames;
mod sandbox;
mod service;
mod spawner;
mod usage;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fazt_sdk::services::workers::WorkerLimits;
use fazt_sdk::{Error, Result};
use tokio::runtime::Handle;

use crate::clock::Clock;
use spawner::{Order, Spawner};
use worker::Worker;

pub use child::{WORKER_FLAG, worker_main};
pub(crate) use service::WorkersService;
pub use spawner::Program;

/// The most workers of a node. Whoever asks for workers has a lower bound of its own.
const WORKERS_MAX: usize = 256;

/// How many ended workers are remembered, so that somebody can ask why.
const ENDED_MAX: usize = 128;

/// How many may be started at once, and how many in each second after that: what dies at its start
/// must not make the node busy with starting it again.
const STARTS_AT_ONCE: u32 = 64;
const STARTS_PER_SECOND: u32 = 32;

/// How long a worker may take until it says that it has given everything up.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// All workers of a node.
pub(crate) struct Workers {
    /// How this program is started as a worker; nothing where it has no such entry.
    spawner: Option<Spawner>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    all: Mutex<All>,
    number: AtomicU64,
    /// What the last worker could not give up, in words; nothing before the first one.
    lacking: Mutex<Option<Vec<String>>>,
}

#[derive(Default)]
struct All {
    running: HashMap<u64, Arc<Worker>>,
    ended: VecDeque<Arc<Worker>>,
    /// Starts that are on their way and are not yet among the running.
    starting: usize,
    starts: Option<Starts>,
}

/// How many starts are left, as of a moment of the monotonic clock.
struct Starts {
    left: f64,
    at: Duration,
}

impl Starts {
    /// Takes one start at `now`; whether there was one.
    fn take(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        let refilled = self.left + since * f64::from(STARTS_PER_SECOND);
        self.left = refilled.min(f64::from(STARTS_AT_ONCE));
        self.at = now;
        let has = self.left >= 1.0;
        if has {
            self.left -= 1.0;
        }
        has
    }
}

impl Workers {
    /// Starts nothing yet, but the thread that will.
    ///
    /// # Errors
    /// `Internal` when the system gives no thread.
    pub(crate) fn new(
        program: Option<Program>,
        runtime: Handle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let spawner = program.map(|program| Spawner::new(program, runtime.clone())).transpose()?;
        Ok(Self {
            spawner,
            runtime,
            clock,
            all: Mutex::default(),
            number: AtomicU64::new(1),
            lacking: Mutex::default(),
        })
    }

    fn all<T>(&self, work: impl FnOnce(&mut All) -> T) -> T {
        work(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the sandbox lacks on this system, as the last worker found it; nothing before the first.
    pub(crate) fn lacking(&self) -> Option<Vec<String>> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that run, the oldest first.
    pub(crate) fn running(&self) -> Vec<Arc<Worker>> {
        let mut running: Vec<_> = self.all(|all| all.running.values().cloned().collect());
        running.sort_by_key(|worker| worker.number);
        running
    }

    /// Starts a worker of `plugin`, which is compiled in or loaded from `library`.
    ///
    /// # Errors
    /// `Busy` past the bounds, `Unavailable` where there are no workers or it did not come up.
    async fn start(
        self: &Arc<Self>,
        plugin: &str,
        library: Option<Arc<File>>,
        limits: &WorkerLimits,
    ) -> Result<u64> {
        let Some(spawner) = &self.spawner else {
            return Err(Error::unavailable(
                "this program does not start itself again, so it has no worker processes",
            ));
        };
        let seat = self.seat()?;
        let order = Order { plugin: plugin.to_owned(), library, limits: limits.clone() };
        let spawned = spawner.spawn(order).await?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let worker = Arc::new(Worker::new(number, plugin, spawned.pid, limits, spawned.read));
        // From here on the child has somebody who waits for it, whatever becomes of this future.
        self.runtime.spawn(supervise(
            Arc::clone(&worker),
            spawned.child,
            spawned.write,
            Arc::downgrade(self),
        ));
        self.all(|all| {
            if !worker.has_ended() {
                all.running.insert(number, Arc::clone(&worker));
            }
        });
        drop(seat);
        let unused = Unused(Some(&worker));
        let hello = tokio::time::timeout(READY_WITHIN, worker.receive()).await;
        let up = hello.map_err(|_| {
            Error::unavailable(format!("it said nothing for {} s", READY_WITHIN.as_secs()))
        });
        let frames = up
            .and_then(|received| received)
            .map_err(|error| error.context(format!("a worker of {plugin} did not come up")))?;
        let lacking = frames.first().map(|report| sandbox::read_report(report));
        *self.lacking.lock().unwrap_or_else(PoisonError::into_inner) = lacking;
        unused.keep();
        Ok(number)
    }

    /// The right to start one more.
    fn seat(self: &Arc<Self>) -> Result<Seat> {
        let now = self.clock.monotonic();
        self.all(|all| {
            if all.running.len() + all.starting >= WORKERS_MAX {
                return Err(Error::busy(format!(
                    "{WORKERS_MAX} workers run, which is the most that a node has"
                )));
            }
            let starts =
                all.starts.get_or_insert(Starts { left: f64::from(STARTS_AT_ONCE), at: now });
            if !starts.take(now) {
                return Err(Error::busy(format!(
                    "workers are started too often: more than {STARTS_PER_SECOND} in a second"
                )));
            }
            all.starting += 1;
            Ok(())
        })?;
        Ok(Seat(Arc::clone(self)))
    }

    fn find(&self, number: u64) -> Result<Arc<Worker>> {
        let found = self.all(|all| {
            let ended = || all.ended.iter().find(|worker| worker.number == number);
            all.running.get(&number).or_else(ended).cloned()
        });
        found.ok_or_else(|| {
            Error::not_found(format!("there is no worker {number}, or not any more"))
        })
    }

    fn forget(&self, worker: &Arc<Worker>) {
        self.all(|all| {
            all.running.remove(&worker.number);
            all.ended.push_back(Arc::clone(worker));
            while all.ended.len() > ENDED_MAX {
                all.ended.pop_front();
            }
        });
    }

    /// Kills all workers of a plugin that was stopped.
    pub(crate) fn end_of(&self, plugin: &str) {
        for worker in self.running() {
            if &*worker.plugin == plugin {
                worker.kill();
            }
        }
    }
}

/// A worker that goes again unless somebody will know its number.
struct Unused<'w>(Option<&'w Worker>);

impl Unused<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.0 {
            worker.kill();
        }
    }
}

/// A start on its way.
struct Seat(Arc<Workers>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.all(|all| all.starting -= 1);
    }
}

/// Feeds a child until it ends, and waits for it: there are no zombies.
async fn supervise(
    worker: Arc<Worker>,
    mut child: tokio::process::Child,
    write: tokio::net::unix::OwnedWriteHalf,
    workers: Weak<Workers>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = worker.wants_end(write) => {
            // It may be stopped, or deaf: only this signal cannot be ignored.
            drop(child.start_kill());
            child.wait().await
        }
    };
    worker.ended(status.ok());
    if let Some(workers) = workers.upgrade() {
        workers.forget(&worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_come_back_with_time_and_never_pile_up() {
        let mut starts = Starts { left: f64::from(STARTS_AT_ONCE), at: Duration::ZERO };
        let take_all = |starts: &mut Starts, now| {
            (0..1000).take_while(|_| starts.take(Duration::from_millis(now))).count()
        };
        assert_eq!(take_all(&mut starts, 0), STARTS_AT_ONCE as usize);
        assert_eq!(take_all(&mut starts, 500), STARTS_PER_SECOND as usize / 2);
        assert_eq!(take_all(&mut starts, 3_600_000), STARTS_AT_ONCE as usize);
        // A clock that stands still gives nothing.
        assert_eq!(take_all(&mut starts, 3_600_000), 0);
    }
}
