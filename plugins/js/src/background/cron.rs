//! `fazt.cron`: the schedules of an app, seen and changed by its own code.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{APP_SCHEDULED, Missed, NewSchedule, Schedule};
use fazt_sdk::services::{Jobs as _, Schedules as _};
use fazt_sdk::{Json, json};

use super::declared;
use super::options::duration;
use super::runner::Runner;
use super::seat::no_such_handler;
use super::view::{self, Payload};
use super::worker::of_app;

/// Who made the schedules that code makes.
const SOURCE: &str = "code";

/// How long one run may take when nobody says.
pub(super) const RUN_TIME: Duration = Duration::from_secs(30 * 60);

pub(super) fn declare(manifest: Manifest) -> Manifest {
    manifest
        .binding(Binding::new("cron.list").about("The app's schedules"))
        .binding(Binding::new("cron.get").args(["name"]).about("One schedule, or null"))
        .binding(
            Binding::new("cron.schedule")
                .args(["name", "schedule", "handler", "options"])
                .about("Makes or changes a schedule: {missed, data, timeout, retry}"),
        )
        .binding(Binding::new("cron.remove").args(["name"]).about("Removes one that code made"))
        .binding(Binding::new("cron.pause").args(["name"]).about("Lets a schedule stand still"))
        .binding(Binding::new("cron.resume").args(["name"]).about("Lets it go on from now"))
        .binding(Binding::new("cron.run").args(["name"]).about("Makes a job at once"))
}

pub(super) fn bind(started: Started, runner: &Arc<Runner>) -> Started {
    let with = || Arc::clone(runner);
    let (one, two, three, four) = (with(), with(), with(), with());
    let (five, six, seven) = (with(), with(), with());
    started
        .bind("cron.list", move |call: Call, _: Vec<Json>| {
            let runner = Arc::clone(&one);
            async move {
                of_app(&call)?;
                let all = runner.schedules.list(&call).await?;
                Ok(all.iter().map(shown).collect::<Vec<_>>())
            }
        })
        .bind("cron.get", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&two);
            async move {
                let name = name(&list, "get")?;
                Ok(find(&runner, &call, &name).await?.as_ref().map(shown))
            }
        })
        .bind("cron.schedule", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&three);
            async move { put(&runner, &call, list).await }
        })
        .bind("cron.remove", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&four);
            async move { remove(&runner, &call, &name(&list, "remove")?).await }
        })
        .bind("cron.pause", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&five);
            async move {
                of_app(&call)?;
                runner.schedules.pause(&call, &name(&list, "pause")?, true).await
            }
        })
        .bind("cron.resume", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&six);
            async move {
                of_app(&call)?;
                runner.schedules.pause(&call, &name(&list, "resume")?, false).await
            }
        })
        .bind("cron.run", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&seven);
            async move {
                of_app(&call)?;
                let id = runner.schedules.run(&call, &name(&list, "run")?).await?;
                Ok(runner.jobs.get(&call, id).await?.map(|job| view::job(&job, &[])))
            }
        })
}

fn name(list: &[Json], function: &str) -> Result<String> {
    match list.first() {
        Some(Json::String(name)) if !name.is_empty() => Ok(name.clone()),
        _ => Err(Error::invalid(format!("cron.{function} requires the name of a schedule"))),
    }
}

/// What happens to missed moments, by its word.
pub(super) fn missed(word: Option<&str>) -> Result<Missed> {
    match word {
        None | Some("run-once") => Ok(Missed::RunOnce),
        Some("skip") => Ok(Missed::Skip),
        Some("all") => Ok(Missed::All),
        Some(other) => Err(Error::invalid(format!("missed is skip, run-once or all, not {other}"))),
    }
}

fn word(missed: Missed) -> &'static str {
    match missed {
        Missed::Skip => "skip",
        Missed::RunOnce => "run-once",
        Missed::All => "all",
    }
}

fn shown(schedule: &Schedule) -> Json {
    let what = &schedule.schedule;
    let payload: Option<Payload> = serde_json::from_slice(&what.payload).ok();
    let (handler, data) =
        payload.map_or_else(Default::default, |payload| (payload.handler, payload.data));
    json!({
        "name": what.name,
        "schedule": what.cron,
        "handler": handler,
        "missed": word(what.missed),
        "data": data,
        "paused": schedule.paused,
        "source": schedule.source,
        "next": schedule.next_ms,
        "lastAt": schedule.last_at_ms,
        "lastJob": schedule.last_job.map(|id| id.to_string()),
    })
}

async fn find(runner: &Runner, call: &Call, name: &str) -> Result<Option<Schedule>> {
    of_app(call)?;
    let all = runner.schedules.list(call).await?;
    Ok(all.into_iter().find(|schedule| schedule.schedule.name == name))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    missed: Option<String>,
    data: Json,
    timeout: Option<Json>,
    retry: Option<u32>,
}

async fn put(runner: &Runner, call: &Call, list: Vec<Json>) -> Result<Json> {
    let app = of_app(call)?;
    let wrong = |why: &dyn std::fmt::Display| {
        Error::invalid(format!("cron.schedule(name, schedule, handler, options): {why}"))
    };
    let mut list = list.into_iter();
    let mut text = |what: &str| match list.next() {
        Some(Json::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(wrong(&format!("{what} is a text"))),
    };
    let (name, cron, handler) = (text("name")?, text("schedule")?, text("handler")?);
    let options: Option<Options> =
        serde_json::from_value(list.next().unwrap_or_default()).map_err(|error| wrong(&error))?;
    let options = options.unwrap_or_default();
    let Some((_, path)) = runner.codes.find_handler(call, app, &handler).await? else {
        return Err(Error::not_found(no_such_handler(&handler)).with_code("NO_SUCH_HANDLER"));
    };
    let timeout = options.timeout.as_ref().map(|value| duration("timeout", value)).transpose()?;
    let payload =
        Payload { handler: path, data: options.data, memory: None, cron: Some(cron.clone()) };
    let schedule = NewSchedule {
        name: name.clone(),
        cron,
        missed: missed(options.missed.as_deref())?,
        kind: APP_SCHEDULED.to_owned(),
        payload: serde_json::to_vec(&payload).map_err(|error| wrong(&error))?,
        attempts_max: options.retry.unwrap_or(0).saturating_add(1),
        timeout: Some(timeout.unwrap_or(RUN_TIME)),
    };
    runner.schedules.put(call, SOURCE, &schedule).await?;
    let made = find(runner, call, &name).await?;
    made.as_ref()
        .map(shown)
        .ok_or_else(|| Error::conflict("somebody removed the schedule at the same time"))
}

async fn remove(runner: &Runner, call: &Call, name: &str) -> Result<()> {
    let found = find(runner, call, name).await?;
    if found.is_some_and(|schedule| schedule.source == declared::SOURCE) {
        return Err(Error::conflict(format!(
            "the schedule {name} stands in manifest.json: take it out there, or pause it"
        ))
        .with_code("SCHEDULE_TAKEN"));
    }
    runner.schedules.remove(call, name).await
}
