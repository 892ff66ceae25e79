//! Where a job runs: a cell of its own, which the next job of the same app may get.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::Jobs as _;
use futures_util::future::{Either, FutureExt as _, select};
use futures_util::select_biased;

use super::attempt::{self, Verdict};
use super::runner::{Runner, Work};
use super::view::Payload;
use crate::cells::cell::Surroundings;
use crate::code::Code;
use crate::settings::{Isolation, Limits};

/// How long a cell waits for another job of its app.
const IDLE: Duration = Duration::from_secs(2);

/// How often a cell that the node has no room for is asked for again, and how long after.
const TRIES: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// Log lines of one attempt, for each that a request may write: an attempt lasts longer.
const LOG_FACTOR: u32 = 50;

/// A job with all that it needs to run.
pub(super) struct Prepared {
    pub(super) work: Work,
    pub(super) payload: Payload,
    pub(super) code: Arc<Code>,
    /// The file that handles it.
    pub(super) path: String,
    pub(super) memory_bytes: u64,
}

impl Prepared {
    /// Whether what fits the one fits the other.
    fn fits(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.code, &other.code)
            && self.memory_bytes == other.memory_bytes
            && self.work.job.timeout == other.work.job.timeout
    }

    fn limits(&self, usual: &Limits) -> Limits {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // The attempt is ended from outside, and by the engine if that fails.
        let time_ms = self.work.job.timeout.map_or(u32::MAX, ms);
        Limits {
            cpu_ms: time_ms,
            root_cpu_ms: time_ms,
            wall_ms: time_ms.saturating_add(1_000),
            memory_bytes: self.memory_bytes,
            interleave: 1,
            log_lines: usual.log_lines.saturating_mul(LOG_FACTOR),
            ..usual.clone()
        }
    }
}

/// Runs a job, and others of its app that come soon after.
pub(super) async fn occupy(runner: &Arc<Runner>, first: Work) {
    let mut next = Some(first);
    while let Some(work) = next.take() {
        if let Some(prepared) = prepare(runner, work).await {
            next = sit(runner, prepared).await;
        }
    }
}

/// Finds what a job needs; nothing when it was given back or failed.
async fn prepare(runner: &Runner, work: Work) -> Option<Prepared> {
    let payload: Payload = match serde_json::from_slice(&work.job.payload) {
        Ok(payload) => payload,
        Err(error) => {
            let why = format!("BAD_PAYLOAD: what it was given names no handler: {error}");
            refuse(runner, &work, &why, false).await;
            return None;
        }
    };
    match runner.codes.find_handler(&work.call, work.app, &payload.handler).await {
        Ok(Some((code, path))) => {
            let memory_bytes = payload.memory.unwrap_or(runner.pool.around.limits.memory_bytes);
            Some(Prepared { work, payload, code, path, memory_bytes })
        }
        Ok(None) => {
            let why = format!("NO_SUCH_HANDLER: {}", no_such_handler(&payload.handler));
            refuse(runner, &work, &why, true).await;
            None
        }
        Err(error) => {
            put_back(runner, &work, &error).await;
            None
        }
    }
}

pub(super) fn no_such_handler(handler: &str) -> String {
    format!("there is no file {handler} with code in the app's current deployment")
}

async fn refuse(runner: &Runner, work: &Work, why: &str, retry: bool) {
    let failed = runner.jobs.fail(&work.call, work.job.id, work.job.lease, why, retry);
    // Without its lease the job is somebody else's.
    drop(failed.await);
}

/// Gives a job back that could not begin for a reason that it is not to blame for.
async fn put_back(runner: &Runner, work: &Work, why: &Error) {
    let fields = fazt_sdk::json!({ "app": work.app.to_string(), "job": work.job.id });
    runner.host.log().warn(&format!("a job waits, because it cannot begin: {why}"), fields);
    runner.host.clock().sleep(TRY_AGAIN * TRIES).await;
    drop(runner.jobs.release(&work.call, work.job.id, work.job.lease).await);
}

/// Holds one cell until nobody needs it; answers a job that needs another one.
async fn sit(runner: &Arc<Runner>, first: Prepared) -> Option<Work> {
    let usual = &runner.pool.around.limits;
    let around = Surroundings {
        limits: Arc::new(first.limits(usual)),
        // What a job takes is not taken from the app's requests.
        meters: Arc::default(),
        ..runner.pool.around.clone()
    };
    let mut tries = 0;
    let (cell, nudged) = loop {
        match runner.pool.begin(&first.work.call, &first.code, &around).await {
            Ok(begun) => break begun,
            Err(error) if error.kind() == ErrorKind::Busy && tries < TRIES => {
                tries += 1;
                runner.host.clock().sleep(TRY_AGAIN).await;
            }
            Err(error) => {
                put_back(runner, &first.work, &error).await;
                return None;
            }
        }
    };
    let is_shared = usual.isolation == Isolation::Cell;
    let mut driving = pin!(Arc::clone(&cell).drive(nudged, |_| ()).fuse());
    let mut current = first;
    let next = loop {
        let verdict = {
            let attempting = pin!(attempt::run(runner, &cell, &current));
            match select(attempting, driving.as_mut()).await {
                Either::Left((verdict, _)) => verdict,
                Either::Right(((), attempting)) => {
                    attempting.await;
                    Verdict::Spent
                }
            }
        };
        if verdict == Verdict::Spent || !is_shared {
            break None;
        }
        let Some(mut more) = runner.wait_for_more(current.work.app) else { break None };
        current.work.seat = None;
        let clock = runner.host.clock();
        let mut patience = Box::pin(clock.sleep(IDLE)).fuse();
        let offered = select_biased! {
            work = more => work.ok(),
            () = patience => last_moment(&mut more),
            () = driving => last_moment(&mut more),
        };
        let Some(work) = offered else { break None };
        let Some(prepared) = prepare(runner, work).await else { break None };
        if !prepared.fits(&current) || cell.idle_since().is_none() {
            break Some(prepared.work);
        }
        current = prepared;
    };
    cell.link.kill().await;
    next
}

/// What was offered while nobody looked.
fn last_moment(more: &mut futures_channel::oneshot::Receiver<Work>) -> Option<Work> {
    more.close();
    more.try_recv().ok().flatten()
}
