//! A job as the code of an app sees it.

use fazt_sdk::services::jobs::{Job, JobLine, JobState};
use fazt_sdk::{Json, json};

/// The word for a state; the four of them that apps of old know, and what they call them.
pub(super) fn status(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "pending",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Dead => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// The state of that word; the kernel's own words are understood as well.
pub(super) fn state(word: &str) -> Option<JobState> {
    match word {
        "pending" | "waiting" => Some(JobState::Waiting),
        "running" => Some(JobState::Running),
        "done" => Some(JobState::Done),
        "failed" | "dead" => Some(JobState::Dead),
        "cancelled" => Some(JobState::Cancelled),
        _ => None,
    }
}

/// What a job was given: the payload that `fazt.worker.spawn` and schedules write.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Payload {
    pub(super) handler: String,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) data: Json,
    /// Of the cell, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<u64>,
    /// The times of the schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cron: Option<String>,
}

/// The job, with what it said if that was asked for.
pub(super) fn job(job: &Job, lines: &[JobLine]) -> Json {
    let payload: Option<Payload> = serde_json::from_slice(&job.payload).ok();
    let (handler, data) =
        payload.map_or_else(Default::default, |payload| (payload.handler, payload.data));
    let result = job.result.as_deref().map(String::from_utf8_lossy).filter(|text| !text.is_empty());
    let value: Option<Json> = result.as_ref().and_then(|text| serde_json::from_str(text).ok());
    let mut view = json!({
        "id": job.id.to_string(),
        "handler": handler,
        "status": status(job.state),
        "progress": job.progress,
        "attempt": job.attempt,
        "maxAttempts": job.attempts_max,
        "daemon": job.daemon,
        "createdAt": job.created_at_ms,
        "runAt": job.run_at_ms,
    });
    let Some(fields) = view.as_object_mut() else { return view };
    let mut add = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    add("data", Some(data).filter(|data| !data.is_null()));
    add("result", result.map(|text| json!(text)));
    add("value", value);
    add("error", job.problem.as_ref().map(|text| json!(text)));
    add("uniqueKey", job.unique_key.as_ref().map(|key| json!(key)));
    add("schedule", job.schedule.as_ref().map(|name| json!(name)));
    add("cancelling", job.cancelling.then_some(json!(true)));
    add("startedAt", job.started_at_ms.map(|ms| json!(ms)));
    add("completedAt", job.finished_at_ms.map(|ms| json!(ms)));
    let logs =
        || lines.iter().map(|line| json!({ "at": line.at_ms, "message": line.text })).collect();
    add("logs", (!lines.is_empty()).then(logs));
    view
}
