//! `POST /api/apps/{app}/cron`, `fazt cron add`.

use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{APP_SCHEDULED, Missed, NewSchedule};

use super::cron_list::ScheduleRow;
use super::{Node, Parts};
use crate::jobs::schedules::{Only, missed_of};
use crate::jobs::settings::Limits;

struct AddSchedule(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app.
    app: String,
    /// The schedule's name; one of that name is changed.
    name: String,
    /// Minute, hour, day of the month, month, day of the week, in UTC; or `@daily` and the like.
    schedule: String,
    /// The file of the app that runs, as in `api/cron.js`.
    handler: Option<String>,
    /// What happens to moments that passed while the node did not run: `skip`, `run-once` or `all`.
    missed: Option<String>,
    /// Attempts of each run.
    attempts: Option<u32>,
    /// Who works on it; the app's own code without it.
    kind: Option<String>,
    /// What a worker of another kind is given.
    payload: Option<String>,
}

impl Operate for AddSchedule {
    type Input = Input;
    type Output = ScheduleRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<ScheduleRow> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?.id;
        let missed = match input.missed.as_deref() {
            None => Missed::RunOnce,
            Some(name) => missed_of(name)
                .ok_or_else(|| Error::invalid(format!("`{name}` is not skip, run-once or all")))?,
        };
        let payload = match (input.handler, input.payload) {
            (Some(handler), None) => serde_json::json!({ "handler": handler }).to_string(),
            (None, Some(payload)) if input.kind.is_some() => payload,
            (None, None) if input.kind.is_some() => String::new(),
            _ => {
                return Err(Error::invalid(
                    "say what runs: --handler with a file of the app, or --kind and --payload for another worker",
                ));
            }
        };
        let schedule = NewSchedule {
            name: input.name.clone(),
            cron: input.schedule,
            missed,
            kind: input.kind.unwrap_or_else(|| APP_SCHEDULED.to_owned()),
            payload: payload.into_bytes(),
            attempts_max: input.attempts.unwrap_or(1),
            timeout: Some(RUN_TIME),
        };
        let limits = Limits::of(&core);
        core.jobs.put_schedules(Some(app), SOURCE, vec![schedule], Only::These, limits).await?;
        let all = core.jobs.schedules(Some(app)).await?;
        all.into_iter()
            .find(|schedule| schedule.schedule.name == input.name)
            .map(|schedule| ScheduleRow::of(&core, schedule))
            .ok_or_else(|| Error::conflict("somebody removed the schedule at the same time"))
    }
}

/// Who made what this makes.
const SOURCE: &str = "owner";

/// How long one run may take.
const RUN_TIME: Duration = Duration::from_secs(30 * 60);

pub(super) fn add(parts: Parts) -> Parts {
    let run = AddSchedule(parts.node());
    parts
        .operation(
            Operation::post::<AddSchedule>("/api/apps/{app}/cron")
                .summary("Makes or changes a schedule of an app")
                .error("BAD_SCHEDULE")
                .error("BAD_NAME")
                .error("SCHEDULE_TAKEN")
                .error("TOO_MANY_SCHEDULES")
                .error("NO_SUCH_APP")
                .example(serde_json::json!({
                    "app": "blog", "name": "tidy", "schedule": "*/5 * * * *", "handler": "api/cron.js",
                })),
            run,
        )
        .command(
            Command::new("cron add")
                .about("Run code of an app at set times (UTC)")
                .example("cron add blog tidy '*/5 * * * *' --handler api/cron.js")
                .argument(Argument::required("app", "Id or alias of the app"))
                .argument(Argument::required("name", "The schedule's name; one of that name is changed"))
                .argument(Argument::required("schedule", "Minute, hour, day of month, month, day of week; or @daily and the like"))
                .argument(Argument::option("handler", "The file of the app that runs"))
                .argument(Argument::option("missed", "What happens to moments that passed: skip, run-once (ordinary) or all"))
                .argument(Argument::option("attempts", "Attempts of each run (1)"))
                .argument(Argument::option("kind", "Who works on it, if not the app's own code"))
                .argument(Argument::option("payload", "What that worker is given"))
                .calls("POST /api/apps/{app}/cron")
                .column("APP", "app_name")
                .column("NAME", "name")
                .column("SCHEDULE", "cron")
                .column("STATE", "state")
                .column("MISSED", "missed")
                .column_as("NEXT", "next_ms", fazt_sdk::command::Format::Time),
        )
}
