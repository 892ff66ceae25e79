//! Supervised tasks: named, restarted with back-off, ended with their owner.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fazt_abi::error::RawError;
use fazt_sdk::{Error, Result};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::telemetry::Telemetry;

/// Delay before a failed task starts again: doubled from the first to the second of these.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LAST: Duration = Duration::from_secs(5 * 60);

/// A run that lasted this long counts as healthy: the next failure starts at the first delay again.
const HEALTHY_RUN: Duration = Duration::from_secs(60);

/// The most tasks that one owner may have.
const TASKS_PER_OWNER_MAX: usize = 128;

/// The tasks of one owner: the kernel, or one plugin.
#[derive(Debug)]
pub(crate) struct Tasks {
    owner: Arc<str>,
    runtime: Handle,
    telemetry: Arc<Telemetry>,
    names: Arc<Mutex<HashSet<String>>>,
    running: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
    /// In command mode nothing runs in the background.
    idle: bool,
}

impl Tasks {
    pub(crate) fn new(owner: &str, runtime: Handle, telemetry: Arc<Telemetry>, idle: bool) -> Self {
        Self {
            owner: owner.into(),
            runtime,
            telemetry,
            names: Arc::default(),
            running: Mutex::default(),
            stopping: watch::Sender::new(false),
            idle,
        }
    }

    /// Starts `run` and starts it again, later and later, when it fails.
    ///
    /// # Errors
    /// `Conflict` when a task of that name runs; `Busy` past the owner's bound.
    pub(crate) fn spawn<F>(
        &self,
        name: &str,
        run: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.start(name, move |task| async move {
            let mut backoff = BACKOFF_FIRST;
            loop {
                let started = tokio::time::Instant::now();
                match caught(&run).await {
                    Ok(()) => return,
                    Err(error) => task.failed(&error),
                }
                if started.elapsed() >= HEALTHY_RUN {
                    backoff = BACKOFF_FIRST;
                }
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_LAST);
            }
        })
    }

    /// Runs `run` every `interval`, one at a time, first after one interval.
    ///
    /// # Errors
    /// As [`Self::spawn`]; `Invalid` for an interval under 1 ms.
    pub(crate) fn every<F>(
        &self,
        name: &str,
        interval: Duration,
        run: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        if interval < Duration::from_millis(1) {
            return Err(Error::invalid(format!(
                "the task {name} would run more often than every millisecond"
            )));
        }
        self.start(name, move |task| async move {
            loop {
                tokio::time::sleep(interval).await;
                if let Err(error) = caught(&run).await {
                    task.failed(&error);
                }
            }
        })
    }

    fn start<F>(&self, name: &str, run: impl FnOnce(Supervised) -> F) -> Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= TASKS_PER_OWNER_MAX {
            return Err(Error::busy(format!(
                "{} runs {TASKS_PER_OWNER_MAX} tasks, which is the most that one plugin may",
                self.owner
            )));
        }
        if !names.insert(name.to_owned()) {
            return Err(Error::conflict(format!(
                "{} runs a task named {name} already",
                self.owner
            )));
        }
        drop(names);
        if self.idle {
            return Ok(());
        }
        let task = Supervised {
            owner: Arc::clone(&self.owner),
            name: name.into(),
            telemetry: Arc::clone(&self.telemetry),
        };
        let work = run(task);
        let (names, name) = (Arc::clone(&self.names), name.to_owned());
        let mut stopping = self.stopping.subscribe();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn_on(
            async move {
                tokio::select! {
                    () = work => {}
                    _ = stopping.wait_for(|stopping| *stopping) => {}
                }
                names.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            },
            &self.runtime,
        );
        Ok(())
    }

    /// Ends all tasks at their next await point and waits for them, for at most `limit`.
    pub(crate) async fn stop(&self, limit: Duration) {
        self.stopping.send_replace(true);
        let mut running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, ended).await.is_err() {
            running.abort_all();
        }
    }
}

/// One run, whose panic is an error like any other: the task goes on.
async fn caught<F>(run: &(impl Fn() -> F + Sync)) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let run = AssertUnwindSafe(async { run().await });
    match run.catch_unwind().await {
        Ok(outcome) => outcome,
        Err(payload) => Err(RawError::panicked(&*payload).into()),
    }
}

/// One task, for its reports.
struct Supervised {
    owner: Arc<str>,
    name: Arc<str>,
    telemetry: Arc<Telemetry>,
}

impl Supervised {
    fn failed(&self, error: &Error) {
        let message = format!("the task {} failed: {error}", self.name);
        self.telemetry.failure(&self.owner, &message, error, "");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::ManualClock;
    use crate::telemetry::Level;

    fn tasks() -> (Tasks, Arc<Telemetry>) {
        let clock = Arc::new(ManualClock::new(0));
        let telemetry = Arc::new(Telemetry::new(clock, Level::Error));
        (Tasks::new("test", Handle::current(), Arc::clone(&telemetry), false), telemetry)
    }

    #[tokio::test]
    async fn a_task_that_panics_runs_again() {
        let (tasks, telemetry) = tasks();
        let (runs, done) = (AtomicU32::new(0), watch::Sender::new(false));
        let (told, mut heard) = (done.clone(), done.subscribe());
        tasks
            .spawn("fragile", move || {
                let (run, told) = (runs.fetch_add(1, Ordering::Relaxed), told.clone());
                async move {
                    assert!(run > 0, "the first run fails");
                    told.send_replace(true);
                    Ok(())
                }
            })
            .unwrap();
        heard.wait_for(|done| *done).await.unwrap();
        assert_eq!(telemetry.counters.panics.load(Ordering::Relaxed), 1);
        tasks.stop(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_name_is_free_again_when_its_task_ended() {
        let (tasks, _) = tasks();
        let wait = Arc::new(tokio::sync::Notify::new());
        let waiting = Arc::clone(&wait);
        let work = move || {
            let waiting = Arc::clone(&waiting);
            async move {
                waiting.notified().await;
                Ok(())
            }
        };
        tasks.spawn("one", work.clone()).unwrap();
        assert_eq!(tasks.spawn("one", work.clone()).unwrap_err().code(), "CONFLICT");
        wait.notify_one();
        while tasks.spawn("one", work.clone()).is_err() {
            tokio::task::yield_now().await;
        }
        tasks.stop(Duration::from_secs(1)).await;
    }
}
