//! What the event loop and the functions that scripts call have in common: the port, whose turn it
//! is, the requests that are not over, timers and calls under way. One thread; nothing here is held
//! borrowed while a script runs.

use crate::clock;
use crate::pristine::Known;
use crate::problem;
use crate::protocol::{
    FRAME_BYTES_MAX, FromCell, Headers, Level, NO_REQUEST, Problem, STREAM_WINDOW_BYTES, ToCell,
};
use crate::setup::Setup;
use crate::{Closed, Port, Wait};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Timers that one engine may have waiting.
pub(crate) const TIMERS_MAX: usize = 10_000;

/// Calls into the node that one engine may have waiting.
pub(crate) const CALLS_MAX: usize = 10_000;

/// A line of the log, a message and a stack are no longer than this; the rest is cut off.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// How long an answer waits for others to leave together with it.
const FLUSH_AFTER: Duration = Duration::from_micros(500);

/// The arguments of one call, so that its frame is one that the node accepts.
const ARGUMENTS_BYTES_MAX: usize = FRAME_BYTES_MAX - (1 << 10);

/// The number of a realm, never used again.
pub(crate) type RealmId = u32;

pub(crate) struct Shared {
    port: RefCell<Box<dyn Port>>,
    pub(crate) setup: Rc<Setup>,
    pub(crate) turn: Turn,
    pub(crate) live: RefCell<HashMap<u64, Live>>,
    pub(crate) timers: RefCell<Timers>,
    /// The realm and the request of every call under way.
    pub(crate) calls: RefCell<HashMap<u64, (RealmId, u64)>>,
    next_call: Cell<u64>,
    flushed: Cell<Instant>,
    pub(crate) known: Known,
    /// Frames that came while a script waited for an answer.
    pub(crate) backlog: RefCell<VecDeque<Bytes>>,
    /// Entries whose code is being loaded, by realm: other requests for them wait, so that each of them
    /// begins in a turn of its own.
    pub(crate) loading: RefCell<HashSet<(RealmId, u16)>>,
    /// Realms in which code could not be loaded. A module is evaluated once, so the next try is in another.
    pub(crate) unloadable: RefCell<HashSet<RealmId>>,
    /// Requests that ended in this turn.
    pub(crate) ended: RefCell<Vec<Ended>>,
    /// Promises that were rejected in this turn and that nobody looked at: address and reason.
    pub(crate) rejected: RefCell<Vec<(usize, String)>>,
    pub(crate) closed: Cell<bool>,
    /// A request failed because there was no memory left.
    pub(crate) exhausted: Cell<bool>,
}

/// Whose turn it is, and how much of its processor time is left.
pub(crate) struct Turn {
    pub(crate) request: Cell<u64>,
    pub(crate) realm: Cell<RealmId>,
    pub(crate) began: Cell<Instant>,
    pub(crate) deadline: Cell<Instant>,
    pub(crate) budget: Cell<Duration>,
    pub(crate) tripped: Cell<bool>,
    /// The thread's processor time at the beginning of the batch of this turn.
    pub(crate) batch_cpu: Cell<Duration>,
}

impl Turn {
    /// Whether the turn is over its budget. Time in which the machine ran something else does not
    /// count.
    pub(crate) fn spent(&self) -> bool {
        if self.tripped.get() {
            return true;
        }
        let now = clock::now();
        if now < self.deadline.get() {
            return false;
        }
        let used = clock::thread_cpu().saturating_sub(self.batch_cpu.get());
        if let Some(left) = self.budget.get().checked_sub(used).filter(|left| !left.is_zero()) {
            self.deadline.set(now + left);
            return false;
        }
        self.tripped.set(true);
        true
    }

    /// Leaves out time in which the script only waited.
    pub(crate) fn pause(&self, waited: Duration) {
        self.began.set(self.began.get() + waited);
        self.deadline.set(self.deadline.get() + waited);
    }
}

/// A request, job or event that is not over.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) realm: RealmId,
    pub(crate) deadline: Instant,
    pub(crate) cpu: Duration,
    /// It is for an entry in the root style, which has a limit of its own.
    pub(crate) is_root: bool,
    pub(crate) answered: bool,
    /// `waitUntil` holds it.
    pub(crate) held: bool,
    /// Its response is a stream that is not at its end.
    pub(crate) streaming: bool,
    /// Bytes of the response that may be sent before the node grants more.
    pub(crate) window: i64,
    /// Its own body is not at its end.
    pub(crate) receiving: bool,
    /// Its realm keeps something for it.
    pub(crate) remembered: bool,
    pub(crate) log_lines: u32,
    pub(crate) workspace: String,
}

/// A request that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) realm: RealmId,
    pub(crate) id: u64,
    /// Its timers, which went with it.
    pub(crate) timers: Vec<u32>,
    /// Whether its realm keeps something for it.
    pub(crate) remembered: bool,
}

/// What is due when.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<(Instant, u64), (RealmId, u32, u64)>,
    keys: HashMap<(RealmId, u32), (Instant, u64)>,
    next: u64,
}

impl Timers {
    pub(crate) fn add(&mut self, realm: RealmId, timer: u32, request: u64, at: Instant) {
        self.next += 1;
        let key = (at, self.next);
        if let Some(before) = self.keys.insert((realm, timer), key) {
            self.due.remove(&before);
        }
        self.due.insert(key, (realm, timer, request));
    }

    pub(crate) fn remove(&mut self, realm: RealmId, timer: u32) {
        if let Some(key) = self.keys.remove(&(realm, timer)) {
            self.due.remove(&key);
        }
    }

    /// Takes out the timers of a request.
    pub(crate) fn remove_of(&mut self, request: u64) -> Vec<u32> {
        let mut removed = Vec::new();
        if request != NO_REQUEST && !self.due.is_empty() {
            self.due.retain(|_, (realm, timer, owner)| {
                let goes = *owner == request;
                if goes {
                    self.keys.remove(&(*realm, *timer));
                    removed.push(*timer);
                }
                !goes
            });
        }
        removed
    }

    pub(crate) fn remove_realm(&mut self, realm: RealmId) {
        self.due.retain(|_, (owner, ..)| *owner != realm);
        self.keys.retain(|(owner, _), _| *owner != realm);
    }

    /// The next that is due by `now`: realm, timer, request.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(RealmId, u32, u64)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let due = entry.remove();
        self.keys.remove(&(due.0, due.1));
        Some(due)
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

/// What a call into the node came to.
pub(crate) enum Answer {
    Json(String),
    Failed { code: String, message: String, kind: String },
}

impl Shared {
    pub(crate) fn new(port: Box<dyn Port>, setup: Rc<Setup>) -> Self {
        let now = clock::now();
        Self {
            port: RefCell::new(port),
            setup,
            turn: Turn {
                request: Cell::new(NO_REQUEST),
                realm: Cell::new(0),
                began: Cell::new(now),
                deadline: Cell::new(now),
                budget: Cell::new(Duration::ZERO),
                tripped: Cell::new(false),
                batch_cpu: Cell::new(Duration::ZERO),
            },
            live: RefCell::default(),
            timers: RefCell::default(),
            calls: RefCell::default(),
            next_call: Cell::new(1),
            flushed: Cell::new(now),
            known: Known::default(),
            backlog: RefCell::default(),
            loading: RefCell::default(),
            unloadable: RefCell::default(),
            ended: RefCell::default(),
            rejected: RefCell::default(),
            closed: Cell::new(false),
            exhausted: Cell::new(false),
        }
    }

    pub(crate) fn send(&self, frame: &FromCell<'_>) {
        self.port.borrow_mut().send(frame.to_bytes());
    }

    /// Frames have come, and are taken one after another.
    pub(crate) fn begin_batch(&self) {
        self.turn.batch_cpu.set(clock::thread_cpu());
        self.flushed.set(clock::now());
    }

    pub(crate) fn flush(&self) -> Result<(), Closed> {
        self.flushed.set(clock::now());
        self.port.borrow_mut().flush()
    }

    /// Sends what has waited for long enough: what is done does not wait for all that came with it.
    pub(crate) fn flush_if_late(&self) {
        if clock::now().saturating_duration_since(self.flushed.get()) > FLUSH_AFTER
            && self.flush().is_err()
        {
            self.closed.set(true);
        }
    }

    /// What has come, the backlog first.
    pub(crate) fn receive(&self, wait: Wait) -> Result<Vec<Bytes>, Closed> {
        let backlog: Vec<_> = self.backlog.borrow_mut().drain(..).collect();
        if backlog.is_empty() { self.port.borrow_mut().receive(wait) } else { Ok(backlog) }
    }

    /// Keeps what comes for later.
    pub(crate) fn receive_aside(&self, wait: Wait) -> Result<(), Closed> {
        let frames = self.port.borrow_mut().receive(wait)?;
        self.backlog.borrow_mut().extend(frames);
        Ok(())
    }

    /// The processor time that a request may use, and the name of the setting that says so.
    pub(crate) fn cpu_limit(&self, id: u64) -> (u32, &'static str) {
        let limits = &self.setup.limits;
        if self.live.borrow().get(&id).is_some_and(|live| live.is_root) {
            (limits.root_cpu_ms, "js.root_cpu_ms")
        } else {
            (limits.cpu_ms, "js.cpu_ms")
        }
    }

    /// The processor time of a request up to now.
    pub(crate) fn cpu_us(&self, id: u64, before: Duration) -> u64 {
        let running = if self.turn.request.get() == id {
            clock::now().saturating_duration_since(self.turn.began.get())
        } else {
            Duration::ZERO
        };
        u64::try_from((before + running).as_micros()).unwrap_or(u64::MAX)
    }

    /// Ends a request if nothing keeps it; says so with `Done` unless the answer did.
    pub(crate) fn settle(&self, id: u64) {
        let over = self
            .live
            .borrow()
            .get(&id)
            .is_some_and(|live| live.answered && !live.held && !live.streaming);
        if over {
            self.end(id);
        }
    }

    /// Ends a request.
    pub(crate) fn end(&self, id: u64) {
        if let Some(live) = self.take(id) {
            self.send(&FromCell::Done { id, cpu_us: self.cpu_us(id, live.cpu) });
        }
    }

    /// Takes a request out of the books.
    fn take(&self, id: u64) -> Option<Live> {
        let live = self.live.borrow_mut().remove(&id)?;
        let timers = self.timers.borrow_mut().remove_of(id);
        let remembered = live.remembered || !timers.is_empty();
        self.ended.borrow_mut().push(Ended { realm: live.realm, id, timers, remembered });
        Some(live)
    }

    /// Sends an answer. Whether the request was waiting for one.
    pub(crate) fn respond(
        &self,
        id: u64,
        status: u16,
        headers: &str,
        body: &[u8],
        more: bool,
    ) -> bool {
        let mut books = self.live.borrow_mut();
        let Some(live) = books.get_mut(&id).filter(|live| !live.answered) else { return false };
        live.answered = true;
        live.streaming = more;
        live.remembered |= more;
        let over = !more && !live.held;
        drop(books);
        let done_cpu_us =
            if over { self.take(id).map(|live| self.cpu_us(id, live.cpu)) } else { None };
        let headers = Headers(headers);
        self.send(&FromCell::Response { id, status, headers, body, more, done_cpu_us });
        true
    }

    /// Ends a request with an error.
    pub(crate) fn fail(&self, id: u64, code: &str, message: &str, stack: &str, replace: bool) {
        let place = problem::place(stack, &self.setup);
        let trimmed = problem::app_stack(stack, &self.setup);
        let (file, line, column) = place
            .as_ref()
            .map_or(("", 0, 0), |place| (place.file.as_str(), place.line, place.column));
        let code = problem::code(code, message);
        let replace = replace || (code == "MEMORY_LIMIT" && message != problem::NULL_THROWN);
        if code == "MEMORY_LIMIT" {
            self.exhausted.set(true);
        }
        if self.live.borrow().contains_key(&id) {
            let (message, stack) = (shortened(message), shortened(&trimmed));
            let problem = Problem { message, stack, file, line, column };
            self.send(&FromCell::Failed { id, code, problem, replace });
            self.end(id);
        }
    }

    /// A line for the log, within the limit of the request whose turn it is.
    pub(crate) fn log(&self, level: Level, text: &str) {
        let request = self.turn.request.get();
        let limit = self.setup.limits.log_lines;
        if let Some(live) = self.live.borrow_mut().get_mut(&request) {
            live.log_lines = live.log_lines.saturating_add(1);
            if live.log_lines > limit {
                if live.log_lines == limit + 1 {
                    let text = "more lines than a request may log; the rest is dropped";
                    self.send(&FromCell::Log { request, level: Level::Warn, text });
                }
                return;
            }
        }
        let text = shortened(text);
        self.send(&FromCell::Log { request, level, text });
    }

    /// In whose name the code that runs now asks: of the request whose turn it is. Code that waited for what
    /// another request asked for goes on in that one's turn; when it is over, the oldest request of the
    /// same realm, which is the same user's, stands for it.
    pub(crate) fn asking(&self) -> u64 {
        let (request, realm) = (self.turn.request.get(), self.turn.realm.get());
        let live = self.live.borrow();
        if live.contains_key(&request) {
            return request;
        }
        let same = live.iter().filter(|(_, live)| live.realm == realm).map(|(id, _)| *id);
        same.min().unwrap_or(request)
    }

    /// Sends a call; its number, or `None` when too many are under way.
    pub(crate) fn call(&self, binding: u16, arguments: &str, waits: bool) -> Option<u64> {
        if self.calls.borrow().len() >= CALLS_MAX || arguments.len() > ARGUMENTS_BYTES_MAX {
            return None;
        }
        let call = self.next_call.get();
        self.next_call.set(call + 1);
        let request = self.asking();
        if !waits {
            self.calls.borrow_mut().insert(call, (self.turn.realm.get(), request));
        }
        self.send(&FromCell::Call { call, request, binding, arguments, waits });
        Some(call)
    }

    /// Sends a call and waits for what it comes to.
    pub(crate) fn call_and_wait(&self, binding: u16, arguments: &str) -> Answer {
        let failed = |code: &str, message: &str| Answer::Failed {
            code: code.to_owned(),
            message: message.to_owned(),
            kind: "unavailable".to_owned(),
        };
        let Some(call) = self.call(binding, arguments, true) else {
            return failed(
                "CALL_LIMIT",
                "too many calls wait for an answer, or its arguments are too large",
            );
        };
        if self.flush().is_err() {
            self.closed.set(true);
            return failed("CANCELLED", "the node is gone");
        }
        let began = clock::now();
        let request = self.turn.request.get();
        let deadline = self.live.borrow().get(&request).map(|live| live.deadline);
        let answer = loop {
            let wait = match deadline.map(|at| at.saturating_duration_since(clock::now())) {
                Some(left) if left.is_zero() => {
                    break failed("WALL_LIMIT", "the request's time is over (js.wall_ms)");
                }
                Some(left) => Wait::Until(left),
                None => Wait::Forever,
            };
            let Ok(frames) = self.port.borrow_mut().receive(wait) else {
                self.closed.set(true);
                break failed("CANCELLED", "the node is gone");
            };
            let mut found = None;
            for frame in frames {
                match ToCell::decode(&frame) {
                    Ok(ToCell::Result { call: of, result }) if of == call => {
                        found = Some(match result {
                            Ok(json) => Answer::Json(json.to_owned()),
                            Err(failure) => Answer::Failed {
                                code: failure.code.to_owned(),
                                message: failure.message.to_owned(),
                                kind: failure.kind.to_owned(),
                            },
                        });
                    }
                    Ok(ToCell::Cancel { id }) if id == request => {
                        found.get_or_insert_with(|| failed("CANCELLED", "the client left"));
                        self.backlog.borrow_mut().push_back(frame);
                    }
                    _ => self.backlog.borrow_mut().push_back(frame),
                }
            }
            if let Some(answer) = found {
                break answer;
            }
        };
        self.turn.pause(clock::now().saturating_duration_since(began));
        answer
    }

    /// A piece of a streamed answer; whether there is room for more.
    pub(crate) fn chunk(&self, id: u64, bytes: &[u8], last: bool) -> bool {
        let mut books = self.live.borrow_mut();
        let Some(live) = books.get_mut(&id).filter(|live| live.streaming) else { return true };
        live.window -= i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let room = live.window > 0;
        live.streaming = !last;
        drop(books);
        // A frame holds a window at most.
        let window = usize::try_from(STREAM_WINDOW_BYTES).unwrap_or(usize::MAX);
        let mut pieces = bytes.chunks(window).peekable();
        while let Some(piece) = pieces.next() {
            let last = last && pieces.peek().is_none();
            self.send(&FromCell::Chunk { id, bytes: piece, last });
        }
        if last {
            if bytes.is_empty() {
                self.send(&FromCell::Chunk { id, bytes: &[], last });
            }
            self.settle(id);
        }
        room
    }
}

/// As much of a text as fits into a line of the log.
fn shortened(text: &str) -> &str {
    let most = TEXT_BYTES_MAX.min(text.len());
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}
