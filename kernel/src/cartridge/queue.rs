//! Writes that wait for the writer: bounded, first come first served within an app, one app after
//! the other between them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    error::{CartridgeError, TxError},
    owner::Owner,
    tx::WriteTx,
    writer::Writer,
};

/// Identifies an app: the 12 characters after `fazt_app_`.
pub type AppKey = [u8; 12];

/// What a caller wants written. It may run more than once, and only the last run counts.
pub type WriteClosure = Box<dyn Fn(&WriteTx<'_>) -> Result<(), TxError> + Send>;

/// Work that has the writer for itself, between two groups.
pub(super) type Errand = Box<dyn FnOnce(&mut Writer) + Send>;

/// One write that waits.
pub(super) struct Job {
    pub(super) owner: Owner,
    pub(super) app: Option<AppKey>,
    pub(super) closure: WriteClosure,
    pub(super) answer: oneshot::Sender<Result<(), CartridgeError>>,
}

/// What the writer does next.
pub(super) enum Next {
    Jobs(Vec<Job>),
    Errand(Errand),
    /// Nothing arrived for a while.
    Idle,
    /// Nothing will arrive any more.
    End,
}

pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Callers that went away; their jobs still lie in the queue.
    abandoned: Arc<AtomicUsize>,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) closures: usize,
    pub(super) closures_per_app: usize,
}

#[derive(Default)]
struct Waiting {
    by_app: HashMap<Option<AppKey>, VecDeque<Job>>,
    /// Apps with work, whose turn it is first.
    turns: VecDeque<Option<AppKey>>,
    errands: VecDeque<Errand>,
    len: usize,
    writer_sleeps: bool,
    ended: Option<CartridgeError>,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            abandoned: Arc::default(),
            limits,
        }
    }

    pub(super) fn abandoned(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.abandoned)
    }

    pub(super) fn push(&self, job: Job) -> Result<(), CartridgeError> {
        let mut waiting = self.lock();
        if let Some(why) = &waiting.ended {
            return Err(why.clone());
        }
        let Limits { closures, closures_per_app } = self.limits;
        let is_full = |waiting: &Waiting| {
            waiting.len >= closures
                || waiting.by_app.get(&job.app).is_some_and(|jobs| jobs.len() >= closures_per_app)
        };
        if is_full(&waiting) && self.abandoned.swap(0, Ordering::Relaxed) > 0 {
            waiting.sweep();
        }
        if waiting.len >= closures {
            return Err(CartridgeError::Busy {
                bound: "write queue, in closures",
                limit: closures,
            });
        }
        if is_full(&waiting) {
            return Err(CartridgeError::Busy {
                bound: "write queue of one app, in closures",
                limit: closures_per_app,
            });
        }
        waiting.push(job);
        self.wake(waiting);
        Ok(())
    }

    pub(super) fn push_errand(&self, errand: Errand) -> Result<(), CartridgeError> {
        let mut waiting = self.lock();
        if let Some(why) = &waiting.ended {
            return Err(why.clone());
        }
        waiting.errands.push_back(errand);
        self.wake(waiting);
        Ok(())
    }

    /// Waits for work, at most `idle` long.
    pub(super) fn next(&self, max: usize, idle: Duration) -> Next {
        let mut waiting = self.lock();
        loop {
            if let Some(errand) = waiting.errands.pop_front() {
                return Next::Errand(errand);
            }
            let mut jobs = Vec::new();
            waiting.take(&mut jobs, max);
            if !jobs.is_empty() {
                return Next::Jobs(jobs);
            }
            if waiting.ended.is_some() {
                return Next::End;
            }
            waiting.writer_sleeps = true;
            let (woken, timeout) =
                self.arrived.wait_timeout(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            waiting = woken;
            waiting.writer_sleeps = false;
            if timeout.timed_out() && waiting.is_empty() && waiting.ended.is_none() {
                return Next::Idle;
            }
        }
    }

    /// Adds what arrived meanwhile, up to `max` jobs in all.
    pub(super) fn top_up(&self, jobs: &mut Vec<Job>, max: usize) {
        self.lock().take(jobs, max);
    }

    /// Accepts nothing more; what is waiting will still be done.
    pub(super) fn end(&self, why: CartridgeError) {
        let mut waiting = self.lock();
        waiting.ended.get_or_insert(why);
        drop(waiting);
        self.arrived.notify_all();
    }

    /// Accepts nothing more and answers everything that waits with `why`.
    pub(super) fn abort(&self, why: &CartridgeError) {
        let mut waiting = self.lock();
        waiting.ended = Some(why.clone());
        let mut jobs = Vec::new();
        waiting.take(&mut jobs, usize::MAX);
        let errands = std::mem::take(&mut waiting.errands);
        drop(waiting);
        drop(errands);
        for job in jobs {
            drop(job.answer.send(Err(why.clone())));
        }
    }

    fn wake(&self, waiting: MutexGuard<'_, Waiting>) {
        let sleeps = waiting.writer_sleeps;
        drop(waiting);
        if sleeps {
            self.arrived.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.len == 0 && self.errands.is_empty()
    }

    fn push(&mut self, job: Job) {
        let app = job.app;
        let jobs = self.by_app.entry(app).or_default();
        if jobs.is_empty() {
            self.turns.push_back(app);
        }
        jobs.push_back(job);
        self.len += 1;
    }

    /// Takes one job of each app in turn. Jobs whose caller went away are dropped.
    fn take(&mut self, into: &mut Vec<Job>, max: usize) {
        while into.len() < max {
            let Some(app) = self.turns.pop_front() else { return };
            let Some(jobs) = self.by_app.get_mut(&app) else { continue };
            if let Some(job) = jobs.pop_front() {
                self.len -= 1;
                if !job.answer.is_closed() {
                    into.push(job);
                }
            }
            if jobs.is_empty() {
                self.by_app.remove(&app);
            } else {
                self.turns.push_back(app);
            }
        }
    }

    fn sweep(&mut self) {
        for jobs in self.by_app.values_mut() {
            jobs.retain(|job| !job.answer.is_closed());
        }
        self.by_app.retain(|_, jobs| !jobs.is_empty());
        self.turns.retain(|app| self.by_app.contains_key(app));
        self.len = self.by_app.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<(), CartridgeError>>;

    fn job(app: u8) -> (Job, Answer) {
        let (answer, receiver) = oneshot::channel();
        let app = Some([app; 12]);
        (Job { owner: Owner::kernel(), app, closure: Box::new(|_| Ok(())), answer }, receiver)
    }

    fn queue(closures: usize, closures_per_app: usize) -> Queue {
        Queue::new(Limits { closures, closures_per_app })
    }

    fn taken(queue: &Queue, max: usize) -> Vec<u8> {
        match queue.next(max, Duration::ZERO) {
            Next::Jobs(jobs) => jobs.iter().filter_map(|job| job.app.map(|app| app[0])).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn apps_take_turns_whoever_came_first() {
        let queue = queue(100, 100);
        let mut receivers = Vec::new();
        for app in [1, 1, 1, 1, 1, 2, 3, 3] {
            let (job, receiver) = job(app);
            receivers.push(receiver);
            queue.push(job).expect("room");
        }
        assert_eq!(taken(&queue, 4), [1, 2, 3, 1]);
        assert_eq!(taken(&queue, 9), [3, 1, 1, 1]);
    }

    #[test]
    fn a_full_queue_refuses_and_names_the_bound() {
        let queue = queue(3, 2);
        let (a, _ra) = job(1);
        let (b, _rb) = job(1);
        let (c, _rc) = job(1);
        queue.push(a).expect("room");
        queue.push(b).expect("room");
        let refused = queue.push(c).expect_err("the app has its share");
        assert_eq!(
            refused,
            CartridgeError::Busy { bound: "write queue of one app, in closures", limit: 2 }
        );
        let (d, _rd) = job(2);
        let (e, _re) = job(3);
        queue.push(d).expect("room");
        let refused = queue.push(e).expect_err("full");
        assert_eq!(refused, CartridgeError::Busy { bound: "write queue, in closures", limit: 3 });
    }

    #[test]
    fn a_caller_that_left_gives_its_place_back() {
        let queue = queue(1, 1);
        let (a, left) = job(1);
        queue.push(a).expect("room");
        drop(left);
        queue.abandoned.fetch_add(1, Ordering::Relaxed);
        let (b, _rb) = job(2);
        queue.push(b).expect("the place of the caller that left");
        assert_eq!(taken(&queue, 9), [2]);
    }

    #[test]
    fn jobs_of_callers_that_left_are_not_taken() {
        let queue = queue(10, 10);
        let (a, left) = job(1);
        let (b, _rb) = job(1);
        queue.push(a).expect("room");
        queue.push(b).expect("room");
        drop(left);
        assert_eq!(taken(&queue, 9), [1]);
        assert!(taken(&queue, 9).is_empty());
    }

    #[test]
    fn what_waits_at_the_end_is_still_done() {
        let queue = queue(10, 10);
        let (a, _ra) = job(1);
        queue.push(a).expect("room");
        queue.end(CartridgeError::Closed);
        let (b, _rb) = job(1);
        assert_eq!(queue.push(b).expect_err("ended"), CartridgeError::Closed);
        assert_eq!(taken(&queue, 9), [1]);
        assert!(matches!(queue.next(9, Duration::ZERO), Next::End));
    }
}
