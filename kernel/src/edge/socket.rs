//! WebSockets (RFC 6455): framing, pings and limits are here, the plugin sees messages.
//!
//! One task moves messages both ways, runs the plugin's handler and answers control frames. It
//! reads only while the plugin keeps up, so a fast client is slowed down by TCP; towards a slow
//! client at most `socket_buffer_bytes` wait, then it is closed with 1013.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use abi_stable::std_types::RResult;
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::error::RawError;
use fazt_abi::http::{RawMessage, RawSocket, RawSocketHandler};
use fazt_sdk::call::RequestId;
use fazt_sdk::{Error, ErrorKind};
use futures_util::{Sink as _, Stream as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::connection::{Link, Order};
use super::gateway::Gateway;
use super::limits::Limits;
use super::mailbox::{Mailbox, Sending};
use super::server::Shared;

/// Buffers of an idle WebSocket, per direction.
const BUFFER_BYTES: usize = 8 << 10;
/// Time that both sides get to end a connection in good order.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// Pings without any answer after which the peer counts as dead.
const PINGS_MISSED: u32 = 2;
/// Clients come back within this many milliseconds after a restart, each at its own moment.
const RETRY_MS: u32 = 5_000;

/// Codes of RFC 6455 §7.4.1 and the IANA registry.
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UTF8: u16 = 1007;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const RESTART: u16 = 1012;
    pub(super) const TRY_LATER: u16 = 1013;
}

/// A connection that becomes a WebSocket once its answer is sent.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) handler: RawSocketHandler,
    pub(super) request_id: RequestId,
}

/// Serves a WebSocket until both sides are done with it.
pub(super) async fn serve<G, S>(shared: &Shared<G>, link: &Arc<Link>, upgrade: Upgrade)
where
    G: Gateway,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(upgraded) = upgrade.on_upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else { return };
    let limits = &shared.limits;
    let (stream, early) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let stream =
        WebSocketStream::from_partially_read(stream, early, Role::Server, Some(config(limits)))
            .await;
    let mailbox = Arc::new(Mailbox::new(
        bytes(limits.socket_message_bytes),
        bytes(limits.socket_buffer_bytes),
    ));
    let period = Duration::from_millis(limits.socket_ping_ms);
    let mut pings = interval_at(Instant::now() + period, period);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mover = Mover {
        link: Arc::clone(link),
        running: Some(upgrade.handler.run(RawSocket::new(Arc::clone(&mailbox)))),
        stream,
        mailbox,
        flushing: Vec::new(),
        pings,
        missed: 0,
        ping_due: false,
        closing: None,
        reads: true,
        shut: false,
        failure: None,
    };
    std::future::poll_fn(|context| mover.poll(context)).await;
    mover.mailbox.close(true);
    mover.mailbox.end(None);
    if let Some(error) = mover.failure.take() {
        shared.gateway.report(upgrade.request_id, &error);
    }
}

fn bytes(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The library's defaults allow 64 MiB a message and a write buffer without end.
fn config(limits: &Limits) -> WebSocketConfig {
    let message = bytes(limits.socket_message_bytes);
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(message.saturating_add(8 * BUFFER_BYTES))
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

/// How far the end of a connection has come.
struct Closing {
    /// Our close frame, until it is written.
    frame: Option<CloseFrame>,
    /// When patience ends.
    until: Pin<Box<Sleep>>,
}

/// Moves messages between one client and one plugin.
struct Mover<S> {
    link: Arc<Link>,
    /// The plugin's handler, until it is done.
    running: Option<FfiFuture<RResult<(), RawError>>>,
    stream: WebSocketStream<S>,
    mailbox: Arc<Mailbox>,
    /// Written to the stream's buffer, not yet to the socket.
    flushing: Vec<Sending>,
    pings: Interval,
    missed: u32,
    ping_due: bool,
    closing: Option<Closing>,
    /// Whether the client may still send something that can be understood.
    reads: bool,
    /// Whether our side of the socket is closed.
    shut: bool,
    failure: Option<Error>,
}

/// The connection is over; there is nobody left to talk to.
struct Gone;

impl<S: AsyncRead + AsyncWrite + Unpin> Mover<S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.link.waker.register(context.waker());
        self.mailbox.mover.register(context.waker());
        match self.link.order() {
            Order::Serve => {}
            Order::Drain if self.closing.is_some() => {}
            Order::Drain => {
                let retry_ms = getrandom::u32().unwrap_or_default() % RETRY_MS;
                self.begin_close(code::RESTART, &format!("restart; retry_ms={retry_ms}"), context);
            }
            Order::Close => return Poll::Ready(()),
        }
        let result = self.poll_handler(context);
        // What the handler asked for before it ended comes first.
        self.obey_plugin(context);
        if let Some(result) = result {
            self.handler_ended(result, context);
        }
        if self.poll_timers(context).is_err()
            || self.poll_read(context).is_err()
            || self.poll_write(context).is_err()
        {
            return Poll::Ready(());
        }
        self.poll_end(context)
    }

    fn poll_handler(&mut self, context: &mut Context<'_>) -> Option<RResult<(), RawError>> {
        let Poll::Ready(result) = Pin::new(self.running.as_mut()?).poll(context) else {
            return None;
        };
        self.running = None;
        Some(result)
    }

    fn handler_ended(&mut self, result: RResult<(), RawError>, context: &mut Context<'_>) {
        let RResult::RErr(error) = result else {
            return self.begin_close(code::NORMAL, "", context);
        };
        let error = Error::from(error);
        // An error on a connection that ends anyway is the end told again.
        if self.closing.is_none() || error.kind() == ErrorKind::Internal {
            self.failure = Some(error);
        }
        self.begin_close(code::INTERNAL, "", context);
    }

    /// Does what the plugin's calls ask for.
    fn obey_plugin(&mut self, context: &mut Context<'_>) {
        if self.mailbox.has_overflowed() {
            self.mailbox.close(true);
            self.begin_close(code::TRY_LATER, "too slow", context);
        }
        if let Some(frame) = self.mailbox.take_close() {
            self.begin_close_with(Some(frame), context);
        }
    }

    fn begin_close(&mut self, code: u16, reason: &str, context: &mut Context<'_>) {
        self.begin_close_with(
            Some(CloseFrame { code: code.into(), reason: reason.into() }),
            context,
        );
    }

    /// Starts to end the connection; only the first reason counts.
    fn begin_close_with(&mut self, frame: Option<CloseFrame>, context: &mut Context<'_>) {
        if self.closing.is_some() {
            return;
        }
        let mut until = Box::pin(sleep(CLOSE_TIME));
        // Registers the timer; it cannot be over yet.
        let _ = until.as_mut().poll(context);
        self.closing = Some(Closing { frame, until });
        self.mailbox.close(false);
        self.mailbox.end(None);
    }

    fn poll_timers(&mut self, context: &mut Context<'_>) -> Result<(), Gone> {
        if let Some(closing) = &mut self.closing
            && closing.until.as_mut().poll(context).is_ready()
        {
            // Whatever still waits to be sent would keep the socket alive in the kernel.
            self.link.reset_at_end();
            return Err(Gone);
        }
        while self.closing.is_none() && self.pings.poll_tick(context).is_ready() {
            // While the plugin is behind nothing is read, so silence proves nothing.
            if !self.mailbox.has_room() {
                continue;
            }
            if self.missed >= PINGS_MISSED {
                self.link.reset_at_end();
                return Err(Gone);
            }
            self.missed += 1;
            self.ping_due = true;
        }
        Ok(())
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<(), Gone> {
        while self.reads && (self.closing.is_some() || self.mailbox.has_room()) {
            let Poll::Ready(next) = Pin::new(&mut self.stream).poll_next(context) else { break };
            self.missed = 0;
            match next {
                Some(Ok(message)) => self.take(message, context),
                Some(Err(error)) => {
                    self.reads = false;
                    let (code, error) = diagnose(&error).ok_or(Gone)?;
                    self.mailbox.end(Some(error));
                    self.begin_close(code, "", context);
                }
                None => {
                    self.reads = false;
                    self.begin_close_with(None, context);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message, context: &mut Context<'_>) {
        let message = match message {
            Message::Text(text) => RawMessage::Text(Bytes::from(text).into()),
            Message::Binary(bytes) => RawMessage::Binary(bytes.into()),
            // The library has queued the answer already.
            Message::Close(_) => return self.begin_close_with(None, context),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return,
        };
        if self.closing.is_none() {
            self.mailbox.deliver(message);
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), Gone> {
        loop {
            match Pin::new(&mut self.stream).poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(Gone),
                Poll::Pending => return Ok(()),
            }
            if std::mem::take(&mut self.ping_due) {
                self.send(Message::Ping(Bytes::new()))?;
            } else if let Some(mut sending) = self.mailbox.next_outbound() {
                let message = std::mem::replace(&mut sending.message, Message::Ping(Bytes::new()));
                self.flushing.push(sending);
                self.send(message)?;
            } else if let Some(frame) =
                self.closing.as_mut().and_then(|closing| closing.frame.take())
            {
                self.send(Message::Close(Some(frame)))?;
            } else {
                break;
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => {
                self.flushing.drain(..).for_each(|sending| self.mailbox.sent(sending));
                Ok(())
            }
            Poll::Ready(Err(_)) => Err(Gone),
            Poll::Pending => Ok(()),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Gone> {
        match Pin::new(&mut self.stream).start_send(message) {
            Ok(()) => Ok(()),
            // The client closed first, while this was on its way.
            Err(SocketError::Protocol(_) | SocketError::ConnectionClosed) => Ok(()),
            Err(_) => Err(Gone),
        }
    }

    /// Once nothing more is read and our close frame is out: closes our side, waits for the plugin.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_said = self.closing.as_ref().is_some_and(|closing| closing.frame.is_none());
        if !is_said || self.reads || !self.flushing.is_empty() {
            return Poll::Pending;
        }
        if !self.shut {
            match Pin::new(self.stream.get_mut()).poll_shutdown(context) {
                Poll::Ready(_) => self.shut = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.running.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// What a broken rule is called on the wire and to the plugin; nothing when the client just left.
fn diagnose(error: &SocketError) -> Option<(u16, Error)> {
    match error {
        SocketError::Capacity(CapacityError::MessageTooLong { max_size, .. }) => Some((
            code::TOO_BIG,
            Error::too_large(format!("a WebSocket message is larger than {max_size} bytes")),
        )),
        SocketError::Utf8(_) => {
            Some((code::UTF8, Error::invalid("a text message of the client is not UTF-8")))
        }
        SocketError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        SocketError::Protocol(broken) => {
            Some((code::PROTOCOL, Error::invalid(format!("the client broke RFC 6455: {broken}"))))
        }
        _ => None,
    }
}
