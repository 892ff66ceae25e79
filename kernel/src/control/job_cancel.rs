//! `POST /api/jobs/{id}/cancel`, `fazt job cancel`.

use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::JobState;

use super::{Node, Parts};

struct Cancel(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The job.
    id: u64,
}

/// What became of the job.
#[derive(Serialize, JsonSchema)]
struct Cancelled {
    id: u64,
    /// `cancelled`, or `asked to stop` for one that runs.
    outcome: &'static str,
}

impl Operate for Cancel {
    type Input = Input;
    type Output = Cancelled;

    async fn operate(&self, _: &Call, input: Input) -> Result<Cancelled> {
        let became = self.0.core()?.jobs.cancel(None, input.id).await?;
        let outcome = if became == JobState::Running { "asked to stop" } else { "cancelled" };
        Ok(Cancelled { id: input.id, outcome })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Cancel(parts.node());
    parts
        .operation(
            Operation::post::<Cancel>("/api/jobs/{id}/cancel")
                .summary("Takes a job out of the queue, or asks the one that runs to stop")
                .error("NO_SUCH_JOB")
                .error("JOB_FINISHED"),
            run,
        )
        .command(
            Command::new("job cancel")
                .about("Take a job out of the queue, or ask it to stop")
                .example("job cancel 17")
                .argument(Argument::required("id", "The job's id"))
                .calls("POST /api/jobs/{id}/cancel")
                .says("the job {id} is {outcome}"),
        )
}
