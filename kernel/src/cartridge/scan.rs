//! Longer reads on threads of their own.
//!
//! Two threads, a bounded queue, five seconds each: enough for a list or an export page, and a bound
//! on how long the log is kept from shrinking.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    access::Tables,
    error::{CartridgeError, TxError},
    open::{self, Purpose},
    owner::Owner,
    reader::{Reader, snapshot},
    statement::Session,
};
use crate::clock::Clock;

/// What a caller wants read. Runs at most once.
pub type ScanClosure = Box<dyn FnOnce(&Reader<'_>) -> Result<(), TxError> + Send>;

/// The threads and what waits for them.
pub(super) struct Scans {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    path: PathBuf,
    tables: Arc<Tables>,
    clock: Arc<dyn Clock>,
    limit: Duration,
    queue_max: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    scans: VecDeque<Scan>,
    closed: bool,
}

struct Scan {
    owner: Owner,
    closure: ScanClosure,
    answer: oneshot::Sender<Result<(), CartridgeError>>,
}

impl Scans {
    pub(super) fn start(
        path: PathBuf,
        tables: Arc<Tables>,
        clock: Arc<dyn Clock>,
        limit: Duration,
        queue_max: usize,
    ) -> Result<Self, CartridgeError> {
        let inner = Arc::new(Inner {
            path,
            tables,
            clock,
            limit,
            queue_max,
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        let mut threads = Vec::new();
        for i in 0..SCAN_THREADS {
            let inner = Arc::clone(&inner);
            let thread = std::thread::Builder::new()
                .name(format!("fazt-scan-{i}"))
                .spawn(move || inner.work())
                .map_err(|e| CartridgeError::Io(format!("start a thread for scans: {e}")))?;
            threads.push(thread);
        }
        Ok(Self { inner, threads: Mutex::new(threads) })
    }

    pub(super) fn push(
        &self,
        owner: Owner,
        closure: ScanClosure,
    ) -> Result<oneshot::Receiver<Result<(), CartridgeError>>, CartridgeError> {
        let mut waiting = self.inner.lock();
        if waiting.closed {
            return Err(CartridgeError::Closed);
        }
        let limit = self.inner.queue_max;
        if waiting.scans.len() >= limit {
            waiting.scans.retain(|scan| !scan.answer.is_closed());
        }
        if waiting.scans.len() >= limit {
            return Err(CartridgeError::Busy { bound: "scan queue, in scans", limit });
        }
        let (answer, receiver) = oneshot::channel();
        waiting.scans.push_back(Scan { owner, closure, answer });
        drop(waiting);
        self.inner.arrived.notify_one();
        Ok(receiver)
    }

    /// Refuses what waits, lets what runs finish, and ends the threads.
    pub(super) fn close(&self) {
        let mut waiting = self.inner.lock();
        waiting.closed = true;
        let scans = std::mem::take(&mut waiting.scans);
        drop(waiting);
        for scan in scans {
            drop(scan.answer.send(Err(CartridgeError::Closed)));
        }
        self.inner.arrived.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            drop(thread.join());
        }
    }
}

impl Inner {
    fn work(&self) {
        let mut session: Option<Session> = None;
        while let Some(scan) = self.next() {
            if scan.answer.is_closed() {
                continue;
            }
            let Scan { owner, closure, answer } = scan;
            let run = AssertUnwindSafe(|| self.run(&mut session, &owner, closure));
            let result = catch_unwind(run).unwrap_or(Err(CartridgeError::Panicked));
            drop(answer.send(result));
        }
    }

    fn run(
        &self,
        session: &mut Option<Session>,
        owner: &Owner,
        closure: ScanClosure,
    ) -> Result<(), CartridgeError> {
        let session = match session {
            Some(session) => session,
            empty => {
                empty.insert(open::open(&self.path, Purpose::Read, &self.tables, &self.clock)?)
            }
        };
        let mut closure = Some(closure);
        snapshot(session, owner, self.limit, &mut |reader| match closure.take() {
            Some(closure) => closure(reader),
            None => Ok(()),
        })
    }

    fn next(&self) -> Option<Scan> {
        let mut waiting = self.lock();
        loop {
            if let Some(scan) = waiting.scans.pop_front() {
                return Some(scan);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads for scans of one cartridge.
const SCAN_THREADS: usize = 2;
