//! Work of apps that nobody waits for: jobs (`fazt.worker`) and schedules (`fazt.cron`).
//!
//! | | |
//! |---|---|
//! | what the app's code asks for | `worker`, `cron`, with `options` |
//! | what its manifest asks for | `manifest` reads it, `declared` makes it so after every activation |
//! | who works | `runner` takes jobs, `seat` holds the cell that one runs in, `attempt` is one run |
//! | what a job says of itself | `job` (`job.progress`, `job.checkpoint`, …) |
//!
//! Queue, leases, delays and moments are the kernel's (`fazt.jobs/1`, `fazt.schedules/1`). A job has a cell
//! of its own, so that it may be ended without anybody else noticing; the next job of the same app gets the
//! cell, if it comes soon.

mod attempt;
mod cron;
pub(crate) mod declared;
mod job;
mod manifest;
mod options;
pub(crate) mod runner;
mod seat;
mod store;
mod view;
mod worker;

use fazt_sdk::manifest::Manifest;
use fazt_sdk::plugin::Started;

use self::runner::Runner;
use std::sync::Arc;

/// Declares all functions.
pub(crate) fn declare(manifest: Manifest) -> Manifest {
    cron::declare(worker::declare(job::declare(manifest)))
}

/// Hands over all functions.
pub(crate) fn bind(started: Started, runner: &Arc<Runner>) -> Started {
    cron::bind(worker::bind(job::bind(started, runner), runner), runner)
}
