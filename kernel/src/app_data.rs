//! What the kernel itself keeps for apps, as `fazt.app-data/1`: what they may connect to, their
//! schedules and their jobs. A copy of an app gets its rules, and its schedules paused: two apps that
//! both do what one is to do would surprise. Jobs are not copied.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};
use fazt_sdk::services::jobs::NewSchedule;
use fazt_sdk::{AppId, Error, Result};
use serde::{Deserialize, Serialize};

use crate::Core;
use crate::egress::Pattern;
use crate::jobs::schedules::{Only, missed_name, missed_of};
use crate::jobs::settings::Limits;

/// The contributor. Holds the kernel weakly: the kernel holds its services.
pub(crate) struct KernelData(pub(crate) Weak<Core>);

/// One record of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
enum Record {
    Rule {
        host: String,
        http: bool,
    },
    Schedule {
        name: String,
        source: String,
        cron: String,
        missed: String,
        paused: bool,
        kind: String,
        payload: Vec<u8>,
        attempts_max: u32,
        timeout_ms: Option<u64>,
    },
}

impl KernelData {
    fn core(&self) -> Result<Arc<Core>> {
        self.0.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }
}

async fn records(core: &Core, app: AppId) -> Result<Vec<Record>> {
    let rules = core.egress.rules.now();
    let rules = rules.iter().filter(|rule| rule.app == Some(app));
    let mut all: Vec<_> = rules
        .map(|rule| Record::Rule { host: rule.pattern.to_string(), http: rule.plain })
        .collect();
    for schedule in core.jobs.schedules(Some(app)).await? {
        let what = schedule.schedule;
        all.push(Record::Schedule {
            name: what.name,
            source: schedule.source,
            cron: what.cron,
            missed: missed_name(what.missed).to_owned(),
            paused: schedule.paused,
            kind: what.kind,
            payload: what.payload,
            attempts_max: what.attempts_max,
            timeout_ms: what.timeout.and_then(|time| u64::try_from(time.as_millis()).ok()),
        });
    }
    Ok(all)
}

/// Takes in one record; schedules stand still when `paused` says so, or they did before.
async fn take_in(core: &Core, app: AppId, record: Record, stand_still: bool) -> Result<()> {
    match record {
        Record::Rule { host, http } => {
            core.egress.rules.allow(Some(app), Pattern::parse(&host)?, http).await?;
        }
        Record::Schedule {
            name,
            source,
            cron,
            missed,
            paused,
            kind,
            payload,
            attempts_max,
            timeout_ms,
        } => {
            let missed = missed_of(&missed).ok_or_else(|| {
                Error::invalid(format!("`{missed}` is not skip, run-once or all"))
            })?;
            let timeout = timeout_ms.map(Duration::from_millis);
            let schedule = NewSchedule {
                name: name.clone(),
                cron,
                missed,
                kind,
                payload,
                attempts_max,
                timeout,
            };
            let limits = Limits::of(core);
            let all = vec![schedule];
            core.jobs.put_schedules(Some(app), &source, all, Only::These, limits).await?;
            if paused || stand_still {
                core.jobs.pause_schedule(Some(app), &name, true).await?;
            }
        }
    }
    Ok(())
}

impl AppData for KernelData {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        let core = self.core()?;
        let rules = core.egress.rules.now().iter().filter(|rule| rule.app == Some(app)).count();
        let schedules = core.jobs.schedules(Some(app)).await?;
        let payloads: usize = schedules.iter().map(|one| one.schedule.payload.len()).sum();
        let (jobs, job_bytes) = core.jobs.usage(app).await?;
        let usage = |what: &str, count, bytes| Usage { what: what.to_owned(), count, bytes };
        let mut all = vec![
            usage("rules", rules as u64, 0),
            usage("schedules", schedules.len() as u64, payloads as u64),
            usage("jobs", jobs, job_bytes),
        ];
        all.retain(|row| row.count > 0);
        Ok(all)
    }

    async fn export(&self, _: &Call, app: AppId, cursor: Option<String>) -> Result<Page> {
        let core = self.core()?;
        let from = match cursor {
            Some(cursor) => cursor
                .parse()
                .map_err(|_| Error::invalid(format!("`{cursor}` is no cursor of this export")))?,
            None => 0_usize,
        };
        let all = records(&core, app).await?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for record in all.iter().skip(from) {
            let record = serde_json::to_vec(record)
                .map_err(|error| Error::internal(format!("a record has no JSON form: {error}")))?;
            bytes += record.len();
            if bytes > PAGE_BYTES_MAX && !page.is_empty() {
                break;
            }
            page.push(record);
        }
        let next = from + page.len();
        Ok(Page { records: page, next: (next < all.len()).then(|| next.to_string()) })
    }

    async fn import(&self, _: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()> {
        let core = self.core()?;
        for record in records {
            let record = serde_json::from_slice(record)
                .map_err(|error| Error::invalid(format!("a record cannot be read: {error}")))?;
            take_in(&core, app, record, false).await?;
        }
        Ok(())
    }

    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        let core = self.core()?;
        for record in records(&core, from).await? {
            take_in(&core, to, record, true).await?;
        }
        Ok(())
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        let core = self.core()?;
        core.forget_app(app).await
    }

    async fn delete_user(&self, _: &Call, _: &str) -> Result<()> {
        Ok(())
    }
}

/// The most bytes of one page.
const PAGE_BYTES_MAX: usize = 512 * 1024;
