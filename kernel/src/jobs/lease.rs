//! Leases: who works on a job, until when, and what happens when nobody does any more.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::services::jobs::{JobState, LeasedJob};
use fazt_sdk::{Error, Result};
use tokio::time::Instant;

use super::settings::Limits;
use super::store::Standing;
use super::{Jobs, Lease, SLEEP_MAX, State, backoff, store};
use crate::cartridge::{TxError, WriteTx};
use crate::core::Core;

impl Jobs {
    /// Takes jobs, of each app in turn; waits up to `wait` for the first.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(super) async fn lease(
        &self,
        kind: &str,
        limit: u32,
        length: Duration,
        wait: Duration,
        limits: impl Fn() -> Limits,
    ) -> Result<Vec<LeasedJob>> {
        let end = Instant::now() + wait.min(WAIT_MAX);
        let mut changed = self.state.jobs.subscribe();
        loop {
            changed.borrow_and_update();
            let wanted = kind.to_owned();
            let due = self.look(move |reader| store::next_due(reader, &wanted)).await?;
            let now_ms = self.wall_ms();
            let mut pause = SLEEP_MAX;
            match due {
                Some(due) if due <= now_ms && self.is_open() => {
                    let taken = self.take(kind, limit, length, limits()).await?;
                    if !taken.is_empty() {
                        return Ok(taken);
                    }
                }
                Some(due) => {
                    pause = pause.min(Duration::from_millis(due.saturating_sub(now_ms)));
                }
                None => {}
            }
            if Instant::now() >= end || self.is_closing() {
                return Ok(Vec::new());
            }
            let pause = end.min(Instant::now() + pause);
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(pause) => {}
            }
        }
    }

    async fn take(
        &self,
        kind: &str,
        limit: u32,
        length: Duration,
        limits: Limits,
    ) -> Result<Vec<LeasedJob>> {
        let (state, kind, now) = (Arc::clone(&self.state), kind.to_owned(), self.now());
        let limit = u64::from(limit.clamp(1, LEASE_JOBS_MAX));
        self.write(None, move |tx| {
            let turn = state.turns().get(&kind).cloned().unwrap_or_default();
            let room = limits.running.saturating_sub(store::running(tx, &kind, None)?).min(limit);
            let mut apps: VecDeque<String> =
                store::apps_in_turn(tx, &kind, &turn, APPS_LOOKED_AT_MAX)?.into();
            let (mut taken, mut served) = (Vec::new(), turn);
            while (taken.len() as u64) < room
                && let Some(app) = apps.pop_front()
            {
                if store::running(tx, &kind, Some(&app))? >= limits.running_per_app {
                    continue;
                }
                let Some(id) = store::first_due(tx, &kind, &app)? else { continue };
                if let Some(job) = store::begin(tx, id)? {
                    taken.push(job);
                }
                served.clone_from(&app);
                apps.push_back(app);
            }
            let leases: Vec<_> = taken
                .iter()
                .map(|job| {
                    let ends = job.timeout.map(|time| now + time);
                    let until = ends.map_or(now + length, |ends| ends.min(now + length));
                    (job.id, Lease { number: job.lease, until, ends })
                })
                .collect();
            let (state, kind) = (Arc::clone(&state), kind.clone());
            tx.on_commit(Box::new(move || {
                remember_turn(&state, kind, served);
                state.leases().extend(leases);
                state.jobs_changed();
            }));
            Ok(Ok(taken))
        })
        .await
    }

    /// Holds a job for longer. Answers whether it is to stop.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `Timeout` when the attempt has had its time.
    pub(super) async fn renew(&self, id: u64, lease: u64, length: Duration) -> Result<bool> {
        let now = self.now();
        {
            let mut leases = self.state.leases();
            let held = leases.get_mut(&id).filter(|held| held.number == lease);
            let held = held.ok_or_else(|| ended(id))?;
            if held.ends.is_some_and(|ends| ends <= now) {
                return Err(Error::timeout(format!("the job {id} has had its time"))
                    .with_code("JOB_TIMEOUT"));
            }
            held.until = held.ends.map_or(now + length, |ends| ends.min(now + length));
        }
        let job = self.get(None, id).await?.ok_or_else(|| ended(id))?;
        Ok(job.cancelling)
    }

    /// Does something with a job that is held under `lease`. Durable.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    async fn held(
        &self,
        id: u64,
        lease: u64,
        ends: Ends,
        work: impl Fn(&WriteTx<'_>, &Standing) -> Result<(), TxError> + Send + 'static,
    ) -> Result<()> {
        let state = Arc::clone(&self.state);
        self.write(None, move |tx| {
            let standing = store::standing(tx, id)?
                .filter(|standing| standing.state == JobState::Running && standing.lease == lease);
            let Some(standing) = standing else { return Ok(Err(ended(id))) };
            work(tx, &standing)?;
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || {
                if ends == Ends::Yes {
                    state.leases().remove(&id);
                    state.job_ended(id);
                    state.jobs_changed();
                }
            }));
            Ok(Ok(()))
        })
        .await
    }

    /// Notes how far a job is, and what it says.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    pub(super) async fn report(
        &self,
        id: u64,
        lease: u64,
        percent: Option<u32>,
        lines: &[String],
    ) -> Result<()> {
        let from = lines.len().saturating_sub(usize::try_from(LINES_MAX).unwrap_or(usize::MAX));
        let lines: Vec<String> =
            lines[from..].iter().map(|line| cut(line, LINE_BYTES_MAX)).collect();
        self.held(id, lease, Ends::No, move |tx, _| {
            if let Some(percent) = percent {
                store::set_progress(tx, id, percent)?;
            }
            if !lines.is_empty() {
                store::add_lines(tx, id, &lines, LINES_MAX)?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps something for the next attempt.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `TooLarge`.
    pub(super) async fn checkpoint(&self, id: u64, lease: u64, kept: &[u8]) -> Result<()> {
        refuse_large("checkpoint", kept.len(), CHECKPOINT_BYTES_MAX)?;
        let kept = kept.to_vec();
        self.held(id, lease, Ends::No, move |tx, _| Ok(store::set_checkpoint(tx, id, &kept)?)).await
    }

    /// The job is done.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended, `TooLarge`.
    pub(super) async fn complete(
        &self,
        id: u64,
        lease: u64,
        result: &[u8],
        limits: Limits,
    ) -> Result<()> {
        refuse_large("result", result.len(), RESULT_BYTES_MAX)?;
        let result = result.to_vec();
        self.held(id, lease, Ends::Yes, move |tx, standing| {
            store::finish(tx, id, JobState::Done, Some(&result), None)?;
            Ok(store::trim(tx, &standing.app, limits.finished_per_app)?)
        })
        .await
    }

    /// The attempt failed.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    pub(super) async fn fail(
        &self,
        id: u64,
        lease: u64,
        why: &str,
        retry: bool,
        random: u64,
        limits: Limits,
    ) -> Result<()> {
        let why = cut(why, PROBLEM_BYTES_MAX);
        self.held(id, lease, Ends::Yes, move |tx, standing| {
            failed(tx, id, standing, &why, retry, random, limits)
        })
        .await
    }

    /// Gives a job back as if it had not been taken.
    ///
    /// # Errors
    /// `Conflict` when the lease has ended.
    pub(super) async fn release(&self, id: u64, lease: u64) -> Result<()> {
        self.held(id, lease, Ends::Yes, move |tx, standing| {
            if standing.cancelling {
                return Ok(store::finish(tx, id, JobState::Cancelled, None, None)?);
            }
            let now_ms = store::unsigned(tx.now_ms());
            let attempt = standing.attempt.saturating_sub(1);
            Ok(store::put_back(tx, id, now_ms, attempt, None)?)
        })
        .await
    }

    /// Takes back what workers hold for too long.
    async fn reap(&self, random: u64, limits: Limits) -> Result<()> {
        let (now, state) = (self.now(), Arc::clone(&self.state));
        let late = move |state: &State| -> Vec<(u64, Lease)> {
            let leases = state.leases();
            let late = leases.iter().filter(|(_, lease)| lease.until <= now);
            late.take(REAPED_MAX).map(|(id, lease)| (*id, *lease)).collect()
        };
        if late(&state).is_empty() {
            return Ok(());
        }
        self.write(None, move |tx| {
            // Looked at again here: a worker may have renewed its lease meanwhile.
            let late = late(&state);
            for (id, lease) in &late {
                let why = match lease.ends {
                    Some(ends) if ends <= now => TIMED_OUT,
                    _ => "its worker went silent",
                };
                if let Some(standing) = store::standing(tx, *id)?
                    && standing.state == JobState::Running
                    && standing.lease == lease.number
                {
                    failed(tx, *id, &standing, why, true, random, limits)?;
                }
            }
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || {
                let mut leases = state.leases();
                for (id, lease) in &late {
                    if leases.get(id).is_some_and(|held| held.number == lease.number) {
                        leases.remove(id);
                    }
                }
                drop(leases);
                late.iter().for_each(|(id, _)| state.job_ended(*id));
                state.jobs_changed();
            }));
            Ok(Ok(()))
        })
        .await
    }
}

/// Whether a lease ends with what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Yes,
    No,
}

/// What becomes of a job whose attempt failed.
fn failed(
    tx: &WriteTx<'_>,
    id: u64,
    standing: &Standing,
    why: &str,
    retry: bool,
    random: u64,
    limits: Limits,
) -> Result<(), TxError> {
    if standing.cancelling {
        store::finish(tx, id, JobState::Cancelled, None, Some(why))?;
        return Ok(store::trim(tx, &standing.app, limits.finished_per_app)?);
    }
    let had_all = !standing.daemon && standing.attempt >= standing.attempts_max;
    if !retry || had_all {
        store::finish(tx, id, JobState::Dead, None, Some(why))?;
        return Ok(store::trim(tx, &standing.app, limits.finished_per_app)?);
    }
    let now_ms = store::unsigned(tx.now_ms());
    let ran_ms = now_ms.saturating_sub(standing.started_at_ms);
    // A daemon that ran well for a while begins with the first delay again.
    let attempt = if standing.daemon && ran_ms >= HEALTHY_MS { 1 } else { standing.attempt };
    let cap = if standing.daemon { limits.backoff_cap.min(DAEMON_CAP) } else { limits.backoff_cap };
    // Each job of a batch gets another delay out of the one random number.
    let random = random ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let delay = backoff::delay(attempt, standing.backoff, cap, random);
    let run_at_ms = now_ms.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    Ok(store::put_back(tx, id, run_at_ms, attempt, Some(why))?)
}

/// Begins again what ran when the node ended: its workers ended with it.
///
/// # Errors
/// What the cartridge says.
pub(super) async fn recover(core: &Arc<Core>) -> Result<()> {
    let (limits, random) = (Limits::of(core), core.random_number());
    loop {
        let recovered = core.jobs.write(None, move |tx| {
            let running = store::all_running(tx, RECOVERED_MAX)?;
            for id in &running {
                if let Some(standing) = store::standing(tx, *id)? {
                    // Nobody knows whose fault it was: a job that is tried once is begun again as
                    // well, unless the node ends with it each time.
                    let attempts_max = standing.attempts_max.max(BROKEN_OFF_MAX);
                    let standing = Standing { attempts_max, ..standing };
                    failed(tx, *id, &standing, BROKEN_OFF, true, random, limits)?;
                }
            }
            Ok(Ok(running.len()))
        });
        if recovered.await? == 0 {
            return Ok(());
        }
    }
}

/// Starts watching leases.
///
/// # Errors
/// When the kernel has too many tasks.
pub(super) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.spawn("jobs.leases", move || watch(node.clone()))
}

async fn watch(node: Weak<Core>) -> Result<()> {
    loop {
        let Some(core) = node.upgrade() else { return Ok(()) };
        let mut changed = core.jobs.state.jobs.subscribe();
        core.jobs.reap(core.random_number(), Limits::of(&core)).await?;
        let first = core.jobs.state.leases().values().map(|lease| lease.until).min();
        let pause = first.map_or(SLEEP_MAX, |first| first.saturating_sub(core.jobs.now()));
        drop(core);
        tokio::select! {
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause.clamp(PAUSE_MIN, SLEEP_MAX)) => {}
        }
    }
}

fn remember_turn(state: &State, kind: String, served: String) {
    let mut turns = state.turns();
    if turns.len() >= TURNS_MAX && !turns.contains_key(&kind) {
        turns.clear();
    }
    turns.insert(kind, served);
}

fn ended(id: u64) -> Error {
    Error::conflict(format!(
        "the lease of the job {id} has ended: stop the work, another worker has it"
    ))
    .with_code("LEASE_ENDED")
}

fn refuse_large(what: &str, bytes: usize, most: usize) -> Result<()> {
    if bytes <= most {
        return Ok(());
    }
    Err(Error::too_large(format!(
        "a job's {what} has at most {most} bytes, and this one has {bytes}"
    ))
    .with_code("JOB_TOO_LARGE"))
}

/// The beginning of a text, cut where a character ends.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

/// The most jobs that are taken at a time.
const LEASE_JOBS_MAX: u32 = 100;

/// The longest wait for a job to take.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// How many apps one lease looks at.
const APPS_LOOKED_AT_MAX: usize = 256;

/// The most kinds whose turn is remembered.
const TURNS_MAX: usize = 1_024;

/// How many leases are taken back in one write.
const REAPED_MAX: usize = 100;

/// How many jobs are begun again in one write.
const RECOVERED_MAX: u32 = 100;

/// A daemon that ran for so long ran well, in milliseconds.
const HEALTHY_MS: u64 = 5 * 60 * 1_000;

/// The longest delay before a daemon begins again.
const DAEMON_CAP: Duration = Duration::from_secs(60);

/// How often a job is begun again, whatever its attempts, when the node ended while it ran.
const BROKEN_OFF_MAX: u32 = 3;

const BROKEN_OFF: &str = "the node ended while it ran";
const TIMED_OUT: &str = "timeout exceeded: it took longer than its timeout";

/// The shortest sleep between two looks at the leases.
const PAUSE_MIN: Duration = Duration::from_millis(5);

const LINES_MAX: u64 = 200;
const LINE_BYTES_MAX: usize = 1_024;
const PROBLEM_BYTES_MAX: usize = 4 * 1_024;
const RESULT_BYTES_MAX: usize = 64 * 1_024;
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
