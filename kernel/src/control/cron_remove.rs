//! `DELETE /api/apps/{app}/cron/{name}`, `fazt cron remove`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct Remove(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app.
    app: String,
    /// The schedule's name.
    name: String,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    name: String,
}

impl Operate for Remove {
    type Input = Input;
    type Output = Removed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Removed> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?.id;
        core.jobs.remove_schedule(Some(app), &input.name).await?;
        Ok(Removed { name: input.name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Remove(parts.node());
    parts
        .operation(
            Operation::delete::<Remove>("/api/apps/{app}/cron/{name}")
                .summary("Removes a schedule; jobs that it made stay")
                .error("NO_SUCH_SCHEDULE")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("cron remove")
                .about("Remove a schedule")
                .example("cron remove blog tidy")
                .argument(Argument::required("app", "Id or alias of the app"))
                .argument(Argument::required("name", "The schedule's name"))
                .calls("DELETE /api/apps/{app}/cron/{name}")
                .says("removed the schedule {name}"),
        )
}
