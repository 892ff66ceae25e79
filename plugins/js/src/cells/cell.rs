//! One cell, as the node holds it: who is inside, what they call, until when, and its death.
//!
//! The engine keeps the limits itself; the node steps in when it does not, because one native call of
//! the engine can run for minutes without looking up. Then the process goes, and whoever was inside is
//! told: the one that it was busy with that it is to blame, the others that they may try again.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fazt_js_engine::protocol::{
    CallFailure, FromCell, Level, NO_REQUEST, Problem, Role, Style, ToCell,
};
use fazt_sdk::call::Call;
use fazt_sdk::host::Host;
use fazt_sdk::service::Service;
use fazt_sdk::services::bindings::BindingList;
use fazt_sdk::services::{Bindings as _, BindingsApi};
use fazt_sdk::{Error, Result};
use futures_channel::{mpsc, oneshot};
use futures_util::future::FutureExt as _;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, select_biased};

use super::link::{LIFE_CPU, Link};
use super::meter::Meters;
use super::reply::{BrokenOff, Failure, Reply};
use crate::code::Code;
use crate::log::{Line, LogSink};
use crate::settings::Limits;

/// How long after a limit the node still waits for the engine to say so itself.
const GRACE: Duration = Duration::from_millis(100);

/// How often a cell is looked at while somebody is inside.
const WATCH_EVERY: Duration = Duration::from_millis(20);

/// Silence after which another cell is rather asked, if there is or may be one.
const HESITATION: Duration = Duration::from_millis(30);

/// Silence after which the node asks how much processor time a cell takes.
const SILENCE: Duration = Duration::from_millis(100);

/// Requests to classic scripts that one cell has before it. They run one after another; those that
/// come together share the way there and back, which costs more than a short script.
const CLASSIC_QUEUE: usize = 16;

/// What a cell needs of the node.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) host: Host,
    pub(crate) bindings: Service<BindingsApi>,
    pub(crate) log: Arc<LogSink>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) meters: Arc<Meters>,
}

/// A cell.
pub(crate) struct Cell {
    pub(crate) code: Arc<Code>,
    pub(crate) link: Link,
    around: Surroundings,
    /// What the cell's bindings are from.
    offers: Arc<Offers>,
    state: Mutex<State>,
    nudge: mpsc::UnboundedSender<()>,
}

#[derive(Default)]
struct State {
    flights: HashMap<u64, Flight>,
    /// By entry; empty until the cell said so.
    styles: Vec<Style>,
    ended: bool,
    /// Takes nobody in any more.
    retiring: bool,
    /// The driver sleeps longer than usual.
    is_idle: bool,
    idle_since: Duration,
    heard: Duration,
    /// The request that the cell was given something for last.
    touched: u64,
    /// Processor time when the cell had fallen silent, and since when it was silent then.
    silent: Option<(Duration, Duration)>,
    cancelled: Vec<u64>,
}

/// The functions that a cell was told of, in the order of its numbers.
pub(crate) struct Offers {
    generation: u64,
    names: Vec<String>,
    /// Whether the plugins of the node are others by now.
    is_old: AtomicBool,
}

impl Offers {
    pub(crate) fn new(list: &BindingList) -> Self {
        let names = list.bindings.iter().map(|binding| binding.name.clone()).collect();
        Self { generation: list.generation, names, is_old: AtomicBool::new(false) }
    }

    /// Calls the function of that number, also when it has another one by now: plugins come and go
    /// while a job runs.
    async fn call(
        &self,
        bindings: &Service<BindingsApi>,
        call: &Call,
        number: u16,
        arguments: Bytes,
    ) -> Result<Bytes> {
        let mut generation = self.generation;
        let mut at = u32::from(number);
        for _ in 0..LOOKS_MAX {
            let result = bindings.call(call, generation, at, arguments.clone()).await;
            if !matches!(&result, Err(error) if error.code() == "BINDINGS_CHANGED") {
                return result;
            }
            self.is_old.store(true, Ordering::Relaxed);
            let list = bindings.list(call).await?;
            let name = self.names.get(usize::from(number)).map_or("", String::as_str);
            let found = (0..).zip(&list.bindings).find(|(_, binding)| binding.name == name);
            let Some((now_at, _)) = found else {
                return Err(Error::unavailable(format!(
                    "fazt.{name} is not there any more: no running plugin offers it"
                ))
                .with_code("NO_BINDING"));
            };
            (generation, at) = (list.generation, now_at);
        }
        Err(Error::unavailable("the plugins of this node change all the time; try again"))
    }
}

/// How often a function is looked for when the plugins change meanwhile.
const LOOKS_MAX: u32 = 5;

/// A request inside.
struct Flight {
    call: Call,
    reply: Option<oneshot::Sender<Reply>>,
    body: Option<mpsc::UnboundedSender<Result<Bytes, BrokenOff>>>,
    since: Duration,
    calls: u32,
}

/// What a watch came to.
enum Verdict {
    Fine,
    /// The processor time has to be asked for.
    Ask,
    Kill,
}

type Calling = Pin<Box<dyn Future<Output = (u64, u64, Result<Bytes>)> + Send>>;

impl Cell {
    pub(crate) fn new(
        code: Arc<Code>,
        link: Link,
        around: Surroundings,
        offers: Offers,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (nudge, nudged) = mpsc::unbounded();
        let now = around.host.clock().monotonic();
        let state = State { idle_since: now, heard: now, ..State::default() };
        let offers = Arc::new(offers);
        let cell = Self { code, link, around, offers, state: Mutex::new(state), nudge };
        (Arc::new(cell), nudged)
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> Duration {
        self.around.host.clock().monotonic()
    }

    /// How many more requests for `entry` it takes.
    pub(crate) fn room(&self, entry: u16) -> usize {
        self.state(|state| room(state, &self.code, entry, &self.around.limits))
    }

    /// How `entry` is run, once the cell said so.
    pub(crate) fn style(&self, entry: u16) -> Option<Style> {
        self.state(|state| state.styles.get(usize::from(entry)).copied())
    }

    /// Whether nobody is inside.
    pub(crate) fn is_empty(&self) -> bool {
        self.state(|state| state.flights.is_empty())
    }

    /// Whether it has said nothing for so long that it may be busy with one thing.
    pub(crate) fn may_be_stuck(&self, now: Duration) -> bool {
        self.state(|state| !state.flights.is_empty() && now > state.heard + HESITATION)
    }

    /// Since when nobody is inside; nothing when somebody is.
    pub(crate) fn idle_since(&self) -> Option<Duration> {
        self.state(|state| {
            let is_idle = state.flights.is_empty() && !state.ended && !state.retiring;
            is_idle.then_some(state.idle_since)
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state(|state| state.ended)
    }

    /// Takes nobody in any more, and goes when the last one has left.
    pub(crate) fn retire(&self) {
        self.state(|state| state.retiring = true);
        drop(self.nudge.unbounded_send(()));
    }

    /// Lets a request in, if there is room; its reply comes through the receiver.
    pub(crate) fn enter(
        self: &Arc<Self>,
        call: &Call,
        id: u64,
        entry: u16,
    ) -> Option<(Ticket, oneshot::Receiver<Reply>)> {
        let now = self.now();
        let (reply, received) = oneshot::channel();
        let wake = self.state(|state| {
            if room(state, &self.code, entry, &self.around.limits) == 0 {
                return None;
            }
            let reply = Some(reply);
            let flight = Flight { call: *call, reply, body: None, since: now, calls: 0 };
            if state.flights.is_empty() {
                state.heard = now;
                state.silent = None;
            }
            state.flights.insert(id, flight);
            state.touched = id;
            Some(std::mem::take(&mut state.is_idle))
        })?;
        if wake {
            drop(self.nudge.unbounded_send(()));
        }
        Some((Ticket { cell: Arc::clone(self), id, is_done: false }, received))
    }

    /// Feeds and watches the cell until it ends. `changed` is called when there is room again.
    pub(crate) async fn drive(
        self: Arc<Self>,
        mut nudged: mpsc::UnboundedReceiver<()>,
        changed: impl Fn(usize),
    ) {
        let clock = self.around.host.clock();
        let mut calls: FuturesUnordered<Calling> = FuturesUnordered::new();
        let mut receive = Box::pin(self.link.receive()).fuse();
        let mut tick = Box::pin(clock.sleep(WATCH_EVERY)).fuse();
        loop {
            select_biased! {
                frames = receive => {
                    let Some(frames) = frames else { break };
                    let room = self.take(&frames, &calls);
                    if room > 0 {
                        changed(room);
                    }
                    receive = Box::pin(self.link.receive()).fuse();
                }
                done = calls.select_next_some() => {
                    // What is ready in this moment goes back together.
                    let mut all = vec![done];
                    while let Some(Some(done)) = calls.next().now_or_never() {
                        all.push(done);
                    }
                    self.answer(all).await;
                }
                _ = nudged.next() => {
                    self.cancel().await;
                    if self.is_to_go() {
                        break;
                    }
                    tick = Box::pin(clock.sleep(WATCH_EVERY)).fuse();
                }
                () = tick => {
                    match self.watch() {
                        Verdict::Fine => {}
                        Verdict::Ask => {
                            if self.is_stuck().await {
                                break;
                            }
                        }
                        Verdict::Kill => break,
                    }
                    let pause = self.pause();
                    if pause > WATCH_EVERY && self.is_old().await {
                        self.state(|state| state.retiring = true);
                    }
                    if self.is_to_go() {
                        break;
                    }
                    tick = Box::pin(clock.sleep(pause)).fuse();
                }
            }
        }
        drop(receive);
        self.state(|state| state.ended = true);
        self.link.kill().await;
        let end = self.link.end().await;
        self.lose(end.map(|end| format!("{end:?}")));
        changed(usize::MAX);
    }

    /// Takes in what the cell says; returns how many more it has room for.
    fn take(&self, frames: &[Bytes], calls: &FuturesUnordered<Calling>) -> usize {
        let now = self.now();
        let mut freed = 0;
        for frame in frames {
            match FromCell::decode(frame) {
                Ok(said) => freed += self.said(said, frame, now, calls),
                Err(error) => {
                    let fields = fazt_sdk::json!({ "app": self.code.app.to_string() });
                    self.around.host.log().warn(&format!("a cell is replaced: {error}"), fields);
                    self.state(|state| state.retiring = true);
                }
            }
        }
        self.state(|state| {
            state.heard = now;
            state.silent = None;
        });
        freed
    }

    fn said(
        &self,
        said: FromCell<'_>,
        frame: &Bytes,
        now: Duration,
        calls: &FuturesUnordered<Calling>,
    ) -> usize {
        match said {
            FromCell::Ready { styles } => {
                self.code.learn(&styles);
                self.state(|state| state.styles = styles);
                return usize::from(self.around.limits.interleave);
            }
            FromCell::Response { id, status, headers, body, more, done_cpu_us } => {
                self.state(|state| {
                    let Some(flight) = state.flights.get_mut(&id) else { return };
                    let (rest, stream) = if more {
                        let (rest, stream) = mpsc::unbounded();
                        (Some(rest), Some(stream))
                    } else {
                        (None, None)
                    };
                    flight.body = rest;
                    if let Some(reply) = flight.reply.take() {
                        let (headers, body) = (headers.0.to_owned(), frame.slice_ref(body));
                        drop(reply.send(Reply::Response { status, headers, body, more: stream }));
                    }
                });
                if let Some(us) = done_cpu_us {
                    return self.leave(id, us, now);
                }
            }
            FromCell::Chunk { id, bytes, last } => self.state(|state| {
                let Some(flight) = state.flights.get_mut(&id) else { return };
                if let Some(body) = &flight.body
                    && !bytes.is_empty()
                {
                    drop(body.unbounded_send(Ok(frame.slice_ref(bytes))));
                }
                if last {
                    flight.body = None;
                }
            }),
            FromCell::Failed { id, code, problem, replace } => {
                self.failed(id, code, &problem);
                if replace {
                    self.state(|state| state.retiring = true);
                }
            }
            FromCell::Outcome { id, result } => self.state(|state| {
                let reply = state.flights.get_mut(&id).and_then(|flight| flight.reply.take());
                if let Some(reply) = reply {
                    drop(reply.send(Reply::Outcome(result.to_owned())));
                }
            }),
            FromCell::Done { id, cpu_us } => return self.leave(id, cpu_us, now),
            FromCell::Call { call, request, binding, arguments, waits: _ } => {
                calls.push(self.calling(call, request, binding, arguments));
            }
            FromCell::Log { request, level, text } => self.note(request, level, text),
            FromCell::LoadError { entry: _, problem } => {
                self.note(NO_REQUEST, Level::Error, &describe(&problem));
            }
            FromCell::Prelude { .. } | FromCell::Credit { .. } | FromCell::Checked { .. } => {}
        }
        0
    }

    fn failed(&self, id: u64, code: &str, problem: &Problem<'_>) {
        let failure = Failure {
            code: code.to_owned(),
            message: describe(problem),
            stack: problem.stack.to_owned(),
        };
        let mut text = format!("{code}: {}", failure.message);
        if !failure.stack.is_empty() {
            text.push('\n');
            text.push_str(&failure.stack);
        }
        if !matches!(code, "CELL_RESTARTED" | "CANCELLED") {
            self.note(id, Level::Error, &text);
        }
        self.state(|state| {
            let Some(flight) = state.flights.get_mut(&id) else { return };
            if let Some(body) = flight.body.take() {
                drop(body.unbounded_send(Err(BrokenOff)));
            }
            if let Some(reply) = flight.reply.take() {
                let lost = code == "CELL_RESTARTED";
                drop(reply.send(if lost { Reply::Lost } else { Reply::Failed(failure) }));
            }
        });
    }

    /// A request has ended; returns the room that it leaves.
    fn leave(&self, id: u64, cpu_us: u64, now: Duration) -> usize {
        self.around.meters.charge(self.code.app, Duration::from_micros(cpu_us), now);
        self.state(|state| {
            let left = state.flights.remove(&id).is_some();
            if state.flights.is_empty() {
                state.idle_since = now;
            }
            usize::from(left)
        })
    }

    fn note(&self, request: u64, level: Level, text: &str) {
        let request_id = self.state(|state| {
            state.flights.get(&request).map(|flight| flight.call.request_id().to_string())
        });
        self.around.log.add(Line {
            app: self.code.app,
            at_ms: self.around.host.clock().unix_ms(),
            level,
            request_id: request_id.unwrap_or_default(),
            text: text.to_owned(),
        });
    }

    fn calling(&self, id: u64, request: u64, binding: u16, arguments: &str) -> Calling {
        let most = self.around.limits.calls;
        let call = self.state(|state| {
            let flight = state.flights.get_mut(&request)?;
            flight.calls += 1;
            Some((flight.call, flight.calls <= most))
        });
        let refused =
            |error: Error| -> Calling { Box::pin(std::future::ready((id, request, Err(error)))) };
        let call = match call {
            Some((call, true)) => call,
            Some((_, false)) => {
                return refused(Error::busy(format!(
                    "more than {most} calls of one request are under way, which is js.calls"
                )));
            }
            None => {
                return refused(Error::invalid(
                    "calls into the node are made while a request is answered, not before or after",
                ));
            }
        };
        let (bindings, offers) = (self.around.bindings.clone(), Arc::clone(&self.offers));
        let list = Bytes::copy_from_slice(arguments.as_bytes());
        Box::pin(async move {
            let result = offers.call(&bindings, &call, binding, list).await;
            (id, request, result)
        })
    }

    async fn answer(&self, all: Vec<(u64, u64, Result<Bytes>)>) {
        let mut frames = Vec::with_capacity(all.len());
        if self.offers.is_old.load(Ordering::Relaxed) {
            self.state(|state| state.retiring = true);
        }
        for (call, request, result) in &all {
            self.state(|state| {
                if let Some(flight) = state.flights.get_mut(request) {
                    flight.calls = flight.calls.saturating_sub(1);
                }
                state.touched = *request;
            });
            let result = match result {
                Ok(json) => std::str::from_utf8(json).map_err(|_| CallFailure {
                    code: "INTERNAL",
                    message: "the answer is no text",
                    kind: "internal",
                }),
                Err(error) => Err(CallFailure {
                    code: error.code(),
                    message: error.message(),
                    kind: kind(error),
                }),
            };
            frames.push(ToCell::Result { call: *call, result }.to_bytes());
        }
        // A cell that is gone is noticed where it is read from.
        drop(self.link.send(frames).await);
    }

    /// Tells the cell of clients that left.
    async fn cancel(&self) {
        let cancelled = self.state(|state| {
            let cancelled = std::mem::take(&mut state.cancelled);
            cancelled.into_iter().filter(|id| state.flights.contains_key(id)).collect::<Vec<_>>()
        });
        if !cancelled.is_empty() {
            let frames = cancelled.iter().map(|id| ToCell::Cancel { id: *id }.to_bytes()).collect();
            drop(self.link.send(frames).await);
        }
    }

    fn is_to_go(&self) -> bool {
        let now = self.now();
        let idle = Duration::from_millis(self.around.limits.idle_ms);
        self.state(|state| {
            state.flights.is_empty() && (state.retiring || now >= state.idle_since + idle)
        })
    }

    /// How long the driver may sleep.
    fn pause(&self) -> Duration {
        let now = self.now();
        self.state(|state| {
            let long_idle = state.flights.is_empty() && now > state.idle_since + 10 * WATCH_EVERY;
            state.is_idle = long_idle;
            if long_idle { Duration::from_secs(5) } else { WATCH_EVERY }
        })
    }

    /// The most that a request inside may use. The engine knows which one runs, and its own limit.
    fn cpu_limit(&self) -> Duration {
        let limits = &self.around.limits;
        let others = self.code.entries.iter().any(|(_, role)| *role != Role::Root);
        let ms = if others { limits.cpu_ms.max(limits.root_cpu_ms) } else { limits.root_cpu_ms };
        Duration::from_millis(ms.into())
    }

    fn watch(&self) -> Verdict {
        let now = self.now();
        let wall = Duration::from_millis(self.around.limits.wall_ms.into()) + GRACE;
        self.state(|state| {
            let is_late =
                |flight: &&mut Flight| flight.reply.is_some() && now > flight.since + wall;
            let mut late = false;
            for flight in state.flights.values_mut().filter(is_late) {
                late = true;
                if let Some(reply) = flight.reply.take() {
                    let failure =
                        Failure::new("WALL_LIMIT", "it was not answered in time (js.wall_ms)");
                    drop(reply.send(Reply::Failed(failure)));
                }
            }
            if late {
                return Verdict::Kill;
            }
            if !state.flights.is_empty() && now > state.heard + SILENCE {
                return Verdict::Ask;
            }
            Verdict::Fine
        })
    }

    /// Whether the cell has been busy with one thing for longer than it may.
    async fn is_stuck(&self) -> bool {
        let Some(cpu) = self.link.cpu().await else { return false };
        let (now, limit) = (self.now(), self.cpu_limit() + GRACE);
        let stuck = self.state(|state| match state.silent {
            None => {
                // It was silent for a while before anybody asked: that counts as busy.
                state.silent = Some((cpu, now.saturating_sub(state.heard)));
                false
            }
            Some((before, silent)) => cpu.saturating_sub(before) + silent.min(SILENCE) >= limit,
        });
        if stuck {
            self.blame();
        }
        stuck
    }

    /// The request that the cell was given something for last is the one that it is busy with.
    fn blame(&self) {
        let (id, reply) = self.state(|state| {
            let touched = state.touched;
            let id = if state.flights.len() == 1 {
                state.flights.keys().next().copied().unwrap_or(touched)
            } else {
                touched
            };
            (id, state.flights.get_mut(&id).and_then(|flight| flight.reply.take()))
        });
        self.around.meters.charge(self.code.app, self.cpu_limit(), self.now());
        let failure =
            Failure::new("CPU_LIMIT", "it used more processor time than js.cpu_ms allows");
        self.note(id, Level::Error, &format!("{}: {}", failure.code, failure.message));
        if let Some(reply) = reply {
            drop(reply.send(Reply::Failed(failure)));
        }
    }

    /// Tells all who are still inside.
    fn lose(&self, end: Option<String>) {
        let flights = self.state(|state| std::mem::take(&mut state.flights));
        if let Some(end) = end.filter(|_| !flights.is_empty()) {
            self.note(
                NO_REQUEST,
                Level::Error,
                &format!("the cell ended with requests inside: {end}"),
            );
        }
        for flight in flights.into_values() {
            if let Some(body) = flight.body {
                drop(body.unbounded_send(Err(BrokenOff)));
            }
            if let Some(reply) = flight.reply {
                drop(reply.send(Reply::Lost));
            }
        }
    }

    /// Whether it has lived long enough, by its processor time.
    async fn is_old(&self) -> bool {
        self.link.cpu().await.is_some_and(|cpu| cpu > LIFE_CPU)
    }
}

fn room(state: &State, code: &Code, entry: u16, limits: &Limits) -> usize {
    if state.ended || state.retiring {
        return 0;
    }
    let style = state.styles.get(usize::from(entry)).copied().or_else(|| code.style(entry));
    let most = match style {
        Some(Style::Module) => limits.interleave.into(),
        Some(Style::Classic | Style::Root) => CLASSIC_QUEUE,
        // What cannot be compiled says so at once, and what is not known is tried with one.
        Some(Style::Broken) | None => 1,
    };
    usize::saturating_sub(most, state.flights.len())
}

/// A problem in one line: where, and what.
pub(crate) fn describe(problem: &Problem<'_>) -> String {
    match (problem.file, problem.line, problem.column) {
        ("", ..) => problem.message.to_owned(),
        (file, 0, _) => format!("{file}: {}", problem.message),
        (file, line, 0) => format!("{file}:{line}: {}", problem.message),
        (file, line, column) => format!("{file}:{line}:{column}: {}", problem.message),
    }
}

fn kind(error: &Error) -> &'static str {
    use fazt_sdk::ErrorKind;
    match error.kind() {
        ErrorKind::Invalid => "invalid",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Denied => "denied",
        ErrorKind::Conflict => "conflict",
        ErrorKind::TooLarge | ErrorKind::Busy | ErrorKind::Full => "limit",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Unavailable => "unavailable",
        _ => "internal",
    }
}

/// A place inside a cell. Dropped before its end, it tells the cell that the client left.
pub(crate) struct Ticket {
    cell: Arc<Cell>,
    id: u64,
    is_done: bool,
}

impl Ticket {
    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    /// The answer is whole: whatever still runs may go on.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }

    /// The client took this much of a streamed answer.
    pub(crate) async fn credit(&self, bytes: u32) {
        let frame = ToCell::Credit { id: self.id, bytes }.to_bytes();
        drop(self.cell.link.send(vec![frame]).await);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_done {
            self.cell.state(|state| state.cancelled.push(self.id));
            drop(self.cell.nudge.unbounded_send(()));
        }
    }
}
