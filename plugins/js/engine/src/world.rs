//! The interpreter of an engine and the realms in it; all go together when one of them cannot be
//! trusted any more.

use crate::protocol::{Level, NO_REQUEST};
use crate::raw;
use crate::realm::{Doors, Manner, Realm};
use crate::shared::{RealmId, Shared};
use crate::{clock, modules};
use rquickjs::{Ctx, Error, Exception, Result, Runtime, Value};
use std::rc::Rc;
use std::time::Duration;

/// Realms in which modules run at the same time; more than one only for requests of different users.
const MODULE_REALMS_MAX: usize = 8;

/// How much is allocated before cycles are looked for: a few realms of classic scripts.
const GARBAGE_BYTES: usize = 3 << 20;

/// Jobs between two looks at the clock.
const JOBS_A_LOOK: u32 = 64;

pub(crate) struct World {
    // In this order: realms go before their runtime.
    pub(crate) realms: Vec<Realm>,
    spare: Option<Realm>,
    next_realm: RealmId,
    pub(crate) runtime: Runtime,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Nothing is left to run.
    Quiet,
    /// Its processor time was over.
    Spent,
    /// Its processor time was over, and what it queued would go on for ever.
    Storm,
}

impl World {
    pub(crate) fn new(shared: &Rc<Shared>, first_realm: RealmId) -> Result<Self> {
        let runtime = Runtime::new()?;
        let limits = shared.setup.limits;
        runtime.set_memory_limit(usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX));
        runtime.set_max_stack_size(usize::try_from(limits.stack_bytes).unwrap_or(usize::MAX));
        runtime.set_gc_threshold(GARBAGE_BYTES);
        let loader = modules::Modules(Rc::clone(&shared.setup));
        runtime.set_loader(loader.clone(), loader);
        let watched = Rc::clone(shared);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.turn.spent())));
        let watched = Rc::clone(shared);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |_, promise, reason, handled| track(&watched, &promise, &reason, handled),
        )));
        Ok(Self { realms: Vec::new(), spare: None, next_realm: first_realm, runtime })
    }

    /// The number that no realm has had.
    pub(crate) fn next_realm(&self) -> RealmId {
        self.next_realm
    }

    pub(crate) fn position(&self, id: RealmId) -> Option<usize> {
        self.realms.iter().position(|realm| realm.id == id)
    }

    /// A realm for modules that a request of this user may enter; `None`: it has to wait.
    pub(crate) fn for_module(&mut self, shared: &Rc<Shared>, user: &str) -> Result<Option<usize>> {
        let open = |realm: &Realm| realm.manner == Manner::Module && !realm.spoiled;
        let same = self.realms.iter().position(|realm| open(realm) && realm.user == user);
        let found =
            same.or_else(|| self.realms.iter().position(|realm| open(realm) && realm.live == 0));
        if let Some(at) = found {
            user.clone_into(&mut self.realms[at].user);
            return Ok(Some(at));
        }
        let there = self.realms.iter().filter(|realm| realm.manner == Manner::Module).count();
        if there >= MODULE_REALMS_MAX {
            return Ok(None);
        }
        let mut realm = self.make(shared, Manner::Module)?;
        user.clone_into(&mut realm.user);
        self.realms.push(realm);
        Ok(Some(self.realms.len() - 1))
    }

    /// A fresh realm for a classic script; `None`: another one runs.
    pub(crate) fn for_classic(&mut self, shared: &Rc<Shared>) -> Result<Option<usize>> {
        if self.realms.iter().any(|realm| realm.manner == Manner::Classic) {
            return Ok(None);
        }
        let realm = match self.spare.take() {
            Some(realm) => realm,
            None => self.make(shared, Manner::Classic)?,
        };
        self.realms.push(realm);
        Ok(Some(self.realms.len() - 1))
    }

    /// Prepares a realm for the next classic script, if there is none; whether there was work.
    pub(crate) fn prepare(&mut self, shared: &Rc<Shared>) -> bool {
        if self.spare.is_some() {
            return false;
        }
        self.spare = self.make(shared, Manner::Classic).ok();
        true
    }

    fn make(&mut self, shared: &Rc<Shared>, manner: Manner) -> Result<Realm> {
        self.next_realm += 1;
        let turn = &shared.turn;
        turn.request.set(NO_REQUEST);
        arm(shared, Duration::from_millis(u64::from(shared.setup.limits.cpu_ms).max(1_000)));
        Realm::new(&self.runtime, shared, self.next_realm, manner)
    }

    /// Gives memory back.
    pub(crate) fn collect(&mut self) {
        self.spare = None;
        self.runtime.run_gc();
    }

    /// Whether nearly all memory is taken. Looks at the whole heap: for failures only.
    pub(crate) fn is_full(&self, shared: &Shared) -> bool {
        let used = u64::try_from(self.runtime.memory_usage().malloc_size).unwrap_or_default();
        used / 4 * 5 > shared.setup.limits.memory_bytes
    }

    /// Takes out realms that nothing runs in and nothing will.
    pub(crate) fn sweep(&mut self, shared: &Shared) {
        let over =
            |realm: &Realm| realm.live == 0 && (realm.manner == Manner::Classic || realm.spoiled);
        self.realms.retain(|realm| {
            let goes = over(realm);
            if goes {
                shared.timers.borrow_mut().remove_realm(realm.id);
            }
            !goes
        });
    }

    /// One turn of a request: `call`, then everything that it queued. What `call` throws is the
    /// platform's own fault and fails the request.
    pub(crate) fn turn(
        &self,
        at: usize,
        shared: &Shared,
        request: u64,
        call: impl for<'js> FnOnce(&Ctx<'js>, &Doors) -> Result<()>,
    ) -> Ending {
        let Some(realm) = self.realms.get(at) else { return Ending::Quiet };
        let limit = Duration::from_millis(u64::from(shared.setup.limits.cpu_ms));
        let before = shared.live.borrow().get(&request).map_or(Duration::ZERO, |live| live.cpu);
        shared.turn.request.set(request);
        shared.turn.realm.set(realm.id);
        arm(shared, limit.saturating_sub(before).max(Duration::from_millis(1)));
        let (mut ending, thrown) = realm.context.with(|ctx| {
            let thrown = call(&ctx, &realm.doors).err().map(|error| caught(&ctx, &error));
            (drain(&ctx, shared), thrown)
        });
        if shared.turn.tripped.get() && ending == Ending::Quiet {
            ending = Ending::Spent;
        }
        let took = clock::now().saturating_duration_since(shared.turn.began.get());
        if let Some(live) = shared.live.borrow_mut().get_mut(&request) {
            live.cpu += took;
        }
        if let Some((message, stack)) = thrown.filter(|_| ending == Ending::Quiet) {
            shared.fail(request, "FUNCTION_ERROR", &message, &stack, false);
        }
        for (_, text) in shared.rejected.borrow_mut().drain(..) {
            shared.log(Level::Error, &format!("Uncaught (in promise) {text}"));
        }
        shared.turn.request.set(NO_REQUEST);
        ending
    }
}

/// Starts the clock of a turn.
fn arm(shared: &Shared, budget: Duration) {
    let now = clock::now();
    shared.turn.began.set(now);
    shared.turn.budget.set(budget);
    shared.turn.deadline.set(now + budget);
    shared.turn.tripped.set(false);
}

/// Runs jobs until none is left or the time is over.
fn drain(ctx: &Ctx<'_>, shared: &Shared) -> Ending {
    let mut count = 0_u32;
    while ctx.execute_pending_job() {
        count += 1;
        if count.is_multiple_of(JOBS_A_LOOK) && shared.turn.spent() {
            return Ending::Storm;
        }
    }
    Ending::Quiet
}

/// Message and stack of what was thrown.
fn caught(ctx: &Ctx<'_>, error: &Error) -> (String, String) {
    if !error.is_exception() {
        return (error.to_string(), String::new());
    }
    let value = ctx.catch();
    (described(&value), stack(&value))
}

fn described(value: &Value<'_>) -> String {
    let ctx = value.ctx();
    if value.is_null() {
        return crate::problem::NULL_THROWN.to_owned();
    }
    raw::text(value).unwrap_or_else(|_| {
        drop(ctx.catch());
        "something that has no text was thrown".to_owned()
    })
}

fn stack(value: &Value<'_>) -> String {
    let exception = value.as_object().and_then(|object| Exception::from_object(object.clone()));
    exception.and_then(|exception| exception.stack()).unwrap_or_default()
}

fn track(shared: &Shared, promise: &Value<'_>, reason: &Value<'_>, handled: bool) {
    let address = raw::address(promise);
    let mut rejected = shared.rejected.borrow_mut();
    if handled {
        rejected.retain(|(known, _)| *known != address);
    } else if rejected.len() < 16 {
        drop(rejected);
        let (text, stack) = (described(reason), stack(reason));
        let stack = crate::problem::app_stack(&stack, &shared.setup);
        let text = if stack.is_empty() { text } else { format!("{text}\n{stack}") };
        shared.rejected.borrow_mut().push((address, text));
    }
}
