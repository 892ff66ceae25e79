//! `GET /api/jobs`, `fazt job list`; `GET /api/dead-jobs`, `fazt job dead`.

use fazt_sdk::command::Format;
use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{Job, JobFilter, JobState};

use super::{Node, Parts};
use crate::Core;
use crate::jobs::store::{state_name, state_of};

struct ListJobs(Node);

struct ListDead(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of an app.
    app: Option<String>,
    /// Of this kind only.
    kind: Option<String>,
    /// `waiting`, `running`, `done`, `dead` or `cancelled`.
    state: Option<String>,
    /// The cursor of the page before.
    cursor: Option<u64>,
    /// At most so many.
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeadInput {
    /// Id or alias of an app.
    app: Option<String>,
    /// The cursor of the page before.
    cursor: Option<u64>,
    /// At most so many.
    limit: Option<u32>,
}

/// A job.
#[derive(Serialize, JsonSchema)]
pub(super) struct JobRow {
    id: u64,
    /// Name of the app; empty for work of the node itself.
    name: String,
    /// The app.
    app: Option<AppId>,
    kind: String,
    /// `waiting`, `running`, `stopping`, `done`, `dead` or `cancelled`.
    state: &'static str,
    /// Attempts that began.
    attempt: u32,
    /// Attempts that it has.
    attempts_max: u32,
    daemon: bool,
    /// Percent.
    progress: u32,
    /// Why the latest attempt failed.
    problem: Option<String>,
    /// The schedule that made it.
    schedule: Option<String>,
    unique_key: Option<String>,
    run_at_ms: u64,
    created_at_ms: u64,
    started_at_ms: Option<u64>,
    finished_at_ms: Option<u64>,
}

impl JobRow {
    pub(super) fn of(core: &Core, job: Job) -> Self {
        let directory = core.directory.now();
        let name = job.app.and_then(|id| directory.app(id)).map(|app| app.name.clone());
        Self {
            id: job.id,
            name: name.unwrap_or_default(),
            app: job.app,
            kind: job.kind,
            state: if job.cancelling && job.state == JobState::Running {
                "stopping"
            } else {
                state_name(job.state)
            },
            attempt: job.attempt,
            attempts_max: job.attempts_max,
            daemon: job.daemon,
            progress: job.progress,
            problem: job.problem,
            schedule: job.schedule,
            unique_key: job.unique_key,
            run_at_ms: job.run_at_ms,
            created_at_ms: job.created_at_ms,
            started_at_ms: job.started_at_ms,
            finished_at_ms: job.finished_at_ms,
        }
    }
}

/// One page of jobs.
async fn page(
    core: &Core,
    call: &Call,
    app: Option<String>,
    filter: JobFilter,
) -> Result<List<JobRow>> {
    let app = match app {
        Some(app) => Some(core.find_app(call, &app)?.id),
        None => None,
    };
    let limit = filter.limit.clamp(1, PAGE_MAX);
    let mut jobs = core.jobs.list(app, JobFilter { limit: limit + 1, ..filter }).await?;
    let has_more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next = jobs.last().filter(|_| has_more).map(|job| job.id.to_string());
    Ok(List { items: jobs.into_iter().map(|job| JobRow::of(core, job)).collect(), next })
}

impl Operate for ListJobs {
    type Input = Input;
    type Output = List<JobRow>;

    async fn operate(&self, call: &Call, input: Input) -> Result<List<JobRow>> {
        let state = match input.state.as_deref() {
            Some(name) => Some(state_of(name).ok_or_else(|| {
                Error::invalid(format!(
                    "`{name}` is no state: it is waiting, running, done, dead or cancelled"
                ))
            })?),
            None => None,
        };
        let limit = input.limit.unwrap_or(PAGE_ORDINARY);
        let filter = JobFilter { kind: input.kind, state, before: input.cursor, limit };
        page(&*self.0.core()?, call, input.app, filter).await
    }
}

impl Operate for ListDead {
    type Input = DeadInput;
    type Output = List<JobRow>;

    async fn operate(&self, call: &Call, input: DeadInput) -> Result<List<JobRow>> {
        let (state, limit) = (Some(JobState::Dead), input.limit.unwrap_or(PAGE_ORDINARY));
        let filter = JobFilter { kind: None, state, before: input.cursor, limit };
        page(&*self.0.core()?, call, input.app, filter).await
    }
}

fn columns(command: Command) -> Command {
    command
        .column("ID", "id")
        .column("APP", "name")
        .column("KIND", "kind")
        .column("STATE", "state")
        .column("ATTEMPT", "attempt")
        .column("PROBLEM", "problem")
        .column_as("DUE", "run_at_ms", Format::Time)
        .column_as("FINISHED", "finished_at_ms", Format::Time)
}

pub(super) fn add(parts: Parts) -> Parts {
    let (list, dead) = (ListJobs(parts.node()), ListDead(parts.node()));
    parts
        .operation(
            Operation::get::<ListJobs>("/api/jobs")
                .summary("Jobs, the newest first")
                .error("NO_SUCH_APP")
                .paginated(),
            list,
        )
        .operation(
            Operation::get::<ListDead>("/api/dead-jobs")
                .summary("Jobs that failed as often as they may, the newest first")
                .error("NO_SUCH_APP")
                .paginated(),
            dead,
        )
        .command(columns(
            Command::new("job list")
                .about("List jobs, the newest first")
                .example("job list --app blog --state waiting")
                .argument(Argument::option("app", "Id or alias of an app"))
                .argument(Argument::option("kind", "Of this kind only"))
                .argument(Argument::option("state", "waiting, running, done, dead or cancelled"))
                .argument(Argument::option("limit", "At most so many"))
                .argument(Argument::option("cursor", "Those before this id"))
                .calls("GET /api/jobs"),
        ))
        .command(columns(
            Command::new("job dead")
                .about("List jobs that failed as often as they may")
                .example("job dead --app blog")
                .argument(Argument::option("app", "Id or alias of an app"))
                .argument(Argument::option("limit", "At most so many"))
                .argument(Argument::option("cursor", "Those before this id"))
                .calls("GET /api/dead-jobs"),
        ))
}

/// Jobs on one page when nothing is said.
const PAGE_ORDINARY: u32 = 50;

/// The most jobs on one page.
const PAGE_MAX: u32 = 500;
