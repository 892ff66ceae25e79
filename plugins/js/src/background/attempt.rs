//! One run of a job: from its frame to the word that the queue gets.

use std::sync::Arc;
use std::time::Duration;

use fazt_js_engine::protocol::ToCell;
use fazt_sdk::json;
use fazt_sdk::prelude::*;
use fazt_sdk::services::Jobs as _;
use futures_channel::{mpsc, oneshot};
use futures_util::future::FutureExt as _;
use futures_util::{StreamExt as _, select_biased};

use super::job::{Nudge, Running};
use super::runner::{Kind, LEASE, Runner};
use super::seat::Prepared;
use crate::cells::cell::Cell;
use crate::cells::reply::{Failure, Reply};

/// No entry: a job is for a file.
const NO_ENTRY: u16 = u16::MAX;

/// How often the lease is renewed, which is also how soon a job hears that it is to stop.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How long what a job says is collected.
const COLLECT: Duration = Duration::from_millis(200);

/// How long a job that is to stop may take until it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// How often the end of a job is told to a queue that cannot take it, and how long after.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Whether the cell may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Spent,
}

/// How an attempt ended.
enum End {
    Replied(Reply),
    TimedOut,
    /// It was asked to stop and did not.
    Cancelled,
    /// Somebody else has the job, or nobody.
    Abandoned,
}

/// Runs a job in `cell`.
pub(super) async fn run(runner: &Runner, cell: &Arc<Cell>, prepared: &Prepared) -> Verdict {
    let work = &prepared.work;
    let id = runner.pool.number();
    let Some((ticket, reply)) = cell.enter(&work.call, id, NO_ENTRY) else {
        drop(runner.jobs.release(&work.call, work.job.id, work.job.lease).await);
        return Verdict::Spent;
    };
    let (running, nudges) = Running::new(&work.job, work.app);
    runner.begin(work, &running);
    let sent = cell.link.send(vec![frame(id, prepared)]).await;
    let end = match sent {
        Ok(()) => watch(runner, prepared, &running, reply, nudges).await,
        Err(_) => End::Replied(Reply::Lost),
    };
    ticket.done();
    if !matches!(end, End::Replied(Reply::Outcome(_) | Reply::Failed(_))) {
        cell.link.kill().await;
    }
    flush(runner, work.call, &running).await;
    let verdict = conclude(runner, cell, work.call, &running, end).await;
    runner.end(work);
    verdict
}

fn frame(id: u64, prepared: &Prepared) -> Bytes {
    let (work, path) = (&prepared.work, &*prepared.path);
    let job = &work.job;
    match work.kind {
        Kind::Job => {
            let text = json!({
                "id": job.id.to_string(),
                "handler": path,
                "data": prepared.payload.data,
                "attempt": job.attempt,
                "memory": prepared.memory_bytes,
                "daemon": job.daemon,
            });
            ToCell::Job { id, path, job: &text.to_string() }.to_bytes()
        }
        Kind::Scheduled => {
            let text = json!({
                "type": "scheduled",
                "name": job.schedule,
                "cron": prepared.payload.cron,
                "scheduledTime": job.run_at_ms,
                "jobId": job.id.to_string(),
                "attempt": job.attempt,
                "data": prepared.payload.data,
            });
            ToCell::Event { id, path, name: "scheduled", event: &text.to_string() }.to_bytes()
        }
    }
}

/// Waits for the end, and meanwhile holds the lease and writes what the job says.
async fn watch(
    runner: &Runner,
    prepared: &Prepared,
    running: &Running,
    reply: oneshot::Receiver<Reply>,
    mut nudges: mpsc::UnboundedReceiver<Nudge>,
) -> End {
    let (clock, work) = (runner.host.clock(), &prepared.work);
    let mut reply = reply.fuse();
    let mut now = clock.monotonic();
    let mut renew_at = now + RENEW_EVERY;
    let (mut write_at, mut stop_by) = (None, None);
    loop {
        let moments = [Some(renew_at), write_at, stop_by, work.ends];
        let next = moments.into_iter().flatten().min().unwrap_or(renew_at);
        let mut due = Box::pin(clock.sleep(next.saturating_sub(now))).fuse();
        let nudge = select_biased! {
            reply = reply => return End::Replied(reply.unwrap_or(Reply::Lost)),
            nudge = nudges.next() => nudge,
            () = due => None,
        };
        now = clock.monotonic();
        match nudge {
            None => {}
            Some(Nudge::Said) => {
                write_at.get_or_insert(now + COLLECT);
            }
            Some(Nudge::Cancel) => {
                running.cancel();
                stop_by.get_or_insert(now + GRACE);
            }
            Some(Nudge::Abandon) => return End::Abandoned,
        }
        if work.ends.is_some_and(|ends| ends <= now) {
            return End::TimedOut;
        }
        if stop_by.is_some_and(|by| by <= now) {
            return End::Cancelled;
        }
        if write_at.is_some_and(|at| at <= now) {
            write_at = None;
            flush(runner, work.call, running).await;
        }
        if renew_at <= now {
            match runner.jobs.renew(&work.call, running.id, running.lease, LEASE).await {
                Ok(true) => {
                    running.cancel();
                    stop_by.get_or_insert(now + GRACE);
                }
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => return End::Abandoned,
                Err(error) if error.kind() == ErrorKind::Timeout => return End::TimedOut,
                // The lease lasts for a while without.
                Err(_) => {}
            }
            now = clock.monotonic();
            renew_at = now + RENEW_EVERY;
        }
    }
}

/// Writes what the job said since the last time.
async fn flush(runner: &Runner, call: Call, running: &Running) {
    let (percent, lines) = running.take();
    if percent.is_some() || !lines.is_empty() {
        // A job that is somebody else's by now says nothing here.
        drop(runner.jobs.report(&call, running.id, running.lease, percent, &lines).await);
    }
}

async fn conclude(
    runner: &Runner,
    cell: &Cell,
    call: Call,
    running: &Running,
    end: End,
) -> Verdict {
    let (jobs, id, lease) = (&runner.jobs, running.id, running.lease);
    let verdict = match &end {
        End::Replied(Reply::Outcome(_)) => Verdict::Good,
        _ => Verdict::Spent,
    };
    let why = match &end {
        End::Replied(Reply::Outcome(_)) | End::Cancelled | End::Abandoned => String::new(),
        End::TimedOut => TIMED_OUT.to_owned(),
        End::Replied(Reply::Failed(failure)) => said(failure),
        End::Replied(Reply::Lost | Reply::Response { .. }) => lost(cell).await,
    };
    let mut tries = 0;
    loop {
        let told = match &end {
            End::Abandoned => return verdict,
            // The queue knows that it was to stop, and so it is cancelled.
            End::Cancelled => jobs.release(&call, id, lease).await,
            _ if running.is_cancelling() => jobs.release(&call, id, lease).await,
            End::Replied(Reply::Outcome(result)) => {
                jobs.complete(&call, id, lease, result.as_bytes()).await
            }
            _ => jobs.fail(&call, id, lease, &why, true).await,
        };
        match told {
            Ok(()) => return verdict,
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                let why = format!("{}: {}", error.code(), error.message());
                drop(jobs.fail(&call, id, lease, &why, false).await);
                return verdict;
            }
            Err(error) if error.kind() == ErrorKind::Conflict || tries >= TRIES => return verdict,
            Err(_) => {
                tries += 1;
                runner.host.clock().sleep(TRY_AGAIN).await;
            }
        }
    }
}

const TIMED_OUT: &str = "timeout exceeded";

fn said(failure: &Failure) -> String {
    if matches!(&*failure.code, "CPU_LIMIT" | "WALL_LIMIT") {
        return TIMED_OUT.to_owned();
    }
    format!("{}: {}", failure.code, failure.message)
}

async fn lost(cell: &Cell) -> String {
    let end = cell.link.end().await.map(|end| format!(" ({end:?})")).unwrap_or_default();
    format!("CELL_LOST: the process that it ran in ended{end}")
}
