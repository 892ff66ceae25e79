//! `GET /api/cron`, `fazt cron list`.

use fazt_sdk::command::Format;
use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::Schedule;

use super::{Node, Parts};
use crate::Core;
use crate::jobs::schedules::missed_name;

struct ListSchedules(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of an app.
    app: Option<String>,
}

/// A schedule.
#[derive(Serialize, JsonSchema)]
pub(super) struct ScheduleRow {
    name: String,
    /// Name of the app; empty for work of the node itself.
    app_name: String,
    /// The app.
    app: Option<AppId>,
    /// Five fields, in UTC.
    cron: String,
    /// `active`, or `paused`.
    state: &'static str,
    /// What happens to moments that passed: `skip`, `run-once` or `all`.
    missed: &'static str,
    /// Who made it.
    source: String,
    kind: String,
    /// What its jobs are given, if that is text.
    payload: Option<String>,
    /// The next moment.
    next_ms: Option<u64>,
    /// The next few moments.
    next_moments_ms: Vec<u64>,
    last_at_ms: Option<u64>,
    last_job: Option<u64>,
}

impl ScheduleRow {
    pub(super) fn of(core: &Core, schedule: Schedule) -> Self {
        let directory = core.directory.now();
        let app_name = schedule.app.and_then(|id| directory.app(id)).map(|app| app.name.clone());
        Self {
            name: schedule.schedule.name,
            app_name: app_name.unwrap_or_default(),
            app: schedule.app,
            cron: schedule.schedule.cron,
            state: if schedule.paused { "paused" } else { "active" },
            missed: missed_name(schedule.schedule.missed),
            source: schedule.source,
            kind: schedule.schedule.kind,
            payload: String::from_utf8(schedule.schedule.payload).ok(),
            next_ms: schedule.next_ms.first().copied(),
            next_moments_ms: schedule.next_ms,
            last_at_ms: schedule.last_at_ms,
            last_job: schedule.last_job,
        }
    }
}

impl Operate for ListSchedules {
    type Input = Input;
    type Output = Vec<ScheduleRow>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Vec<ScheduleRow>> {
        let core = self.0.core()?;
        let app = match input.app {
            Some(app) => Some(core.find_app(call, &app)?.id),
            None => None,
        };
        let schedules = core.jobs.schedules(app).await?;
        Ok(schedules.into_iter().map(|schedule| ScheduleRow::of(&core, schedule)).collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListSchedules(parts.node());
    parts
        .operation(
            Operation::get::<ListSchedules>("/api/cron")
                .summary("Schedules, by app and name, with their next moments")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("cron list")
                .about("List schedules")
                .example("cron list --app blog")
                .argument(Argument::option("app", "Id or alias of an app"))
                .calls("GET /api/cron")
                .column("APP", "app_name")
                .column("NAME", "name")
                .column("SCHEDULE", "cron")
                .column("STATE", "state")
                .column("MISSED", "missed")
                .column("SOURCE", "source")
                .column_as("NEXT", "next_ms", Format::Time)
                .column_as("LAST", "last_at_ms", Format::Time)
                .column("JOB", "last_job"),
        )
}
