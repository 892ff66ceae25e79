//! Work that would hold up requests: on threads of its own, a few at a time and behind requests when
//! the processor is short, or on one thread that gets the processor when nobody else wants it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use fazt_sdk::{Error, Result};
use tokio::sync::{Semaphore, oneshot};

/// The most pieces of idle work that wait.
const IDLE_QUEUE_MAX: usize = 64;

/// The most pieces of blocking work that run at a time, however many processors there are.
const BLOCKING_MAX: usize = 4;

/// How far blocking work steps back (nice(2)): requests get nine tenths of a processor that both want.
const BLOCKING_NICE: i32 = 10;

/// How far idle work steps back: as far as there is.
const IDLE_NICE: i32 = 19;

type Work = Box<dyn FnOnce() + Send>;

/// Work for the idle thread, and whom it tells that it is done.
type Piece = (Work, oneshot::Sender<()>);

/// Runs work aside.
#[derive(Debug)]
pub(crate) struct Aside {
    blocking: Arc<Semaphore>,
    /// The queue of the idle thread, which ends with it.
    idle: Mutex<Option<SyncSender<Piece>>>,
}

impl Aside {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let blocking = Arc::new(Semaphore::new(processors.min(BLOCKING_MAX)));
        Self { blocking, idle: Mutex::new(None) }
    }

    /// Runs `work` on a thread that answers no requests, when it is its turn.
    ///
    /// # Errors
    /// `Unavailable` when the node is stopping.
    pub(crate) fn blocking<W>(&self, work: W) -> impl Future<Output = Result<()>> + Send + use<W>
    where
        W: FnOnce() + Send + 'static,
    {
        let turns = Arc::clone(&self.blocking);
        async move {
            let turn = turns.acquire_owned().await.map_err(|_| stopping())?;
            let (done, waiting) = oneshot::channel();
            // A thread for each piece, because only the privileged may raise a priority again.
            let run = move || {
                step_back(BLOCKING_NICE);
                // A panic drops the sender of the piece's own result: that is how its caller learns.
                drop(catch_unwind(AssertUnwindSafe(work)));
                drop(turn);
                // Whoever left meanwhile does not want to know.
                let _ = done.send(());
            };
            std::thread::Builder::new()
                .name("fazt-aside".to_owned())
                .spawn(run)
                .map_err(|error| Error::busy(format!("start a thread for long work: {error}")))?;
            waiting.await.map_err(|_| stopping())
        }
    }

    /// Runs `work` on the idle thread, after what waits there.
    ///
    /// # Errors
    /// `Busy` when too much waits; `Unavailable` when the node is stopping.
    pub(crate) fn idle<W>(&self, work: W) -> impl Future<Output = Result<()>> + Send + use<W>
    where
        W: FnOnce() + Send + 'static,
    {
        let (done, waiting) = oneshot::channel();
        let queued = self.queue().and_then(|queue| {
            queue.try_send((Box::new(work) as Work, done)).map_err(|error| match error {
                TrySendError::Full(_) => Error::busy(format!(
                    "{IDLE_QUEUE_MAX} pieces of work wait for an idle processor; try again later"
                )),
                TrySendError::Disconnected(_) => stopping(),
            })
        });
        async move {
            queued?;
            waiting.await.map_err(|_| stopping())
        }
    }

    fn queue(&self) -> Result<SyncSender<Piece>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*idle {
            return Ok(queue.clone());
        }
        let (queue, work) = sync_channel::<Piece>(IDLE_QUEUE_MAX);
        let run = move || {
            step_back(IDLE_NICE);
            while let Ok((work, done)) = work.recv() {
                // Nobody waits any more: the caller was dropped, or its plugin stopped.
                if done.is_closed() {
                    continue;
                }
                // The panic is the caller's to report: it finds no result.
                drop(catch_unwind(AssertUnwindSafe(work)));
                // Whoever left meanwhile does not want to know.
                let _ = done.send(());
            }
        };
        std::thread::Builder::new()
            .name("fazt-idle".to_owned())
            .spawn(run)
            .map_err(|error| Error::internal(format!("start the idle thread: {error}")))?;
        *idle = Some(queue.clone());
        Ok(queue)
    }
}

/// Gives this thread a lower priority. On Linux priorities are those of threads; elsewhere they are
/// those of whole processes, and the system is left to be fair.
fn step_back(nice: i32) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, nice);
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

fn stopping() -> Error {
    Error::unavailable("the node is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_aside_and_a_panic_ends_that_piece_only() {
        let aside = Aside::new();
        let (told, heard) = std::sync::mpsc::channel();
        let panics = aside.idle(|| panic!("in a piece of work"));
        let after =
            aside.idle(move || drop(told.send(std::thread::current().name().map(str::to_owned))));
        panics.await.unwrap();
        after.await.unwrap();
        assert_eq!(heard.recv().unwrap().as_deref(), Some("fazt-idle"));
        let (told, heard) = std::sync::mpsc::channel();
        aside.blocking(move || told.send(7).unwrap()).await.unwrap();
        assert_eq!(heard.recv().unwrap(), 7);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_what_nobody_waits_for_is_left_out() {
        let aside = Aside::new();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (began, begun) = std::sync::mpsc::channel();
        let first = aside.idle(move || {
            began.send(()).unwrap();
            gone.recv().unwrap_err();
        });
        begun.recv().unwrap();
        let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let mut waiting = Vec::new();
        for _ in 0..IDLE_QUEUE_MAX {
            let count = Arc::clone(&count);
            waiting.push(aside.idle(move || {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }));
        }
        assert_eq!(aside.idle(|| ()).await.unwrap_err().code(), "BUSY");
        drop(waiting.split_off(10));
        drop(go);
        first.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 10);
    }
}
