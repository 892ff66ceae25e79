//! `POST /api/apps/{app}/cron/{name}/pause`, `fazt cron pause`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct Pause(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app.
    app: String,
    /// The schedule's name.
    name: String,
}

/// What stands still.
#[derive(Serialize, JsonSchema)]
struct Paused {
    name: String,
}

impl Operate for Pause {
    type Input = Input;
    type Output = Paused;

    async fn operate(&self, call: &Call, input: Input) -> Result<Paused> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?.id;
        core.jobs.pause_schedule(Some(app), &input.name, true).await?;
        Ok(Paused { name: input.name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Pause(parts.node());
    parts
        .operation(
            Operation::post::<Pause>("/api/apps/{app}/cron/{name}/pause")
                .summary("Stops a schedule for now")
                .error("NO_SUCH_SCHEDULE")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("cron pause")
                .about("Stop a schedule for now")
                .example("cron pause blog tidy")
                .argument(Argument::required("app", "Id or alias of the app"))
                .argument(Argument::required("name", "The schedule's name"))
                .calls("POST /api/apps/{app}/cron/{name}/pause")
                .says("{name} makes no jobs until it is resumed"),
        )
}
