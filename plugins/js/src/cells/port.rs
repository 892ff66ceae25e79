//! The cell's end of its channel: a socket in a process of its own, queues on a thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};

use bytes::{Buf as _, Bytes, BytesMut};
use fazt_js_engine::protocol::FRAME_BYTES_MAX;
use fazt_js_engine::{Closed, Port, Wait};
use futures_channel::mpsc::UnboundedSender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::stdin;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// Bytes of a frame's length (u32, little endian).
const LENGTH_BYTES: usize = 4;

/// What is queued leaves when it is this much, so that the queue stays small.
const QUEUED_BYTES: usize = 256 * 1024;

/// Frames over the socket that a worker process is born with: its standard input.
pub(crate) struct SocketPort {
    arrived: BytesMut,
    queued: Vec<u8>,
    scratch: Box<[u8]>,
}

impl SocketPort {
    pub(crate) fn new() -> Self {
        Self {
            arrived: BytesMut::new(),
            queued: Vec::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// Reads once; whether anything came.
    fn read(&mut self, flags: RecvFlags) -> Result<bool, Closed> {
        loop {
            match recv(stdin(), &mut *self.scratch, flags) {
                Ok((0, _)) => return Err(Closed),
                Ok((count, _)) => {
                    self.arrived.extend_from_slice(self.scratch.get(..count).unwrap_or_default());
                    return Ok(true);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(_) => return Err(Closed),
            }
        }
    }

    /// The whole frames that arrived.
    fn frames(&mut self) -> Result<Vec<Bytes>, Closed> {
        let mut frames = Vec::new();
        while let Some(length) = self.arrived.first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > FRAME_BYTES_MAX {
                return Err(Closed);
            }
            if self.arrived.len() < LENGTH_BYTES + length {
                break;
            }
            self.arrived.advance(LENGTH_BYTES);
            frames.push(self.arrived.split_to(length).freeze());
        }
        Ok(frames)
    }
}

impl Port for SocketPort {
    fn receive(&mut self, wait: Wait) -> Result<Vec<Bytes>, Closed> {
        loop {
            let frames = self.frames()?;
            if !frames.is_empty() {
                return Ok(frames);
            }
            match wait {
                Wait::Forever => {
                    self.read(RecvFlags::empty())?;
                }
                Wait::No => {
                    if !self.read(RecvFlags::DONTWAIT)? {
                        return Ok(Vec::new());
                    }
                }
                Wait::Until(time) => {
                    let time = Timespec {
                        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                        tv_nsec: time.subsec_nanos().into(),
                    };
                    let mut ready = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
                    // What is left of a frame comes at once after its beginning: the wait starts
                    // anew, and is bounded all the same.
                    match poll(&mut ready, Some(&time)) {
                        Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
                        Ok(_) => {
                            self.read(RecvFlags::DONTWAIT)?;
                        }
                        Err(_) => return Err(Closed),
                    }
                }
            }
        }
    }

    fn send(&mut self, frame: Bytes) {
        self.queued
            .extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.queued.extend_from_slice(&frame);
        if self.queued.len() > QUEUED_BYTES {
            // A channel that is closed says so at the next flush.
            self.flush().unwrap_or_default();
        }
    }

    fn flush(&mut self) -> Result<(), Closed> {
        let mut rest = self.queued.as_slice();
        while !rest.is_empty() {
            match send(stdin(), rest, SendFlags::NOSIGNAL) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Closed),
            }
        }
        self.queued.clear();
        Ok(())
    }
}

/// Frames over queues inside one process.
pub(crate) struct ThreadPort {
    from: Receiver<Bytes>,
    to: UnboundedSender<Vec<Bytes>>,
    queued: Vec<Bytes>,
}

impl ThreadPort {
    pub(crate) fn new(from: Receiver<Bytes>, to: UnboundedSender<Vec<Bytes>>) -> Self {
        Self { from, to, queued: Vec::new() }
    }
}

impl Port for ThreadPort {
    fn receive(&mut self, wait: Wait) -> Result<Vec<Bytes>, Closed> {
        let first = match wait {
            Wait::No => match self.from.try_recv() {
                Ok(frame) => Some(frame),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return Err(Closed),
            },
            Wait::Until(time) => match self.from.recv_timeout(time) {
                Ok(frame) => Some(frame),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(Closed),
            },
            Wait::Forever => Some(self.from.recv().map_err(|_| Closed)?),
        };
        Ok(first.into_iter().chain(self.from.try_iter()).collect())
    }

    fn send(&mut self, frame: Bytes) {
        self.queued.push(frame);
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if self.queued.is_empty() {
            return Ok(());
        }
        self.to.unbounded_send(std::mem::take(&mut self.queued)).map_err(|_| Closed)
    }
}
