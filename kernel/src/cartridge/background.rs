//! Long work on a thread of its own: backup, verification, statistics.
//!
//! Two at a time. Closing the cartridge interrupts them and waits until their connections are gone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::InterruptHandle;
use tokio::sync::oneshot;

use super::{
    Shared,
    error::CartridgeError,
    open::{self, Purpose},
    pending::Pending,
    statement::Session,
};

/// What runs in the background of one cartridge.
#[derive(Default)]
pub(super) struct Background(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    handles: Vec<(u64, InterruptHandle)>,
    next: u64,
    closed: bool,
}

impl Background {
    /// Interrupts what runs and waits for it.
    pub(super) fn close(&self) {
        loop {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.closed = true;
            if state.running == 0 {
                return;
            }
            state.handles.iter().for_each(|(_, handle)| handle.interrupt());
            drop(state);
            std::thread::sleep(INTERRUPT_EVERY);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).closed
    }
}

/// Runs `work` on a thread with a reading connection that has no limit.
pub(super) fn run<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: &str,
    work: impl FnOnce(&Shared, &Session) -> Result<T, CartridgeError> + Send + 'static,
) -> Pending<T> {
    let start = || {
        let running = Running::new(shared)?;
        let (answer, receiver) = oneshot::channel();
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let shared = &running.0;
                let path = &shared.path;
                let clock = &shared.options.clock;
                let session = open::open(path, Purpose::Read, &shared.tables, clock)?;
                let _interruptible = Interruptible::new(&shared.background, &session);
                work(shared, &session)
            }));
            let result = result.unwrap_or(Err(CartridgeError::Panicked));
            let closed = running.0.background.is_closed();
            drop(running);
            drop(answer.send(if closed { Err(CartridgeError::Closed) } else { result }));
        };
        std::thread::Builder::new()
            .name(format!("fazt-{name}"))
            .spawn(body)
            .map_err(|e| CartridgeError::Io(format!("start a thread: {e}")))?;
        Ok(receiver)
    };
    Pending::new(start(), None)
}

struct Running(Arc<Shared>);

impl Running {
    fn new(shared: &Arc<Shared>) -> Result<Self, CartridgeError> {
        let mut state = shared.background.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(CartridgeError::Closed);
        }
        if state.running >= BACKGROUND_MAX {
            return Err(CartridgeError::Busy {
                bound: "backups and verifications at a time",
                limit: BACKGROUND_MAX,
            });
        }
        state.running += 1;
        drop(state);
        Ok(Self(Arc::clone(shared)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.background.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running -= 1;
    }
}

struct Interruptible<'b>(&'b Background, u64);

impl<'b> Interruptible<'b> {
    fn new(background: &'b Background, session: &Session) -> Self {
        let mut state = background.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = state.next;
        state.next += 1;
        state.handles.push((id, session.raw.get_interrupt_handle()));
        Self(background, id)
    }
}

impl Drop for Interruptible<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.handles.retain(|(id, _)| *id != self.1);
    }
}

/// Tasks at a time.
const BACKGROUND_MAX: usize = 2;

/// How often work that is being closed is interrupted anew.
const INTERRUPT_EVERY: Duration = Duration::from_millis(5);
