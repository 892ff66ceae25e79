//! `POST /api/apps/{app}/cron/{name}/resume`, `fazt cron resume`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct Resume(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app.
    app: String,
    /// The schedule's name.
    name: String,
}

/// What goes on.
#[derive(Serialize, JsonSchema)]
struct Resumed {
    name: String,
}

impl Operate for Resume {
    type Input = Input;
    type Output = Resumed;

    async fn operate(&self, call: &Call, input: Input) -> Result<Resumed> {
        let core = self.0.core()?;
        let app = core.find_app(call, &input.app)?.id;
        core.jobs.pause_schedule(Some(app), &input.name, false).await?;
        Ok(Resumed { name: input.name })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Resume(parts.node());
    parts
        .operation(
            Operation::post::<Resume>("/api/apps/{app}/cron/{name}/resume")
                .summary("Lets a schedule go on; moments of the pause are not made up for")
                .error("NO_SUCH_SCHEDULE")
                .error("NO_SUCH_APP"),
            run,
        )
        .command(
            Command::new("cron resume")
                .about("Let a schedule go on")
                .example("cron resume blog tidy")
                .argument(Argument::required("app", "Id or alias of the app"))
                .argument(Argument::required("name", "The schedule's name"))
                .calls("POST /api/apps/{app}/cron/{name}/resume")
                .says("{name} goes on"),
        )
}
