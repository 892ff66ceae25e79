//! `POST /api/apps/{app}/cron/{name}/run`, `fazt cron run`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RunNow(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app.
    app: String,
    /// The schedule's name.
    name: String,
}

/// What was queued.
#[derive(Serialize, JsonSchema)]
struct Queued {
    name: String,
    /// The job.
    job: u64,
}

impl Operate for RunNow {
    type Input = Input;
    type Output = Queued;

    async fn operate(&self, call: &Call, input: Input) -> Result<Queued> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?.id;
        let job = core.jobs.run_schedule(Some(app), &input.name).await?;
        Ok(Queued { name: input.name, job })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RunNow(parts.node());
    parts
        .operation(
            Operation::post::<RunNow>("/api/apps/{app}/cron/{name}/run")
                .summary("Makes a job of a schedule at once, or names the one that waits or runs")
                .error("NO_SUCH_SCHEDULE")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("cron run")
                .about("Run a schedule at once")
                .example("cron run blog tidy")
                .argument(Argument::required("app", "Id or alias of the app"))
                .argument(Argument::required("name", "The schedule's name"))
                .calls("POST /api/apps/{app}/cron/{name}/run")
                .says("{name} runs now, as job {job}; see fazt job info {job}"),
        )
}
