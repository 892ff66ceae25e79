//! One worker, as the node holds it: what waits on its way in, what arrived, how it ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use fazt_sdk::services::workers::{WorkerEnd, WorkerLimits, WorkerUsage};
use fazt_sdk::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::{frames, usage};

/// What is read at once, at least.
const READ_BYTES: usize = 16 * 1024;

/// A buffer that grew past this is not kept.
const KEPT_BYTES: usize = 256 * 1024;

/// A worker.
pub(crate) struct Worker {
    pub(crate) number: u64,
    pub(crate) plugin: Arc<str>,
    pid: u32,
    frame_bytes: u64,
    queue_bytes: u64,
    outbox: Mutex<Vec<u8>>,
    /// Something is in the outbox.
    filled: Notify,
    /// There is room in the outbox again.
    room: Notify,
    inbox: tokio::sync::Mutex<Inbox>,
    kill: Notify,
    was_killed: AtomicBool,
    end: watch::Sender<Option<WorkerEnd>>,
}

struct Inbox {
    /// Nothing once all was read, or nobody will: what has ended is remembered without a descriptor.
    read: Option<OwnedReadHalf>,
    buffer: BytesMut,
}

impl Worker {
    pub(super) fn new(
        number: u64,
        plugin: &str,
        pid: u32,
        limits: &WorkerLimits,
        read: OwnedReadHalf,
    ) -> Self {
        Self {
            number,
            plugin: plugin.into(),
            pid,
            frame_bytes: limits.frame_bytes.min(u64::from(u32::MAX)),
            queue_bytes: limits.queue_bytes,
            outbox: Mutex::default(),
            filled: Notify::new(),
            room: Notify::new(),
            inbox: tokio::sync::Mutex::new(Inbox { read: Some(read), buffer: BytesMut::new() }),
            kill: Notify::new(),
            was_killed: AtomicBool::new(false),
            end: watch::Sender::new(None),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    fn gone(&self) -> Error {
        let why = match *self.end.borrow() {
            None => "closed its channel".to_owned(),
            Some(WorkerEnd::Exited(code)) => format!("left with code {code}"),
            Some(WorkerEnd::Killed) => "was killed".to_owned(),
            Some(WorkerEnd::CpuLimit) => "used all of its processor time".to_owned(),
            Some(WorkerEnd::Forbidden) => "tried what the sandbox forbids".to_owned(),
            Some(WorkerEnd::Signal(signal)) => format!("was ended by signal {signal}"),
        };
        Error::unavailable(format!("worker {} of {} {why}", self.number, self.plugin))
            .with_code("WORKER_ENDED")
    }

    /// Queues frames; waits while the queue is full.
    ///
    /// # Errors
    /// `Unavailable` when it has ended, `TooLarge` for a frame past the bound.
    pub(super) async fn send(&self, frames: &[Bytes]) -> Result<()> {
        if let Some(frame) = frames.iter().find(|frame| frame.len() as u64 > self.frame_bytes) {
            return Err(Error::too_large(format!(
                "a frame of {} bytes is larger than the {} that a worker of {} takes",
                frame.len(),
                self.frame_bytes,
                self.plugin
            )));
        }
        for frame in frames {
            self.send_one(frame).await?;
        }
        Ok(())
    }

    async fn send_one(&self, frame: &Bytes) -> Result<()> {
        loop {
            let room = self.room.notified();
            if self.has_ended() {
                return Err(self.gone());
            }
            {
                let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
                let is_empty = outbox.is_empty();
                if is_empty || (outbox.len() + frame.len()) as u64 <= self.queue_bytes {
                    frames::push(&mut outbox, frame);
                    drop(outbox);
                    if is_empty {
                        self.filled.notify_one();
                    }
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// The frames that arrived; waits for one.
    ///
    /// # Errors
    /// `Unavailable` when it has ended and nothing is left.
    pub(super) async fn receive(&self) -> Result<Vec<Bytes>> {
        let mut inbox = self.inbox.lock().await;
        let Inbox { read, buffer } = &mut *inbox;
        loop {
            let frames =
                frames::take(buffer, self.frame_bytes).map_err(|frames::TooLong(bytes)| {
                    self.kill();
                    Error::unavailable(format!(
                        "worker {} of {} announced a frame of {bytes} bytes and was ended",
                        self.number, self.plugin
                    ))
                })?;
            if !frames.is_empty() {
                return Ok(frames);
            }
            buffer.reserve(READ_BYTES);
            // Whoever drops this future between two reads loses nothing: the buffer stays.
            let more = match read {
                Some(read) => read.read_buf(buffer).await,
                None => Ok(0),
            };
            if !matches!(more, Ok(1..)) {
                *read = None;
                // Closing the channel is the end of a worker; how it ended is known in a moment.
                self.kill.notify_one();
                self.wait().await;
                return Err(self.gone());
            }
        }
    }

    /// Asks for its end.
    pub(crate) fn kill(&self) {
        self.was_killed.store(true, Ordering::Release);
        self.kill.notify_one();
    }

    /// Writes what is queued, until somebody asks for the end or the channel is closed.
    pub(super) async fn wants_end(&self, mut write: OwnedWriteHalf) {
        tokio::select! {
            () = self.kill.notified() => {}
            () = self.write_all(&mut write) => {}
        }
    }

    async fn write_all(&self, write: &mut OwnedWriteHalf) {
        let mut batch = Vec::new();
        loop {
            self.filled.notified().await;
            // Whoever is about to send in this moment goes along: one write for all of them.
            tokio::task::yield_now().await;
            loop {
                batch.clear();
                if batch.capacity() > KEPT_BYTES {
                    batch = Vec::new();
                }
                std::mem::swap(
                    &mut batch,
                    &mut *self.outbox.lock().unwrap_or_else(PoisonError::into_inner),
                );
                if batch.is_empty() {
                    break;
                }
                self.room.notify_waiters();
                if write.write_all(&batch).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Notes how it ended, and tells everybody who waits.
    pub(super) fn ended(&self, status: Option<ExitStatus>) {
        // Whoever is asked to go may be faster than the signal: the end of its channel says the same.
        let was_killed = self.was_killed.load(Ordering::Acquire);
        let end = match status.map(|status| (status.code(), status.signal())) {
            Some((Some(0), _)) if was_killed => WorkerEnd::Killed,
            Some((Some(code), _)) => WorkerEnd::Exited(code),
            Some((None, Some(signal))) => self.end_by(signal),
            Some((None, None)) | None => WorkerEnd::Killed,
        };
        self.end.send_replace(Some(end));
        if end == WorkerEnd::Killed
            && let Ok(mut inbox) = self.inbox.try_lock()
        {
            inbox.read = None;
        }
        self.room.notify_waiters();
    }

    fn end_by(&self, signal: i32) -> WorkerEnd {
        use rustix::process::Signal;
        if signal == Signal::KILL.as_raw() && self.was_killed.load(Ordering::Acquire) {
            WorkerEnd::Killed
        } else if signal == Signal::XCPU.as_raw() {
            WorkerEnd::CpuLimit
        } else if signal == Signal::SYS.as_raw() {
            WorkerEnd::Forbidden
        } else {
            WorkerEnd::Signal(signal)
        }
    }

    /// Waits for its end.
    pub(super) async fn wait(&self) -> WorkerEnd {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(WorkerEnd::Killed)
    }

    /// What it uses.
    ///
    /// # Errors
    /// `Unavailable` when it has ended, or where the system does not say.
    pub(crate) fn usage(&self) -> Result<WorkerUsage> {
        if self.has_ended() {
            return Err(self.gone());
        }
        usage::of(self.pid)
    }
}
