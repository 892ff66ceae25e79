//! The node's end of a cell's channel.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use fazt_js_engine::protocol::FRAME_BYTES_MAX;
use fazt_sdk::call::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::workers::{WorkerEnd, WorkerLimits, Workers as _, WorkersApi};
use fazt_sdk::{Error, Result};
use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt as _;
use futures_util::lock::Mutex;

use super::port::ThreadPort;
use crate::NAME;
use crate::settings::{Isolation, Limits};

/// Memory of a worker beyond the engine's heap: the engine itself, and frames.
const ENGINE_BYTES: u64 = 24 << 20;

/// Bytes that may wait on their way into a cell.
const QUEUE_BYTES: u64 = 4 << 20;

/// Processor time after which a cell is replaced when it is idle, and that ends it when it never is.
pub(crate) const LIFE_CPU: Duration = Duration::from_secs(3_600);

/// Stack of a cell's thread beyond what scripts get.
const THREAD_STACK_BYTES: usize = 1 << 20;

/// A channel to a cell.
pub(crate) enum Link {
    Worker { workers: Service<WorkersApi>, number: u64, call: Call },
    Thread { to: mpsc::Sender<Bytes>, from: Mutex<UnboundedReceiver<Vec<Bytes>>> },
}

impl Link {
    /// Starts a cell.
    ///
    /// # Errors
    /// As `Workers::start`.
    pub(crate) async fn start(
        call: &Call,
        isolation: Isolation,
        workers: &Service<WorkersApi>,
        limits: &Limits,
    ) -> Result<Self> {
        match isolation {
            Isolation::Cell => {
                let limits = WorkerLimits {
                    memory_bytes: limits.memory_bytes + ENGINE_BYTES,
                    cpu: LIFE_CPU * 2,
                    frame_bytes: FRAME_BYTES_MAX as u64,
                    queue_bytes: QUEUE_BYTES,
                };
                let number = workers.start(call, NAME, &limits).await?;
                Ok(Self::Worker { workers: workers.clone(), number, call: *call })
            }
            Isolation::Thread => Self::thread(limits),
        }
    }

    fn thread(limits: &Limits) -> Result<Self> {
        let (to, received) = mpsc::channel();
        let (sent, from) = unbounded();
        // The engine blocks: it is not for the host's threads, of which there are few.
        std::thread::Builder::new()
            .name("fazt-js-cell".to_owned())
            .stack_size(limits.stack_bytes as usize + THREAD_STACK_BYTES)
            .spawn(move || fazt_js_engine::run(Box::new(ThreadPort::new(received, sent))))
            .map_err(|error| {
                Error::unavailable(format!("there is no thread for a cell: {error}"))
            })?;
        Ok(Self::Thread { to, from: Mutex::new(from) })
    }

    /// Hands frames over; they leave with others.
    ///
    /// # Errors
    /// `Unavailable` when the cell has ended.
    pub(crate) async fn send(&self, frames: Vec<Bytes>) -> Result<()> {
        match self {
            Self::Worker { workers, number, call } => workers.send(call, *number, &frames).await,
            Self::Thread { to, .. } => frames.into_iter().try_for_each(|frame| {
                to.send(frame).map_err(|_| Error::unavailable("the cell's thread has ended"))
            }),
        }
    }

    /// The frames that arrived; nothing at the end.
    pub(crate) async fn receive(&self) -> Option<Vec<Bytes>> {
        match self {
            Self::Worker { workers, number, call } => workers.receive(call, *number).await.ok(),
            Self::Thread { from, .. } => from.lock().await.next().await,
        }
    }

    /// Ends the cell. A thread ends when it looks at its channel next.
    pub(crate) async fn kill(&self) {
        if let Self::Worker { workers, number, call } = self {
            workers.kill(call, *number).await.unwrap_or_default();
        }
    }

    /// Why it ended; nothing for a thread.
    pub(crate) async fn end(&self) -> Option<WorkerEnd> {
        match self {
            Self::Worker { workers, number, call } => workers.ended(call, *number).await.ok(),
            Self::Thread { .. } => None,
        }
    }

    /// Processor time since its start; nothing for a thread.
    pub(crate) async fn cpu(&self) -> Option<Duration> {
        match self {
            Self::Worker { workers, number, call } => {
                workers.usage(call, *number).await.ok().map(|usage| usage.cpu)
            }
            Self::Thread { .. } => None,
        }
    }
}
