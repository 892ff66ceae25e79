//! The event loop: frames in, turns, frames out. A turn belongs to one request, and so does the
//! processor time that it takes.

use crate::clock;
use crate::loading::{answer_check, problem_of, strip_all, style_of};
use crate::native::{number, value};
use crate::prelude::Prelude;
use crate::protocol::{
    CallFailure, FromCell, Init, Request, Role, STREAM_WINDOW_BYTES, Style, ToCell,
};
use crate::realm::Manner;
use crate::setup::Setup;
use crate::shared::{Live, Shared};
use crate::typescript::Refused;
use crate::world::{Ending, World};
use crate::{Closed, Port, Wait};
use bytes::Bytes;
use rquickjs::function::{Args, IntoArgs as _};
use rquickjs::{Ctx, IntoJs as _, Result, TypedArray, Value};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Requests that wait for a realm; more are refused.
const WAITING_MAX: usize = 1_024;

pub(crate) struct Engine {
    shared: Rc<Shared>,
    world: World,
    waiting: VecDeque<Waiting>,
    /// What is wrong with the entries that cannot be compiled, and with other files that were asked
    /// for.
    broken: HashMap<String, Refused>,
    styles: HashMap<String, Style>,
}

/// A request, job or event whose realm is not free yet, or whose body is not complete.
struct Waiting {
    id: u64,
    frame: Bytes,
    /// The rest of its body, as it came.
    chunks: Vec<Bytes>,
    complete: bool,
}

impl Engine {
    /// Makes an engine for an app and says what its entries are.
    pub(crate) fn new(port: Box<dyn Port>, init: &Init<'_>, own: Rc<Prelude>) -> Option<Self> {
        let prelude = match init.prelude {
            Some(bytecode) => Rc::new(Prelude::from_bytes(bytecode)),
            None => own,
        };
        let mut setup = Setup::new(init, prelude);
        let mut broken = strip_all(&mut setup);
        let mut styles = HashMap::new();
        for (path, role) in setup.entries.clone() {
            let style = style_of(&setup, &path, role, &mut broken);
            setup.styles.push(style);
            styles.insert(path, style);
        }
        let shared = Rc::new(Shared::new(port, Rc::new(setup)));
        for (entry, (path, _)) in shared.setup.entries.iter().enumerate() {
            if let (Some(refused), Ok(entry)) = (broken.get(path), u16::try_from(entry)) {
                shared.send(&FromCell::LoadError { entry, problem: problem_of(refused) });
            }
        }
        shared.send(&FromCell::Ready { styles: shared.setup.styles.clone() });
        let world = World::new(&shared, 0).ok()?;
        Some(Self { shared, world, waiting: VecDeque::new(), broken, styles })
    }

    /// Runs until the port closes; `frames` came together with the first one.
    pub(crate) fn run(mut self, frames: Vec<Bytes>) {
        let mut frames = frames;
        loop {
            self.shared.begin_batch();
            for frame in frames {
                self.take(frame);
                self.shared.flush_if_late();
            }
            self.fire();
            self.start_waiting();
            self.expire();
            self.unsettled();
            if self.shared.closed.get() || self.shared.flush().is_err() {
                return;
            }
            match self.wait() {
                Ok(received) => frames = received,
                Err(Closed) => return,
            }
        }
    }

    /// Waits for frames, or until something is due; prepares what will be needed meanwhile.
    fn wait(&mut self) -> std::result::Result<Vec<Bytes>, Closed> {
        let frames = self.shared.receive(Wait::No)?;
        if !frames.is_empty() {
            return Ok(frames);
        }
        let idle = self.shared.live.borrow().is_empty();
        let classic = self.shared.setup.styles.iter();
        let classic = classic.clone().any(|style| matches!(style, Style::Classic | Style::Root));
        if idle && classic && self.world.prepare(&self.shared) {
            return self.shared.receive(Wait::No);
        }
        let deadline = self.shared.live.borrow().values().map(|live| live.deadline).min();
        let timer = self.shared.timers.borrow().next_at();
        let next = [deadline, timer].into_iter().flatten().min();
        let wait = next
            .map_or(Wait::Forever, |at| Wait::Until(at.saturating_duration_since(clock::now())));
        self.shared.receive(wait)
    }

    fn take(&mut self, frame: Bytes) {
        match ToCell::decode(&frame) {
            Ok(ToCell::Request(request)) => {
                let (id, workspace, more) =
                    (request.id, request.workspace.to_owned(), request.more);
                let at = usize::from(request.entry);
                let role = self.shared.setup.entries.get(at).map(|(_, role)| *role);
                self.register(id, workspace, more, role == Some(Role::Root));
                let module = self.shared.setup.styles.get(at) == Some(&Style::Module);
                if !module || !self.waiting.is_empty() || !self.begin(&request, &[]) {
                    // A classic script sees its whole body at once.
                    self.queue(id, &frame, module || !more);
                }
            }
            Ok(ToCell::RequestChunk { id, bytes, last }) => self.chunk(id, &frame, bytes, last),
            Ok(ToCell::Result { call, result }) => self.result(call, result),
            Ok(ToCell::Cancel { id }) => self.cancel(id, "the client left"),
            Ok(ToCell::Credit { id, bytes }) => self.credit(id, bytes),
            Ok(ToCell::Job { id, .. } | ToCell::Event { id, .. }) => {
                self.register(id, String::new(), false, false);
                self.queue(id, &frame, true);
            }
            Ok(ToCell::Check { id, path, source, role }) => {
                answer_check(id, path, source, role, |frame| self.shared.send(frame));
            }
            Ok(ToCell::Collect) => self.world.collect(),
            // A cell that held an app's code compiles nothing for others, and has one app only.
            Ok(ToCell::Compile | ToCell::Init(_)) | Err(_) => {}
        }
        self.clear();
    }

    fn register(&self, id: u64, workspace: String, receiving: bool, is_root: bool) {
        let wall = Duration::from_millis(u64::from(self.shared.setup.limits.wall_ms));
        let live = Live {
            realm: 0,
            deadline: clock::now() + wall,
            cpu: Duration::ZERO,
            is_root,
            answered: false,
            held: false,
            streaming: false,
            window: i64::from(STREAM_WINDOW_BYTES),
            receiving,
            remembered: receiving,
            log_lines: 0,
            workspace,
        };
        self.shared.live.borrow_mut().insert(id, live);
    }

    fn queue(&mut self, id: u64, frame: &Bytes, complete: bool) {
        if self.waiting.len() >= WAITING_MAX {
            self.shared.fail(id, "OVERLOADED", "too many requests wait for this cell", "", false);
        } else {
            let frame = frame.clone();
            self.waiting.push_back(Waiting { id, frame, chunks: Vec::new(), complete });
        }
    }

    /// Starts what waits, in order, as far as realms are free.
    fn start_waiting(&mut self) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            if !self.shared.live.borrow().contains_key(&waiting.id) {
                self.waiting.remove(at);
                continue;
            }
            if !waiting.complete {
                at += 1;
                continue;
            }
            let (frame, chunks) = (waiting.frame.clone(), waiting.chunks.clone());
            let begun = match ToCell::decode(&frame) {
                Ok(ToCell::Request(request)) => self.begin(&request, &chunks),
                Ok(ToCell::Job { id, path, job }) => self.work(id, path, "job", "job", job),
                Ok(ToCell::Event { id, path, name, event }) => {
                    self.work(id, path, "event", name, event)
                }
                _ => true,
            };
            self.clear();
            self.shared.flush_if_late();
            if begun {
                self.waiting.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Begins a request; whether it was begun or failed, and need not wait any more.
    fn begin(&mut self, request: &Request<'_>, chunks: &[Bytes]) -> bool {
        let shared = Rc::clone(&self.shared);
        let setup = &shared.setup;
        let entry = usize::from(request.entry);
        let (Some((path, role)), Some(style)) = (setup.entries.get(entry), setup.styles.get(entry))
        else {
            shared.fail(request.id, "NO_HANDLER", "the cell has no such entry", "", false);
            return true;
        };
        if shared.live.borrow().len() - self.waiting.len() > usize::from(setup.limits.interleave) {
            return false;
        }
        let found = match style {
            Style::Broken => {
                self.refuse(request.id, path);
                return true;
            }
            Style::Module => {
                for realm in shared.unloadable.take() {
                    if let Some(at) = self.world.position(realm) {
                        self.world.realms[at].spoiled = true;
                    }
                }
                self.world.for_module(&shared, request.user)
            }
            Style::Classic | Style::Root => self.world.for_classic(&shared),
        };
        let at = match found {
            Ok(Some(at)) => at,
            Ok(None) => return false,
            Err(error) => {
                let text = format!("no realm can be made: {error}");
                shared.fail(request.id, "MEMORY_LIMIT", &text, "", true);
                return true;
            }
        };
        let realm = self.world.realms.get(at).map_or(0, |realm| realm.id);
        if shared.loading.borrow().contains(&(realm, request.entry)) {
            return false;
        }
        self.enter(at, request.id);
        let id = request.id;
        let ending = if *style == Style::Module {
            let more = request.more;
            self.world.turn(at, &shared, id, |ctx, doors| {
                let mut args = Args::new(ctx.clone(), 8);
                (request.entry, path.as_str(), number(id), request.method, request.url)
                    .into_args(&mut args)?;
                args.push_arg(request.headers.0)?;
                args.push_arg(bytes(ctx, request.body, more)?)?;
                args.push_arg(more)?;
                args.apply(&doors.begin.clone().restore(ctx)?)
            })
        } else {
            let mut body = request.body.to_vec();
            for chunk in chunks {
                if let Ok(ToCell::RequestChunk { bytes, .. }) = ToCell::decode(chunk) {
                    body.extend_from_slice(bytes);
                }
            }
            self.world.turn(at, &shared, id, |ctx, doors| {
                let mut args = Args::new(ctx.clone(), 8);
                (path.as_str(), number(id), request.method, request.url, request.headers.0)
                    .into_args(&mut args)?;
                args.push_arg(bytes(ctx, &body, false)?)?;
                args.push_arg(request.ip)?;
                args.push_arg(*role == Role::Root)?;
                args.apply(&doors.begin.clone().restore(ctx)?)
            })
        };
        self.after(at, id, ending);
        // What came of a body while its request waited.
        if *style == Style::Module {
            for chunk in chunks {
                if let Ok(ToCell::RequestChunk { bytes, last, .. }) = ToCell::decode(chunk) {
                    self.deliver_chunk(id, bytes, last);
                }
            }
        }
        true
    }

    /// Begins a job or an event; whether it need not wait any more.
    fn work(&mut self, id: u64, path: &str, kind: &str, name: &str, text: &str) -> bool {
        let shared = Rc::clone(&self.shared);
        let style = match self.styles.get(path) {
            Some(style) => *style,
            None => {
                let style = style_of(&shared.setup, path, Role::Background, &mut self.broken);
                self.styles.insert(path.to_owned(), style);
                style
            }
        };
        let found = match style {
            Style::Broken => {
                self.refuse(id, path);
                return true;
            }
            Style::Module => self.world.for_module(&shared, ""),
            Style::Classic | Style::Root => self.world.for_classic(&shared),
        };
        let Ok(Some(at)) = found else { return false };
        self.enter(at, id);
        let ending = self.world.turn(at, &shared, id, |ctx, doors| {
            let begin = doors.begin_work.clone().restore(ctx)?;
            if style == Style::Module {
                begin.call((number(id), path, kind, name, text))
            } else {
                begin.call((path, number(id), kind, name, text))
            }
        });
        self.after(at, id, ending);
        true
    }

    fn refuse(&self, id: u64, path: &str) {
        let Some(refused) = self.broken.get(path) else { return };
        let problem = problem_of(refused);
        if self.shared.live.borrow().contains_key(&id) {
            self.shared.send(&FromCell::Failed { id, code: "LOAD_ERROR", problem, replace: false });
            self.shared.end(id);
        }
    }

    fn enter(&mut self, at: usize, id: u64) {
        if let Some(realm) = self.world.realms.get_mut(at) {
            realm.live += 1;
            if let Some(live) = self.shared.live.borrow_mut().get_mut(&id) {
                live.realm = realm.id;
            }
        }
    }

    /// One turn in the realm of a request or call.
    fn turn_in(
        &mut self,
        realm: u32,
        id: u64,
        call: impl for<'js> FnOnce(&Ctx<'js>, &crate::realm::Doors) -> Result<()>,
    ) {
        if let Some(at) = self.world.position(realm) {
            let ending = self.world.turn(at, &self.shared, id, call);
            self.after(at, id, ending);
        }
    }

    /// Draws the conclusions of a turn that was cut off.
    fn after(&mut self, at: usize, id: u64, ending: Ending) {
        if self.shared.exhausted.take() {
            // What the realm still holds may be all the memory that there is.
            if let Some(realm) = self.world.realms.get_mut(at) {
                realm.spoiled = true;
            }
            self.clear();
            self.world.collect();
        }
        if ending == Ending::Quiet {
            return;
        }
        let (limit, setting) = self.shared.cpu_limit(id);
        let message =
            format!("the request used more than {limit} ms of processor time ({setting})");
        let mut storm = ending == Ending::Storm;
        if let Some(realm) = self.world.realms.get_mut(at) {
            realm.spoiled = true;
            // What a classic script queued is forgotten with all else.
            storm &= realm.manner == Manner::Module;
        }
        self.shared.fail(id, "CPU_LIMIT", &message, "", storm);
        if storm {
            self.restart();
        }
    }

    /// Starts anew: what is queued in the interpreter would go on for ever.
    fn restart(&mut self) {
        let begun: Vec<u64> = {
            let books = self.shared.live.borrow();
            books.iter().filter(|(_, live)| live.realm != 0).map(|(id, _)| *id).collect()
        };
        for id in begun {
            let message = "another request took the cell down";
            self.shared.fail(id, "CELL_RESTARTED", message, "", true);
        }
        self.shared.calls.borrow_mut().clear();
        self.shared.loading.borrow_mut().clear();
        *self.shared.timers.borrow_mut() = crate::shared::Timers::default();
        self.shared.ended.borrow_mut().clear();
        if let Ok(world) = World::new(&self.shared, self.world.next_realm()) {
            self.world = world;
        } else {
            self.shared.closed.set(true);
        }
    }

    fn chunk(&mut self, id: u64, frame: &Bytes, bytes: &[u8], last: bool) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.chunks.push(frame.clone());
            waiting.complete |= last;
            let credit = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            if !last && !bytes.is_empty() {
                self.shared.send(&FromCell::Credit { id, bytes: credit });
            }
        } else {
            self.deliver_chunk(id, bytes, last);
        }
    }

    fn deliver_chunk(&mut self, id: u64, chunk: &[u8], last: bool) {
        let realm = {
            let mut books = self.shared.live.borrow_mut();
            let Some(live) = books.get_mut(&id) else { return };
            live.receiving = !last;
            live.realm
        };
        self.turn_in(realm, id, |ctx, doors| {
            let buffer = bytes(ctx, chunk, true)?;
            doors.chunk.clone().restore(ctx)?.call((number(id), buffer, last))
        });
    }

    fn result(&mut self, call: u64, result: std::result::Result<&str, CallFailure<'_>>) {
        let Some((realm, request)) = self.shared.calls.borrow_mut().remove(&call) else { return };
        self.turn_in(realm, request, |ctx, doors| match result {
            Ok(json) => {
                let (value, bytes) = value(ctx, json)?;
                doors.settle.clone().restore(ctx)?.call((number(call), true, value, bytes))
            }
            Err(CallFailure { code, message, kind }) => {
                doors.refuse.clone().restore(ctx)?.call((number(call), code, message, kind))
            }
        });
    }

    fn credit(&mut self, id: u64, bytes: u32) {
        let realm = {
            let mut books = self.shared.live.borrow_mut();
            let Some(live) = books.get_mut(&id) else { return };
            live.window += i64::from(bytes);
            if live.window <= 0 {
                return;
            }
            live.realm
        };
        self.turn_in(realm, id, |ctx, doors| {
            doors.credit.clone().restore(ctx)?.call((number(id),))
        });
    }

    /// Tells a request's realm that nobody waits for it any more, and ends it.
    fn cancel(&mut self, id: u64, reason: &str) {
        let realm = self.shared.live.borrow().get(&id).map(|live| live.realm);
        if let Some(realm) = realm {
            self.turn_in(realm, id, |ctx, doors| {
                doors.cancel.clone().restore(ctx)?.call((number(id), reason))
            });
            self.shared.end(id);
        }
    }

    /// Runs the timers that are due.
    fn fire(&mut self) {
        let now = clock::now();
        // No more than were there: a timer of 0 ms that sets itself again comes the next time.
        let there = self.shared.timers.borrow().len();
        for _ in 0..there {
            let due = self.shared.timers.borrow_mut().pop(now);
            let Some((realm, timer, request)) = due else { break };
            self.turn_in(realm, request, |ctx, doors| {
                doors.fire.clone().restore(ctx)?.call((timer,))
            });
        }
        self.clear();
    }

    /// Ends requests whose time is over.
    fn expire(&mut self) {
        let now = clock::now();
        let over: Vec<u64> = {
            let books = self.shared.live.borrow();
            books.iter().filter(|(_, live)| live.deadline <= now).map(|(id, _)| *id).collect()
        };
        for id in over {
            let limit = self.shared.setup.limits.wall_ms;
            let message = format!("the request took more than {limit} ms (js.wall_ms)");
            let realm = self.shared.live.borrow().get(&id).map_or(0, |live| live.realm);
            self.turn_in(realm, id, |ctx, doors| {
                doors.cancel.clone().restore(ctx)?.call((number(id), message.as_str()))
            });
            self.shared.fail(id, "WALL_LIMIT", &message, "", false);
        }
        self.clear();
    }

    /// Ends requests that wait for nothing: no call, no timer, no byte will wake them.
    fn unsettled(&mut self) {
        let awaited = !self.shared.calls.borrow().is_empty()
            || self.shared.timers.borrow().len() > 0
            || !self.shared.backlog.borrow().is_empty();
        if awaited {
            return;
        }
        let stuck: Vec<(u64, bool)> = {
            let books = self.shared.live.borrow();
            let stuck = books.iter().filter(|(_, live)| {
                live.realm != 0 && !live.receiving && !(live.streaming && live.window <= 0)
            });
            stuck.map(|(id, live)| (*id, live.answered && !live.streaming)).collect()
        };
        if stuck.is_empty() {
            return;
        }
        // Without memory not even the end of a promise is noticed.
        let full = self.world.is_full(&self.shared);
        for (id, answered) in stuck {
            if answered {
                self.shared.end(id);
            } else if full {
                let message = "the script used up its memory (js.memory_bytes)";
                self.shared.fail(id, "MEMORY_LIMIT", message, "", true);
            } else {
                let message = "the handler waits for something that will never happen";
                self.shared.fail(id, "NEVER_SETTLED", message, "", false);
            }
        }
        self.clear();
        if full {
            self.restart();
        }
    }

    /// Takes ended requests out of their realms, and realms that are not needed any more.
    fn clear(&mut self) {
        loop {
            let ended: Vec<_> = self.shared.ended.borrow_mut().drain(..).collect();
            if ended.is_empty() {
                break;
            }
            for request in ended {
                let Some(at) = self.world.position(request.realm) else { continue };
                self.world.realms[at].live = self.world.realms[at].live.saturating_sub(1);
                let gone = self.world.realms[at].manner == Manner::Classic;
                if request.remembered && !gone {
                    let id = number(request.id);
                    self.turn_in(request.realm, 0, |ctx, doors| {
                        doors.forget.clone().restore(ctx)?.call((id, request.timers))
                    });
                }
            }
            self.world.sweep(&self.shared);
        }
    }
}

/// A buffer for a script; `undefined` when it is empty and nothing follows.
fn bytes<'js>(ctx: &Ctx<'js>, bytes: &[u8], always: bool) -> Result<Value<'js>> {
    if bytes.is_empty() && !always {
        return Ok(Value::new_undefined(ctx.clone()));
    }
    TypedArray::<u8>::new_copy(ctx.clone(), bytes)?.arraybuffer()?.into_js(ctx)
}
