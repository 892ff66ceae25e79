//! `fazt.jobs/1` and `fazt.schedules/1`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::services::jobs::{Job, JobFilter, JobLine, LeasedJob, NewJob, NewSchedule, Schedule};
use fazt_sdk::services::{Jobs, Schedules};
use fazt_sdk::{Error, Result};

use super::schedules::Only;
use super::settings::Limits;
use crate::Core;

/// The provider. Holds the kernel weakly: the kernel holds its services. A call for an app sees that
/// app's jobs only.
#[derive(Clone)]
pub(crate) struct JobsService(pub(crate) Weak<Core>);

/// The provider of schedules.
pub(crate) struct SchedulesService(pub(crate) Weak<Core>);

fn core(node: &Weak<Core>) -> Result<Arc<Core>> {
    node.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
}

impl Jobs for JobsService {
    async fn enqueue(&self, call: &Call, job: &NewJob) -> Result<u64> {
        let core = core(&self.0)?;
        core.jobs.enqueue(call.app(), job.clone(), Limits::of(&core)).await
    }

    async fn lease(
        &self,
        _: &Call,
        kind: &str,
        limit: u32,
        lease: Duration,
        wait: Duration,
    ) -> Result<Vec<LeasedJob>> {
        let core = core(&self.0)?;
        if core.is_command() {
            return Err(Error::unavailable("the node does not run, so no jobs do"));
        }
        core.jobs.lease(kind, limit, lease, wait, || Limits::of(&core)).await
    }

    async fn renew(&self, _: &Call, id: u64, lease: u64, length: Duration) -> Result<bool> {
        core(&self.0)?.jobs.renew(id, lease, length).await
    }

    async fn report(
        &self,
        _: &Call,
        id: u64,
        lease: u64,
        percent: Option<u32>,
        lines: &[String],
    ) -> Result<()> {
        core(&self.0)?.jobs.report(id, lease, percent, lines).await
    }

    async fn checkpoint(&self, _: &Call, id: u64, lease: u64, state: &[u8]) -> Result<()> {
        core(&self.0)?.jobs.checkpoint(id, lease, state).await
    }

    async fn complete(&self, _: &Call, id: u64, lease: u64, result: &[u8]) -> Result<()> {
        let core = core(&self.0)?;
        core.jobs.complete(id, lease, result, Limits::of(&core)).await
    }

    async fn fail(&self, _: &Call, id: u64, lease: u64, why: &str, retry: bool) -> Result<()> {
        let core = core(&self.0)?;
        core.jobs.fail(id, lease, why, retry, core.random_number(), Limits::of(&core)).await
    }

    async fn release(&self, _: &Call, id: u64, lease: u64) -> Result<()> {
        core(&self.0)?.jobs.release(id, lease).await
    }

    async fn cancel(&self, call: &Call, id: u64) -> Result<()> {
        core(&self.0)?.jobs.cancel(call.app(), id).await.map(drop)
    }

    async fn retry(&self, call: &Call, id: u64) -> Result<()> {
        core(&self.0)?.jobs.retry(call.app(), id).await
    }

    async fn get(&self, call: &Call, id: u64) -> Result<Option<Job>> {
        core(&self.0)?.jobs.get(call.app(), id).await
    }

    async fn list(&self, call: &Call, filter: &JobFilter) -> Result<Vec<Job>> {
        core(&self.0)?.jobs.list(call.app(), filter.clone()).await
    }

    async fn lines(&self, call: &Call, id: u64) -> Result<Vec<JobLine>> {
        core(&self.0)?.jobs.lines(call.app(), id).await
    }

    async fn wait(&self, call: &Call, id: u64, limit: Duration) -> Result<Job> {
        core(&self.0)?.jobs.wait(call.app(), id, limit).await
    }
}

impl Schedules for SchedulesService {
    async fn check(&self, _: &Call, schedule: &NewSchedule) -> Result<()> {
        super::schedules::check(schedule).map(drop)
    }

    async fn put(&self, call: &Call, source: &str, schedule: &NewSchedule) -> Result<()> {
        let core = core(&self.0)?;
        let (all, limits) = (vec![schedule.clone()], Limits::of(&core));
        core.jobs.put_schedules(call.app(), source, all, Only::These, limits).await
    }

    async fn replace(&self, call: &Call, source: &str, all: &[NewSchedule]) -> Result<()> {
        let core = core(&self.0)?;
        let limits = Limits::of(&core);
        core.jobs.put_schedules(call.app(), source, all.to_vec(), Only::OfSource, limits).await
    }

    async fn remove(&self, call: &Call, name: &str) -> Result<()> {
        core(&self.0)?.jobs.remove_schedule(call.app(), name).await
    }

    async fn pause(&self, call: &Call, name: &str, paused: bool) -> Result<()> {
        core(&self.0)?.jobs.pause_schedule(call.app(), name, paused).await
    }

    async fn run(&self, call: &Call, name: &str) -> Result<u64> {
        core(&self.0)?.jobs.run_schedule(call.app(), name).await
    }

    async fn list(&self, call: &Call) -> Result<Vec<Schedule>> {
        core(&self.0)?.jobs.schedules(call.app()).await
    }
}
