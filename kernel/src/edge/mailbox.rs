//! What lies between a plugin and its WebSocket: two bounded queues of whole messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use abi_stable::std_types::{ROption, RResult};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::http::{RawMessage, Socket};
use fazt_sdk::{Error, Result};
use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

/// Most messages that wait for the plugin; reading stops there, and TCP slows the client down.
const INBOUND_MESSAGES: usize = 64;

/// The two queues of one WebSocket.
#[derive(Debug)]
pub(super) struct Mailbox {
    message_bytes: usize,
    buffer_bytes: usize,
    state: Mutex<State>,
    /// The task that moves messages.
    pub(super) mover: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    inbound: VecDeque<RawMessage>,
    inbound_bytes: usize,
    receivers: Vec<Waker>,
    /// Nothing more comes in; with the reason when that is an error.
    ended: bool,
    reason: Option<Error>,
    outbound: VecDeque<Sending>,
    /// Bytes that were sent by the plugin and did not reach the socket yet.
    outbound_bytes: usize,
    overflowed: bool,
    close: Option<CloseFrame>,
    /// Nothing more goes out.
    closed: bool,
}

/// One message on its way out.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) message: Message,
    pub(super) bytes: usize,
    done: oneshot::Sender<()>,
}

impl Mailbox {
    pub(super) fn new(message_bytes: usize, buffer_bytes: usize) -> Self {
        Self { message_bytes, buffer_bytes, state: Mutex::default(), mover: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another message may be read from the client.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state();
        state.inbound.len() < INBOUND_MESSAGES && state.inbound_bytes < self.message_bytes
    }

    /// A message has come.
    pub(super) fn deliver(&self, message: RawMessage) {
        let mut state = self.state();
        state.inbound_bytes += len(&message);
        state.inbound.push_back(message);
        wake(state);
    }

    /// Nothing more comes.
    pub(super) fn end(&self, reason: Option<Error>) {
        let mut state = self.state();
        if !state.ended {
            state.ended = true;
            state.reason = reason;
        }
        wake(state);
    }

    /// The next message to send.
    pub(super) fn next_outbound(&self) -> Option<Sending> {
        self.state().outbound.pop_front()
    }

    /// A message has reached the socket.
    pub(super) fn sent(&self, sending: Sending) {
        self.state().outbound_bytes -= sending.bytes;
        // Whoever sent it may have stopped waiting.
        let _ = sending.done.send(());
    }

    /// Whether the plugin sent more than the client takes.
    pub(super) fn has_overflowed(&self) -> bool {
        self.state().overflowed
    }

    /// How the plugin wants to close, once.
    pub(super) fn take_close(&self) -> Option<CloseFrame> {
        self.state().close.take()
    }

    /// Nothing more goes out; with `drops_queue`, not even what waits.
    pub(super) fn close(&self, drops_queue: bool) {
        let mut state = self.state();
        state.closed = true;
        let dropped =
            if drops_queue { std::mem::take(&mut state.outbound) } else { VecDeque::new() };
        drop(state);
        drop(dropped);
    }

    fn poll_receive(&self, context: &mut Context<'_>) -> Poll<Option<Result<RawMessage>>> {
        let mut state = self.state();
        if let Some(message) = state.inbound.pop_front() {
            state.inbound_bytes -= len(&message);
            drop(state);
            self.mover.wake();
            return Poll::Ready(Some(Ok(message)));
        }
        if state.ended {
            return Poll::Ready(state.reason.take().map(Err));
        }
        if !state.receivers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.receivers.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn queue(&self, message: RawMessage) -> Result<oneshot::Receiver<()>> {
        let bytes = len(&message);
        if bytes > self.message_bytes {
            return Err(Error::too_large(format!(
                "a WebSocket message may have {} bytes, this one has {bytes}",
                self.message_bytes
            )));
        }
        let message = match message {
            RawMessage::Binary(bytes) => Message::Binary(bytes.into()),
            RawMessage::Text(bytes) => Message::Text(
                Utf8Bytes::try_from(Bytes::from(bytes))
                    .map_err(|_| Error::invalid("a text message must be UTF-8"))?,
            ),
        };
        let mut state = self.state();
        if state.closed {
            return Err(gone());
        }
        if state.outbound_bytes + bytes > self.buffer_bytes {
            state.overflowed = true;
            state.closed = true;
            drop(state);
            self.mover.wake();
            return Err(Error::unavailable("the client takes its messages too slowly")
                .with_code("SOCKET_SLOW"));
        }
        let (done, sent) = oneshot::channel();
        state.outbound_bytes += bytes;
        state.outbound.push_back(Sending { message, bytes, done });
        drop(state);
        self.mover.wake();
        Ok(sent)
    }

    fn request_close(&self, code: u32, reason: &[u8]) -> Result<()> {
        // RFC 6455 §7.4: the others are reserved, or never sent.
        let code = u16::try_from(code)
            .ok()
            .filter(|code| matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999))
            .ok_or_else(|| {
                Error::invalid(format!("{code} is no code to close a WebSocket with"))
            })?;
        let reason = std::str::from_utf8(reason)
            .ok()
            .filter(|reason| reason.len() <= 123)
            .ok_or_else(|| Error::invalid("the reason must be at most 123 bytes of UTF-8"))?;
        let mut state = self.state();
        if state.closed {
            return Err(gone());
        }
        state.closed = true;
        state.close = Some(CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) });
        drop(state);
        self.mover.wake();
        Ok(())
    }
}

fn gone() -> Error {
    Error::unavailable("the WebSocket is closed").with_code("SOCKET_CLOSED")
}

fn len(message: &RawMessage) -> usize {
    match message {
        RawMessage::Text(bytes) | RawMessage::Binary(bytes) => bytes.as_slice().len(),
    }
}

/// Wakes who waits for messages, without holding the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let receivers = std::mem::take(&mut state.receivers);
    drop(state);
    receivers.into_iter().for_each(Waker::wake);
}

impl Socket for Mailbox {
    fn receive(self: &Arc<Self>) -> FfiFuture<ROption<RResult<RawMessage, RawError>>> {
        let this = Arc::clone(self);
        guarded(async move {
            match std::future::poll_fn(|context| this.poll_receive(context)).await {
                Some(Ok(message)) => ROption::RSome(RResult::ROk(message)),
                Some(Err(error)) => ROption::RSome(RResult::RErr(error.into())),
                None => ROption::RNone,
            }
        })
    }

    fn send(self: &Arc<Self>, message: RawMessage) -> FfiFuture<RResult<(), RawError>> {
        let queued = self.queue(message);
        guarded(async move {
            let sent = match queued {
                Ok(sent) => sent.await.map_err(|_| gone()),
                Err(error) => Err(error),
            };
            sent.map_err(RawError::from).into()
        })
    }

    fn close(self: &Arc<Self>, code: u32, reason: RawBytes) -> FfiFuture<RResult<(), RawError>> {
        let result = self.request_close(code, reason.as_slice()).map_err(RawError::from).into();
        FfiFuture::new(std::future::ready(result))
    }
}
