//! `fazt.worker`: jobs that the code of an app asks for.

use std::sync::Arc;
use std::time::Duration;

use fazt_js_engine::protocol::Level;
use fazt_sdk::prelude::*;
use fazt_sdk::services::Jobs as _;
use fazt_sdk::services::jobs::{APP_JOB, Job, JobFilter, NewJob};
use fazt_sdk::{Json, json};

use super::options::{SpawnOptions, duration};
use super::runner::Runner;
use super::seat::no_such_handler;
use super::view::{self, Payload};
use crate::log::Line;

/// Jobs that are listed when nobody says how many.
const LISTED: u32 = 50;

/// How long `wait` waits when nobody says how long. A request ends before, by its own limit.
const WAIT: Duration = Duration::from_secs(5 * 60);

pub(super) fn declare(manifest: Manifest) -> Manifest {
    manifest
        .binding(
            Binding::new("worker.spawn")
                .args(["handler", "options"])
                .about("Queues a job that runs a file of the app; it survives restarts"),
        )
        .binding(Binding::new("worker.get").args(["id"]).about("A job as it stands, or null"))
        .binding(
            Binding::new("worker.list")
                .args(["options"])
                .about("The app's jobs, the newest first: {status, limit, before}"),
        )
        .binding(
            Binding::new("worker.cancel")
                .args(["id"])
                .about("Takes a job out, or asks it to stop; false when it is finished"),
        )
        .binding(
            Binding::new("worker.wait")
                .args(["id", "options"])
                .about("Waits until a job is finished: {timeout}"),
        )
}

pub(super) fn bind(started: Started, runner: &Arc<Runner>) -> Started {
    let with = || Arc::clone(runner);
    let (one, two, three, four, five) = (with(), with(), with(), with(), with());
    started
        .bind("worker.spawn", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&one);
            async move { spawn(&runner, &call, list).await }
        })
        .bind("worker.get", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&two);
            async move {
                let Ok(id) = id(&list, "get") else { return Ok(Json::Null) };
                of_app(&call)?;
                let Some(job) = runner.jobs.get(&call, id).await? else { return Ok(Json::Null) };
                let lines = runner.jobs.lines(&call, id).await.unwrap_or_default();
                Ok(view::job(&job, &lines))
            }
        })
        .bind("worker.list", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&three);
            async move {
                of_app(&call)?;
                let filter = filter(list.into_iter().next().unwrap_or_default())?;
                let jobs = runner.jobs.list(&call, &filter).await?;
                Ok(jobs.iter().map(|job| view::job(job, &[])).collect::<Vec<_>>())
            }
        })
        .bind("worker.cancel", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&four);
            async move {
                of_app(&call)?;
                let id = id(&list, "cancel")?;
                match runner.jobs.cancel(&call, id).await {
                    Ok(()) => {
                        runner.interrupt(id);
                        Ok(true)
                    }
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
                    Err(error) => Err(error),
                }
            }
        })
        .bind("worker.wait", move |call: Call, list: Vec<Json>| {
            let runner = Arc::clone(&five);
            async move {
                of_app(&call)?;
                let job = wait(&runner, &call, &list).await?;
                Ok(view::job(&job, &[]))
            }
        })
}

/// Refuses a call of no app: it would see the jobs of all.
pub(super) fn of_app(call: &Call) -> Result<AppId> {
    call.app().ok_or_else(|| Error::invalid("jobs belong to apps; this call is for none"))
}

async fn spawn(runner: &Runner, call: &Call, list: Vec<Json>) -> Result<Json> {
    let app = of_app(call)?;
    let mut list = list.into_iter();
    let handler = match list.next() {
        Some(Json::String(handler)) if !handler.is_empty() => handler,
        _ => return Err(Error::invalid("worker.spawn requires handler path")),
    };
    let options: SpawnOptions = match list.next() {
        None | Some(Json::Null) => SpawnOptions::default(),
        Some(options) => serde_json::from_value(options)
            .map_err(|error| Error::invalid(format!("worker.spawn(handler, options): {error}")))?,
    };
    let wanted = options.read(runner.host.clock().unix_ms())?;
    let most = runner.pool.around.limits.job_memory_bytes;
    if let Some(memory) = wanted.memory_bytes.filter(|memory| *memory > most) {
        return Err(Error::invalid(format!(
            "a job of {memory} bytes of memory is larger than {most}, which is js.job_memory_bytes"
        )));
    }
    let Some((_, path)) = runner.codes.find_handler(call, app, &handler).await? else {
        return Err(Error::not_found(format!("worker.spawn: {}", no_such_handler(&handler)))
            .with_code("NO_SUCH_HANDLER"));
    };
    if wanted.ends_when_idle {
        note(
            runner,
            call,
            app,
            "idleTimeout and idleChannel say nothing here: the job ends when it returns, fails or is cancelled",
        );
    }
    let payload =
        Payload { handler: path, data: wanted.data, memory: wanted.memory_bytes, cron: None };
    let payload = serde_json::to_vec(&payload)
        .map_err(|error| Error::invalid(format!("worker.spawn: {error}")))?;
    let job = NewJob {
        unique_key: wanted.unique_key,
        run_at_ms: wanted.run_at_ms,
        priority: wanted.priority,
        attempts_max: wanted.attempts_max,
        backoff: wanted.backoff,
        timeout: wanted.timeout,
        daemon: wanted.daemon,
        ..NewJob::new(APP_JOB, payload)
    };
    let id = runner.jobs.enqueue(call, &job).await?;
    let job = runner.jobs.get(call, id).await?;
    job.map(|job| view::job(&job, &[]))
        .ok_or_else(|| Error::conflict("somebody removed the job at the same time"))
}

fn note(runner: &Runner, call: &Call, app: AppId, text: &str) {
    runner.pool.around.log.add(Line {
        app,
        at_ms: runner.host.clock().unix_ms(),
        level: Level::Warn,
        request_id: call.request_id().to_string(),
        text: text.to_owned(),
    });
}

/// The number of a job: apps are given it as a text, and may have made a number of it.
fn id(list: &[Json], name: &str) -> Result<u64> {
    let number = match list.first() {
        Some(Json::String(text)) => text.parse().ok(),
        Some(Json::Number(number)) => number.as_u64(),
        _ => None,
    };
    number.ok_or_else(|| {
        Error::not_found(format!("worker.{name}: there is no such job")).with_code("NO_SUCH_JOB")
    })
}

fn filter(options: Json) -> Result<JobFilter> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Options {
        status: Option<String>,
        limit: Option<u32>,
        before: Option<Json>,
    }
    let options: Option<Options> = serde_json::from_value(options)
        .map_err(|error| Error::invalid(format!("worker.list(options): {error}")))?;
    let options = options.unwrap_or_default();
    let state = options.status.map(|word| {
        view::state(&word).ok_or_else(|| {
            Error::invalid(format!("`{word}` is not pending, running, done, failed or cancelled"))
        })
    });
    Ok(JobFilter {
        kind: Some(APP_JOB.to_owned()),
        state: state.transpose()?,
        before: options.before.map(|before| id(&[before], "list")).transpose()?,
        limit: options.limit.unwrap_or(LISTED).max(1),
    })
}

async fn wait(runner: &Runner, call: &Call, list: &[Json]) -> Result<Job> {
    let id = id(list, "wait")?;
    let limit = match list.get(1) {
        None | Some(Json::Null) => WAIT,
        Some(Json::Object(options)) => match options.get("timeout") {
            None | Some(Json::Null) => WAIT,
            Some(value) => duration("timeout", value)?,
        },
        Some(other) => {
            return Err(Error::invalid(format!("worker.wait(id, {{timeout}}), not {other}")));
        }
    };
    let job = runner.jobs.wait(call, id, limit).await?;
    if job.finished_at_ms.is_none() {
        return Err(Error::timeout("wait timeout exceeded")
            .with_code("WAIT_TIMEOUT")
            .with_details(json!({ "id": id.to_string() })));
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    use fazt_sdk::services::jobs::JobState;

    use super::*;

    #[test]
    fn jobs_are_listed_by_the_words_that_apps_know() {
        let read = |options| filter(options).unwrap();
        assert_eq!(read(Json::Null).limit, LISTED);
        assert_eq!(read(json!({ "status": "failed" })).state, Some(JobState::Dead));
        assert_eq!(read(json!({ "limit": 3, "before": "17" })).before, Some(17));
        for wrong in [json!({ "status": "odd" }), json!({ "stat": 1 }), json!(7)] {
            assert!(filter(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_job_is_named_by_text_or_number() {
        assert_eq!(id(&[json!("17")], "get").unwrap(), 17);
        assert_eq!(id(&[json!(17)], "get").unwrap(), 17);
        for wrong in [json!("x"), json!(-1), json!({}), Json::Null] {
            assert!(id(&[wrong], "get").is_err());
        }
    }
}
