//! What a job says of itself while it runs: `job.progress`, `job.log`, `job.checkpoint`, `job.cancelled`.
//!
//! Progress and lines are collected for a moment and written together. A checkpoint is durable when the
//! call returns.

use std::sync::{Arc, Mutex, PoisonError};

use fazt_sdk::prelude::*;
use fazt_sdk::services::Jobs as _;
use fazt_sdk::services::jobs::LeasedJob;
use futures_channel::mpsc;
use serde_json::value::RawValue;

use super::runner::Runner;

/// Lines that wait to be written, and the longest of them in bytes: the job keeps no more.
const LINES_MAX: usize = 200;
const LINE_BYTES_MAX: usize = 1_024;

/// The largest checkpoint, in bytes.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;

/// A job that runs.
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) lease: u64,
    pub(super) app: AppId,
    said: Mutex<Said>,
    nudge: mpsc::UnboundedSender<Nudge>,
}

#[derive(Default)]
struct Said {
    percent: Option<u32>,
    lines: Vec<String>,
    /// Whether somebody was told that there is something to write.
    is_told: bool,
    checkpoint: Option<String>,
    cancelling: bool,
}

/// What whoever watches a job is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nudge {
    /// It said something that is to be written.
    Said,
    /// It is to stop.
    Cancel,
    /// It is nobody's any more.
    Abandon,
}

impl Running {
    pub(super) fn new(job: &LeasedJob, app: AppId) -> (Arc<Self>, mpsc::UnboundedReceiver<Nudge>) {
        let (nudge, nudges) = mpsc::unbounded();
        let checkpoint = job.checkpoint.as_ref().map(|kept| String::from_utf8_lossy(kept).into());
        let said = Mutex::new(Said { checkpoint, ..Said::default() });
        (Arc::new(Self { id: job.id, lease: job.lease, app, said, nudge }), nudges)
    }

    fn said<T>(&self, work: impl FnOnce(&mut Said) -> T) -> T {
        work(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn nudge(&self, nudge: Nudge) {
        // Nobody watches it any more: then it has ended.
        drop(self.nudge.unbounded_send(nudge));
    }

    fn say(&self, work: impl FnOnce(&mut Said)) {
        let is_first = self.said(|said| {
            work(said);
            !std::mem::replace(&mut said.is_told, true)
        });
        if is_first {
            self.nudge(Nudge::Said);
        }
    }

    /// What was said since the last time.
    pub(super) fn take(&self) -> (Option<u32>, Vec<String>) {
        self.said(|said| {
            said.is_told = false;
            (said.percent.take(), std::mem::take(&mut said.lines))
        })
    }

    /// Notes that it is to stop; whether that is new.
    pub(super) fn cancel(&self) -> bool {
        !self.said(|said| std::mem::replace(&mut said.cancelling, true))
    }

    pub(super) fn is_cancelling(&self) -> bool {
        self.said(|said| said.cancelling)
    }

    fn log(&self, mut text: String) {
        if text.len() > LINE_BYTES_MAX {
            let end = (0..=LINE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        self.say(|said| {
            if said.lines.len() >= LINES_MAX {
                said.lines.remove(0);
            }
            said.lines.push(text);
        });
    }
}

/// The arguments of a binding of `job`: its id, which the call knows better, and the rest.
type List = Vec<Box<RawValue>>;

pub(super) fn declare(manifest: Manifest) -> Manifest {
    manifest
        .binding(
            Binding::new("job.progress")
                .args(["id", "percent"])
                .synchronous()
                .about("Says how far the job is, from 0 to 100"),
        )
        .binding(
            Binding::new("job.log")
                .args(["id", "text"])
                .synchronous()
                .about("Adds a line to the job's own log"),
        )
        .binding(
            Binding::new("job.checkpoint")
                .args(["id", "state"])
                .synchronous()
                .about("Keeps a state for the next attempt; answers the last one without it"),
        )
        .binding(
            Binding::new("job.getCheckpoint")
                .args(["id"])
                .synchronous()
                .about("The state that was kept last"),
        )
        .binding(
            Binding::new("job.cancelled")
                .args(["id"])
                .synchronous()
                .about("Whether somebody asked the job to stop"),
        )
}

pub(super) fn bind(started: Started, runner: &Arc<Runner>) -> Started {
    let with = || Arc::clone(runner);
    let (one, two, three, four, five) = (with(), with(), with(), with(), with());
    started
        .bind("job.progress", move |call: Call, list: List| {
            let done = one.current(&call).and_then(|job| {
                let percent: f64 = argument(&list, "progress")?;
                if !percent.is_finite() {
                    return Err(Error::invalid("job.progress(percent): from 0 to 100"));
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it lies between 0 and 100"
                )]
                let percent = percent.clamp(0.0, 100.0).round() as u32;
                job.say(|said| said.percent = Some(percent));
                Ok(())
            });
            async move { done }
        })
        .bind("job.log", move |call: Call, list: List| {
            let done = two.current(&call).map(|job| {
                let words = list.iter().skip(1).map(|value| {
                    serde_json::from_str::<String>(value.get())
                        .unwrap_or_else(|_| value.get().to_owned())
                });
                job.log(words.collect::<Vec<_>>().join(" "));
            });
            async move { done }
        })
        .bind("job.checkpoint", move |call: Call, list: List| {
            let runner = Arc::clone(&three);
            async move {
                let job = runner.current(&call)?;
                let Some(state) = list.into_iter().nth(1) else { return Ok(kept(&job)) };
                if state.get().len() > CHECKPOINT_BYTES_MAX {
                    let bytes = state.get().len();
                    return Err(Error::too_large(format!(
                        "checkpoint too large: {bytes} bytes (max 1MB)"
                    ))
                    .with_code("JOB_TOO_LARGE"));
                }
                let text = state.get().to_owned();
                runner.jobs.checkpoint(&call, job.id, job.lease, text.as_bytes()).await?;
                job.said(|said| said.checkpoint = Some(text));
                Ok(None)
            }
        })
        .bind("job.getCheckpoint", move |call: Call, _: List| {
            let found = four.current(&call).map(|job| kept(&job));
            async move { found }
        })
        .bind("job.cancelled", move |call: Call, _: List| {
            let found = five.current(&call).map(|job| job.is_cancelling());
            async move { found }
        })
}

fn kept(job: &Running) -> Option<Box<RawValue>> {
    job.said(|said| said.checkpoint.clone()).and_then(|text| RawValue::from_string(text).ok())
}

fn argument<T: serde::de::DeserializeOwned>(list: &List, name: &str) -> Result<T> {
    let value = list.get(1).map_or("null", |value| value.get());
    serde_json::from_str(value).map_err(|error| Error::invalid(format!("job.{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> (Arc<Running>, mpsc::UnboundedReceiver<Nudge>) {
        let job = LeasedJob {
            id: 1,
            lease: 2,
            app: None,
            payload: Vec::new(),
            attempt: 1,
            checkpoint: None,
            run_at_ms: 0,
            schedule: None,
            timeout: None,
            daemon: false,
        };
        Running::new(&job, AppId::from_random(&[7; 64]).unwrap())
    }

    #[test]
    fn a_job_that_talks_without_end_keeps_its_last_lines_and_tells_once() {
        let (job, mut nudges) = running();
        for number in 0..1_000 {
            job.log(format!("{number} {}", "é".repeat(LINE_BYTES_MAX)));
        }
        assert_eq!(nudges.try_recv().ok(), Some(Nudge::Said));
        assert!(nudges.try_recv().is_err(), "told once");
        let (percent, lines) = job.take();
        assert_eq!((percent, lines.len()), (None, LINES_MAX));
        assert!(lines.last().unwrap().starts_with("999 "));
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
        job.log("again".to_owned());
        assert_eq!(nudges.try_recv().ok(), Some(Nudge::Said));
    }
}
