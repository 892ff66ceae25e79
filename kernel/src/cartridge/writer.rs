//! The single writer: one thread, one read-write connection, one transaction for many callers.
//!
//! Closures run one after the other, each under a savepoint, and share a commit. Every caller is told
//! after the commit, which at `synchronous=FULL` returns after the log is on the disk.
//!
//! Some errors (disk full, I/O, out of memory) make SQLite roll back the whole transaction. Then the
//! closure in which it happened is answered, and the others run again without it. When the commit
//! itself fails, the closures run again one by one, so that each is answered for itself.
//!
//! A sync that fails ends everything: after it nobody knows what the disk holds, and asking again
//! would be answered with a lie. From then on nothing is acknowledged.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Shared,
    access::Access,
    checkpoint::Log,
    error::{CartridgeError, SqlError, SqlErrorKind},
    queue::{Job, Next},
    reader::Inside,
    statement::Session,
    tx::{CommitHook, WriteTx},
};

/// The thread's state. Errands receive it.
pub(super) struct Writer {
    pub(super) session: Session,
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
}

/// How a run of one closure ended.
struct Ran {
    result: Result<(), CartridgeError>,
    hooks: Vec<CommitHook>,
    last_event: i64,
}

/// How a run of a whole group ended.
enum Attempt {
    /// Everything that succeeded is on the disk.
    Committed(Vec<Ran>),
    /// The job at this place took the transaction with it.
    Lost(usize, CartridgeError),
    /// There was no transaction to begin with.
    NotBegun(SqlError),
    /// The commit failed, and no job in particular is to blame.
    Refused(SqlError),
    /// The disk did not keep a promise.
    Fatal(SqlError),
}

impl Writer {
    /// Works until the queue ends. Returns whether the connection may still be trusted.
    pub(super) fn run(&mut self) -> bool {
        loop {
            let idle = self.log.idle_after();
            match self.shared.queue.next(self.shared.options.batch_max_closures, idle) {
                Next::Jobs(jobs) => self.group(jobs),
                Next::Errand(errand) => errand(self),
                Next::Idle => self.rest(),
                Next::End => return true,
            }
            if self.shared.failure().is_some() {
                return false;
            }
        }
    }

    /// Writes what the jobs ask for and answers each.
    fn group(&mut self, mut jobs: Vec<Job>) {
        if let Some(pressure) = self.log.pressure(&self.session, &self.shared) {
            answer_all(jobs, &pressure);
            return;
        }
        let mut together = true;
        while !jobs.is_empty() {
            let rest = if together { Vec::new() } else { jobs.split_off(1) };
            let attempt = self.attempt(&mut jobs, together);
            match attempt {
                Attempt::Committed(ran) => {
                    self.shared.publish_events(ran.iter().map(|r| r.last_event).max());
                    for (job, ran) in jobs.drain(..).zip(ran) {
                        answer(job, ran);
                    }
                }
                Attempt::Lost(at, error) => {
                    let job = jobs.remove(at);
                    drop(job.answer.send(Err(error)));
                }
                Attempt::NotBegun(error) => {
                    let error = error.into();
                    answer_all(jobs, &error);
                    answer_all(rest, &error);
                    return;
                }
                Attempt::Refused(_) if together && jobs.len() > 1 => together = false,
                Attempt::Refused(error) => answer_all(std::mem::take(&mut jobs), &error.into()),
                Attempt::Fatal(error) => {
                    let failed = self.fail(&error);
                    answer_all(jobs, &failed);
                    answer_all(rest, &failed);
                    return;
                }
            }
            jobs.extend(rest);
        }
        if let Err(error) = self.log.after_commit(&self.session, &self.shared) {
            self.fail(&error);
        }
    }

    /// Runs all jobs in one transaction and commits it.
    fn attempt(&self, jobs: &mut Vec<Job>, may_grow: bool) -> Attempt {
        if let Err(error) = self.session.own_execute("BEGIN IMMEDIATE", &[]) {
            return if error.is_failed_sync() {
                Attempt::Fatal(error)
            } else {
                Attempt::NotBegun(error)
            };
        }
        let clock = &self.shared.options.clock;
        let start = clock.monotonic();
        let mut all = Vec::with_capacity(jobs.len());
        while let Some(job) = jobs.get(all.len()) {
            match self.run_one(job, clock.unix_ms()) {
                Ok(ran) => all.push(ran),
                Err(error) if error.is_failed_sync() => return Attempt::Fatal(error),
                Err(error) => {
                    // SQLite rolls back by itself in most cases, and must in all of them.
                    if !self.session.raw.is_autocommit()
                        && let Err(error) = self.session.own_execute("ROLLBACK", &[])
                    {
                        return self.undo(error);
                    }
                    return Attempt::Lost(all.len(), error.into());
                }
            }
            let waited = clock.monotonic().saturating_sub(start);
            if may_grow && all.len() == jobs.len() && waited < GROUP_TIME_MAX {
                self.shared.queue.top_up(jobs, self.shared.options.batch_max_closures);
            }
        }
        match self.session.own_execute("COMMIT", &[]) {
            Ok(_) => Attempt::Committed(all),
            Err(error) => self.undo(error),
        }
    }

    /// Runs one job under a savepoint. An error means that the transaction is lost.
    fn run_one(&self, job: &Job, now_ms: i64) -> Result<Ran, SqlError> {
        self.session.own_execute("SAVEPOINT closure", &[])?;
        let now = (now_ms, self.shared.options.clock.monotonic());
        let tx = WriteTx::new(&self.session, &job.owner, job.app, now, &self.shared.pins);
        let result = {
            let _inside = Inside::enter();
            let _entered = self.session.enter(Access::Rows(job.owner.clone()));
            catch_unwind(AssertUnwindSafe(|| (job.closure)(&tx)))
        };
        let last_event = tx.last_event.get();
        let (hooks, fatal) = tx.finish();
        if let Some(error) = fatal {
            return Err(error);
        }
        if self.session.raw.is_autocommit() {
            return Err(SqlError::own(
                SqlErrorKind::RolledBack,
                "the transaction was rolled back inside the closure",
            ));
        }
        let result = match result {
            Ok(result) => result.map_err(CartridgeError::from),
            Err(_panic) => Err(CartridgeError::Panicked),
        };
        if result.is_ok() {
            self.session.own_execute("RELEASE closure", &[])?;
            return Ok(Ran { result, hooks, last_event });
        }
        self.session.own_execute("ROLLBACK TO closure", &[])?;
        self.session.own_execute("RELEASE closure", &[])?;
        Ok(Ran { result, hooks: Vec::new(), last_event: 0 })
    }

    /// Leaves the transaction after an error that concerns all of it.
    fn undo(&self, error: SqlError) -> Attempt {
        if error.is_failed_sync() {
            return Attempt::Fatal(error);
        }
        if !self.session.raw.is_autocommit()
            && let Err(second) = self.session.own_execute("ROLLBACK", &[])
            && !self.session.raw.is_autocommit()
        {
            // A transaction that can neither be kept nor left.
            return Attempt::Fatal(second);
        }
        Attempt::Refused(error)
    }

    /// Stops for good, and tells everyone.
    pub(super) fn fail(&self, error: &SqlError) -> CartridgeError {
        self.shared.fail(&format!("{error} (code {})", error.code))
    }

    fn rest(&mut self) {
        if let Err(error) = self.log.when_idle(&self.session, &self.shared) {
            self.fail(&error);
        }
    }
}

fn answer(job: Job, ran: Ran) {
    let mut result = ran.result;
    // A hook that called the cartridge would wait for this thread.
    let _inside = Inside::enter();
    for hook in ran.hooks {
        if catch_unwind(AssertUnwindSafe(hook)).is_err() {
            result = Err(CartridgeError::HookPanicked);
        }
    }
    drop(job.answer.send(result));
}

fn answer_all(jobs: Vec<Job>, error: &CartridgeError) {
    for job in jobs {
        drop(job.answer.send(Err(error.clone())));
    }
}

/// Sends an errand to the writer and returns where its answer arrives.
pub(super) fn send<T: Send + 'static>(
    shared: &Shared,
    errand: impl FnOnce(&mut Writer) -> Result<T, CartridgeError> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, CartridgeError>>, CartridgeError> {
    Inside::check()?;
    let (answer, receiver) = oneshot::channel();
    shared.queue.push_errand(Box::new(move |writer| {
        drop(answer.send(errand(writer)));
    }))?;
    Ok(receiver)
}

/// How long a group takes in newcomers before it commits.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);
