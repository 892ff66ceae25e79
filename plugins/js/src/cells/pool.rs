//! Which cell answers a request, and when there is another one.
//!
//! Each app has cells of its own, at most so many, and requests that wait for one, at most so many for
//! at most so long. So an app that keeps its cells busy keeps nobody else waiting. When the node has as
//! many cells as it may, the one that nobody asked for longest goes, if anybody is idle.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fazt_js_engine::protocol::{
    Binding, Entry, File, FromCell, Init, Limits as CellLimits, Style, ToCell,
};
use fazt_sdk::call::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::Bindings as _;
use fazt_sdk::services::workers::WorkersApi;
use fazt_sdk::{AppId, Error, Result};
use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::cell::{Cell, Offers, Surroundings, Ticket};
use super::link::Link;
use super::reply::Reply;
use crate::code::Code;

/// Pause after a cell that did not come up, doubled from the first to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(10);

/// How long an idle cell takes to go.
const EVICTION: Duration = Duration::from_millis(5);

/// How long the platform may take to compile.
const COMPILE_WITHIN: Duration = Duration::from_secs(10);

/// All cells of the node.
pub(crate) struct Pool {
    pub(crate) around: Surroundings,
    pub(crate) workers: Service<WorkersApi>,
    state: Mutex<State>,
    number: AtomicU64,
    prelude: Mutex<Prelude>,
}

/// The platform, compiled; made in a cell that never held an app's code.
#[derive(Default)]
enum Prelude {
    #[default]
    Missing,
    InTheMaking,
    Ready(Bytes),
}

#[derive(Default)]
struct State {
    apps: HashMap<AppId, App>,
}

#[derive(Default)]
struct App {
    cells: Vec<Arc<Cell>>,
    starting: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
    failures: u32,
    /// No cell is started before.
    not_before: Duration,
    why: Option<Error>,
}

/// What is to be done for a request.
enum Next {
    Go(Ticket, oneshot::Receiver<Reply>),
    Start,
    Wait(oneshot::Receiver<()>),
    /// Ends this idle cell, then looks again.
    Evict(Arc<Cell>),
}

impl Pool {
    pub(crate) fn new(around: Surroundings, workers: Service<WorkersApi>) -> Arc<Self> {
        Arc::new(Self {
            around,
            workers,
            state: Mutex::default(),
            number: AtomicU64::new(1),
            prelude: Mutex::default(),
        })
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number for a request, used once.
    pub(crate) fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// A place for a request in a cell of `code`.
    ///
    /// # Errors
    /// `Busy` when too many wait, or for too long, or when the app has used up its processor time; why
    /// no cell comes up.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        call: &Call,
        code: &Arc<Code>,
        entry: u16,
        id: u64,
    ) -> Result<(Ticket, oneshot::Receiver<Reply>)> {
        let clock = self.around.host.clock();
        self.around.meters.admit(code.app, clock.monotonic())?;
        let until = clock.monotonic() + Duration::from_millis(self.around.limits.queue_ms);
        loop {
            let now = clock.monotonic();
            let next = self.state(|state| self.next(state, call, code, entry, id, now))?;
            match next {
                Next::Go(ticket, reply) => return Ok((ticket, reply)),
                Next::Start => self.start(call, code)?,
                Next::Evict(cell) => {
                    cell.retire();
                    clock.sleep(EVICTION).await;
                }
                Next::Wait(woken) => {
                    let left = until.saturating_sub(now);
                    if left.is_zero() {
                        return Err(too_busy());
                    }
                    let patience = Box::pin(clock.sleep(left));
                    if let Either::Right(_) = select(woken, patience).await {
                        return Err(too_busy());
                    }
                }
            }
        }
    }

    fn next(
        &self,
        state: &mut State,
        call: &Call,
        code: &Arc<Code>,
        entry: u16,
        id: u64,
        now: Duration,
    ) -> Result<Next> {
        let limits = &self.around.limits;
        let app = state.apps.entry(code.app).or_default();
        app.cells.retain(|cell| !cell.has_ended());
        // Nearly always there is one cell, or each has room.
        if let [cell] = &*app.cells
            && Arc::ptr_eq(&cell.code, code)
            && cell.style(entry) == Some(Style::Module)
            && !cell.may_be_stuck(now)
            && let Some((ticket, reply)) = cell.enter(call, id, entry)
        {
            return Ok(Next::Go(ticket, reply));
        }
        let all: usize = state.apps.values().map(|app| app.cells.len() + app.starting).sum();
        let app = state.apps.entry(code.app).or_default();
        let own = app.cells.len() + app.starting;
        let may_start = app.starting == 0
            && own < limits.cells_of_app(code.shares())
            && all < limits.cells_node
            && now >= app.not_before;
        if let Some((cell, is_eager)) = choose(&app.cells, code, entry, now)
            && (is_eager || !may_start)
            && let Some((ticket, reply)) = cell.enter(call, id, entry)
        {
            return Ok(Next::Go(ticket, reply));
        }
        // Cells of other code finish what they have, and make room.
        for cell in app.cells.iter().filter(|cell| !Arc::ptr_eq(&cell.code, code)) {
            cell.retire();
        }
        let is_first = app.starting == 0;
        if own < limits.cells_of_app(code.shares()) && (is_first || !code.shares()) {
            if now < app.not_before {
                let why = app.why.clone().unwrap_or_else(|| Error::unavailable("it ended at once"));
                return Err(why.context("the app's code does not start"));
            }
            if all < limits.cells_node {
                app.starting += 1;
                return Ok(Next::Start);
            }
            if own == 0
                && let Some(cell) = idlest(state, code.app)
            {
                return Ok(Next::Evict(cell));
            }
        }
        let app = state.apps.entry(code.app).or_default();
        app.waiting.retain(|waiting| !waiting.is_canceled());
        if app.waiting.len() >= limits.queue {
            return Err(too_busy());
        }
        let (wake, woken) = oneshot::channel();
        app.waiting.push_back(wake);
        Ok(Next::Wait(woken))
    }

    /// Wakes so many of those who wait for a cell of `app`.
    fn wake(&self, app: AppId, count: usize) {
        self.state(|state| {
            let Some(app) = state.apps.get_mut(&app) else { return };
            let mut left = count;
            while left > 0 {
                let Some(waiting) = app.waiting.pop_front() else { return };
                if waiting.send(()).is_ok() {
                    left -= 1;
                }
            }
        });
    }

    /// Starts a cell in the background: it outlives the request that needs it.
    fn start(self: &Arc<Self>, call: &Call, code: &Arc<Code>) -> Result<()> {
        let (pool, call, code) = (Arc::clone(self), *call, Arc::clone(code));
        let name = format!("cell.{}", self.number());
        let app = code.app;
        let spawned = self.around.host.tasks().spawn(&name, move || {
            let (pool, code) = (Arc::clone(&pool), Arc::clone(&code));
            async move {
                pool.run(&call, code).await;
                Ok(())
            }
        });
        if spawned.is_err() {
            self.state(|state| {
                if let Some(app) = state.apps.get_mut(&app) {
                    app.starting = app.starting.saturating_sub(1);
                }
            });
        }
        spawned
    }

    /// The life of one cell.
    async fn run(self: &Arc<Self>, call: &Call, code: Arc<Code>) {
        let app_id = code.app;
        let clock = self.around.host.clock();
        let begun = self.begin(call, &code, &self.around).await;
        let now = clock.monotonic();
        let (cell, nudged) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.state(|state| {
                    let app = state.apps.entry(app_id).or_default();
                    app.starting = app.starting.saturating_sub(1);
                    app.fail(now, error);
                });
                self.wake(app_id, usize::MAX);
                return;
            }
        };
        self.state(|state| {
            let app = state.apps.entry(app_id).or_default();
            app.starting = app.starting.saturating_sub(1);
            app.cells.push(Arc::clone(&cell));
        });
        self.wake(app_id, 1);
        let pool = Arc::clone(self);
        Arc::clone(&cell).drive(nudged, move |room| pool.wake(app_id, room)).await;
        let lived = clock.monotonic().saturating_sub(now);
        self.state(|state| {
            let Some(app) = state.apps.get_mut(&app_id) else { return };
            app.cells.retain(|other| !Arc::ptr_eq(other, &cell));
            if lived > PAUSE_LAST {
                app.failures = 0;
            }
            if app.cells.is_empty() && app.starting == 0 && app.waiting.is_empty() {
                state.apps.remove(&app_id);
            }
        });
        self.wake(app_id, usize::MAX);
    }

    /// A cell of `code` that nobody drives yet, with the limits of `around`.
    ///
    /// # Errors
    /// Why none comes up.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        call: &Call,
        code: &Arc<Code>,
        around: &Surroundings,
    ) -> Result<(Arc<Cell>, futures_channel::mpsc::UnboundedReceiver<()>)> {
        let limits = &around.limits;
        let list = around.bindings.list(call).await?;
        let prelude = self.prelude(call);
        let link = Link::start(call, limits.isolation, &self.workers, limits).await?;
        let init = Init {
            app_id: &code.app.to_string(),
            app_name: &code.name,
            app_url: &code.url,
            version: env!("CARGO_PKG_VERSION"),
            limits: CellLimits {
                memory_bytes: limits.memory_bytes,
                stack_bytes: limits.stack_bytes,
                cpu_ms: limits.cpu_ms,
                root_cpu_ms: limits.root_cpu_ms,
                wall_ms: limits.wall_ms,
                interleave: limits.interleave,
                response_bytes: limits.response_bytes,
                log_lines: limits.log_lines,
            },
            dev: limits.dev,
            env: &code.env,
            bindings: list
                .bindings
                .iter()
                .map(|binding| Binding {
                    name: &binding.name,
                    arguments: binding.arguments.iter().map(String::as_str).collect(),
                    promise: binding.promise,
                })
                .collect(),
            scripts: list.scripts.iter().map(|script| (&*script.plugin, &*script.source)).collect(),
            files: code
                .files
                .iter()
                .map(|(path, source)| {
                    let (source, stripped) = code.as_run(path, source);
                    File { path, source, stripped }
                })
                .collect(),
            entries: code.entries.iter().map(|(path, role)| Entry { path, role: *role }).collect(),
            prelude: prelude.as_deref(),
        };
        let frame = ToCell::Init(Box::new(init)).to_bytes();
        let started = link.send(vec![frame]).await;
        let (cell, nudged) = Cell::new(Arc::clone(code), link, around.clone(), Offers::new(&list));
        if let Err(error) = started {
            cell.link.kill().await;
            return Err(error);
        }
        Ok((cell, nudged))
    }

    /// The platform as bytecode, if it is there. The first to ask has it made, and does not wait: a cell
    /// without it compiles for itself, which takes a few milliseconds longer.
    fn prelude(self: &Arc<Self>, call: &Call) -> Option<Bytes> {
        let mut prelude = self.prelude.lock().unwrap_or_else(PoisonError::into_inner);
        match &*prelude {
            Prelude::Ready(bytecode) => return Some(bytecode.clone()),
            Prelude::InTheMaking => return None,
            Prelude::Missing => {}
        }
        let (pool, call) = (Arc::clone(self), *call);
        let spawned = self.around.host.tasks().spawn("prelude", move || {
            let pool = Arc::clone(&pool);
            async move {
                // What fails here is tried again for the next cell.
                let made = pool.compile(&call).await.ok().flatten();
                let mut prelude = pool.prelude.lock().unwrap_or_else(PoisonError::into_inner);
                *prelude = made.map_or(Prelude::Missing, Prelude::Ready);
                Ok(())
            }
        });
        if spawned.is_ok() {
            *prelude = Prelude::InTheMaking;
        }
        None
    }

    async fn compile(&self, call: &Call) -> Result<Option<Bytes>> {
        let limits = &self.around.limits;
        let link = Link::start(call, limits.isolation, &self.workers, limits).await?;
        let asked = link.send(vec![ToCell::Compile {}.to_bytes()]).await;
        let answered = async {
            while let Some(frames) = link.receive().await {
                for frame in frames {
                    if let Ok(FromCell::Prelude { bytecode }) = FromCell::decode(&frame) {
                        return Some(frame.slice_ref(bytecode));
                    }
                }
            }
            None
        };
        let patience = self.around.host.clock();
        let patience = Box::pin(patience.sleep(COMPILE_WITHIN));
        let bytecode = match select(Box::pin(answered), patience).await {
            Either::Left((bytecode, _)) => bytecode,
            Either::Right(_) => None,
        };
        link.kill().await;
        asked.map(|()| bytecode)
    }

    /// Ends the cells of an app whose code or variables are not what they were.
    pub(crate) fn retire(&self, app: AppId) {
        let cells = self.state(|state| state.apps.get(&app).map(|app| app.cells.clone()));
        for cell in cells.into_iter().flatten() {
            cell.retire();
        }
    }
}

impl App {
    fn fail(&mut self, now: Duration, why: Error) {
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(10)).min(PAUSE_LAST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause;
        self.why = Some(why);
    }
}

/// The cell of this code that a request is best let into, if any has room, and whether that is better
/// than another cell.
///
/// Modules share a cell: the one with the least room, so that the others may become idle, and go.
/// Classic scripts run one after another: the cell with the fewest before it, and a new one rather than
/// behind somebody. One that may be stuck is the last resort of a module, and none of a script.
fn choose<'a>(
    cells: &'a [Arc<Cell>],
    code: &Arc<Code>,
    entry: u16,
    now: Duration,
) -> Option<(&'a Arc<Cell>, bool)> {
    let same = cells.iter().filter(|cell| Arc::ptr_eq(&cell.code, code));
    let with_room = same.filter_map(|cell| {
        let room = cell.room(entry);
        (room > 0).then(|| (cell.may_be_stuck(now), room, cell))
    });
    if code.style(entry) == Some(Style::Module) {
        let (is_stuck, _, cell) = with_room.min_by_key(|(is_stuck, room, _)| (*is_stuck, *room))?;
        return Some((cell, !is_stuck));
    }
    let free = with_room.filter(|(is_stuck, ..)| !is_stuck);
    let (_, _, cell) = free.max_by_key(|(_, room, _)| *room)?;
    Some((cell, cell.is_empty()))
}

/// The cell of another app that nobody asked for longest.
fn idlest(state: &State, not: AppId) -> Option<Arc<Cell>> {
    let others = state.apps.iter().filter(|(app, _)| **app != not);
    let idle = others.flat_map(|(_, app)| &app.cells);
    let idle = idle.filter_map(|cell| Some((cell.idle_since()?, cell)));
    idle.min_by_key(|(since, _)| *since).map(|(_, cell)| Arc::clone(cell))
}

fn too_busy() -> Error {
    Error::busy("the app has more requests than it can answer now; try again in a moment")
        .with_code("OVERLOADED")
}
