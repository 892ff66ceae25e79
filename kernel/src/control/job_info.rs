//! `GET /api/jobs/{id}`, `fazt job info`.

use fazt_sdk::command::Format;
use fazt_sdk::prelude::*;

use super::job_list::JobRow;
use super::{Node, Parts};

struct InfoOfJob(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The job.
    id: u64,
}

/// A job with what it was given, what came of it and what it said.
#[derive(Serialize, JsonSchema)]
struct Info {
    #[serde(flatten)]
    job: JobRow,
    /// What it was given, if that is text.
    payload: Option<String>,
    /// What came of it, if that is text.
    result: Option<String>,
    /// What it said, one line each.
    log: Vec<String>,
}

impl Operate for InfoOfJob {
    type Input = Input;
    type Output = Info;

    async fn operate(&self, _: &Call, input: Input) -> Result<Info> {
        let core = self.0.core()?;
        let log = core.jobs.lines(None, input.id).await?;
        let Some(job) = core.jobs.get(None, input.id).await? else {
            return Err(
                Error::not_found(format!("there is no job {}", input.id)).with_code("NO_SUCH_JOB")
            );
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Ok(Info {
            payload: text(&job.payload),
            result: job.result.as_deref().and_then(text),
            log: log.into_iter().map(|line| line.text).collect(),
            job: JobRow::of(&core, job),
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = InfoOfJob(parts.node());
    parts
        .operation(
            Operation::get::<InfoOfJob>("/api/jobs/{id}")
                .summary("One job, with what it said and what came of it")
                .error("NO_SUCH_JOB"),
            run,
        )
        .command(
            Command::new("job info")
                .about("Show one job")
                .example("job info 17")
                .argument(Argument::required("id", "The job's id"))
                .calls("GET /api/jobs/{id}")
                .column("ID", "id")
                .column("APP", "name")
                .column("KIND", "kind")
                .column("STATE", "state")
                .column("ATTEMPT", "attempt")
                .column("OF", "attempts_max")
                .column("PROGRESS", "progress")
                .column("PROBLEM", "problem")
                .column("SCHEDULE", "schedule")
                .column("PAYLOAD", "payload")
                .column("RESULT", "result")
                .column("LOG", "log")
                .column_as("DUE", "run_at_ms", Format::Time)
                .column_as("STARTED", "started_at_ms", Format::Time)
                .column_as("FINISHED", "finished_at_ms", Format::Time),
        )
}
