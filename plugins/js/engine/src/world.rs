//! The interpreters of an engine and the realms in them. Modules share one interpreter, which goes
//! with all that is in it when it cannot be trusted any more; classic scripts have one of their own
//! ([`Pristine`]), which forgets each of them.

use crate::pristine::{NO_REALM, Pristine};
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

/// How much is allocated before cycles are looked for.
const GARBAGE_BYTES: usize = 3 << 20;

/// Jobs between two looks at the clock.
const JOBS_A_LOOK: u32 = 64;

pub(crate) struct World {
    // In this order: realms go before their runtime.
    pub(crate) realms: Vec<Realm>,
    /// Where classic scripts run, once there was one.
    pristine: Option<Pristine>,
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
        configure(&runtime, shared);
        Ok(Self { realms: Vec::new(), pristine: None, next_realm: first_realm, runtime })
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

    /// The realm for a classic script, as new; `None`: another one runs in it.
    pub(crate) fn for_classic(&mut self, shared: &Rc<Shared>) -> Result<Option<usize>> {
        if self.realms.iter().any(|realm| realm.manner == Manner::Classic && realm.live > 0) {
            return Ok(None);
        }
        self.renew(shared)?;
        if let Some(pristine) = &mut self.pristine {
            pristine.spend();
        }
        Ok(self.realms.iter().position(|realm| realm.manner == Manner::Classic))
    }

    /// Makes the realm for the next classic script as new; whether there was work.
    pub(crate) fn prepare(&mut self, shared: &Rc<Shared>) -> bool {
        let ready = self.pristine.as_ref().is_some_and(|pristine| !pristine.is_stale());
        !ready && self.renew(shared).is_ok()
    }

    fn renew(&mut self, shared: &Rc<Shared>) -> Result<()> {
        self.next_realm += 1;
        let id = self.next_realm;
        if self.pristine.as_ref().is_some_and(Pristine::is_outgrown) {
            self.forget_classic();
        }
        let Some(pristine) = &mut self.pristine else {
            arm_for_setup(shared);
            let (pristine, realm) = Pristine::new(shared, id)?;
            self.realms.push(realm);
            self.pristine = Some(pristine);
            return Ok(());
        };
        pristine.put_back();
        for realm in self.realms.iter_mut().filter(|realm| realm.manner == Manner::Classic) {
            (realm.id, realm.spoiled) = (id, false);
        }
        Ok(())
    }

    /// Gives the interpreter of classic scripts up.
    fn forget_classic(&mut self) {
        self.realms.retain(|realm| realm.manner != Manner::Classic);
        self.pristine = None;
    }

    fn make(&mut self, shared: &Rc<Shared>, manner: Manner) -> Result<Realm> {
        self.next_realm += 1;
        arm_for_setup(shared);
        Realm::new(&self.runtime, shared, self.next_realm, manner)
    }

    /// Gives memory back.
    pub(crate) fn collect(&mut self) {
        self.runtime.run_gc();
    }

    /// Whether nearly all memory is taken. Looks at the whole heap: for failures only.
    pub(crate) fn is_full(&self, shared: &Shared) -> bool {
        let limit = shared.setup.limits.memory_bytes;
        let classic = self.pristine.as_ref().map(Pristine::runtime);
        [Some(&self.runtime), classic].into_iter().flatten().any(|runtime| {
            let used = u64::try_from(runtime.memory_usage().malloc_size).unwrap_or_default();
            used / 4 * 5 > limit
        })
    }

    /// Takes out realms that nothing runs in and nothing will.
    pub(crate) fn sweep(&mut self, shared: &Shared) {
        self.realms.retain_mut(|realm| {
            if realm.live > 0 {
                return true;
            }
            let is_classic = realm.manner == Manner::Classic;
            if is_classic || realm.spoiled {
                shared.timers.borrow_mut().remove_realm(realm.id);
            }
            if is_classic {
                // Whatever still comes for the script that was in it finds nobody.
                realm.id = NO_REALM;
            }
            is_classic || !realm.spoiled
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
        let limit = Duration::from_millis(shared.cpu_limit(request).0.into());
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

/// Limits and hooks of an interpreter.
pub(crate) fn configure(runtime: &Runtime, shared: &Rc<Shared>) {
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
}

/// Starts the clock for a realm that is made.
fn arm_for_setup(shared: &Shared) {
    shared.turn.request.set(NO_REQUEST);
    arm(shared, Duration::from_millis(u64::from(shared.setup.limits.cpu_ms).max(1_000)));
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
