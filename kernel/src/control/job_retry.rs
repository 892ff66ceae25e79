//! `POST /api/jobs/{id}/retry`, `fazt job retry`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct Retry(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The job.
    id: u64,
}

/// What waits again.
#[derive(Serialize, JsonSchema)]
struct Waiting {
    id: u64,
}

impl Operate for Retry {
    type Input = Input;
    type Output = Waiting;

    async fn operate(&self, _: &Call, input: Input) -> Result<Waiting> {
        self.0.core()?.jobs.retry(None, input.id).await?;
        Ok(Waiting { id: input.id })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Retry(parts.node());
    parts
        .operation(
            Operation::post::<Retry>("/api/jobs/{id}/retry")
                .summary("Begins a dead or cancelled job anew, with all its attempts")
                .error("NO_SUCH_JOB")
                .error("JOB_NOT_DEAD")
                .error("JOB_KEY_TAKEN"),
            run,
        )
        .command(
            Command::new("job retry")
                .about("Begin a dead or cancelled job anew")
                .example("job retry 17")
                .argument(Argument::required("id", "The job's id"))
                .calls("POST /api/jobs/{id}/retry")
                .says("the job {id} waits again, with all its attempts"),
        )
}
