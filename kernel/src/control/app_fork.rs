//! `POST /api/apps/{app}/fork`, `fazt app fork`.

use std::sync::Arc;

use fazt_sdk::prelude::*;
use fazt_sdk::service::InterfaceId;
use fazt_sdk::services::apps::App;
use fazt_sdk::services::{AppData as _, AppDataApi};

use super::{Node, Parts, required_option};
use crate::Core;
use crate::directory::Target;
use crate::registry::service::Consumer;

/// The plugin whose data `no_storage` leaves out: what an app and its visitors wrote.
const STORAGE: &str = "storage";

struct Fork(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Id or alias of the app that is copied.
    app: String,
    /// The name and alias of the copy.
    #[serde(rename = "as")]
    name: String,
    /// Leave out what the app and its visitors stored.
    #[serde(default)]
    no_storage: bool,
}

impl Operate for Fork {
    type Input = Input;
    type Output = App;

    async fn operate(&self, call: &Call, input: Input) -> Result<App> {
        let core = self.0.core()?;
        let from = core.find_app(call, &input.app)?;
        let name = core.label(&input.name);
        if core.directory.now().aliases.contains_key(&name) {
            return Err(taken(&name));
        }
        let to = core.new_app_id()?;
        let copy = core.directory.create_copy(&name, to, from.id).await?;
        // The name comes last: until then nobody sees half of a copy.
        let copied = async {
            copy_data(&core, call, from.id, to, input.no_storage).await?;
            core.directory.add_alias(&name, Target::App(to)).await
        };
        match copied.await {
            Ok(_) => Ok(core.app_record(&core.directory.now(), &copy)),
            Err(error) => {
                undo(&core, call, to).await;
                Err(error.context(format!("{} was not copied", from.name)))
            }
        }
    }
}

fn taken(name: &str) -> Error {
    Error::conflict(format!(
        "the alias {name} is taken; see `fazt alias info {name}`, or choose another name with --as"
    ))
    .with_code("ALIAS_TAKEN")
}

/// Everybody who keeps data of apps.
fn keepers(core: &Core) -> Result<Vec<Service<AppDataApi>>> {
    let id = InterfaceId::of::<AppDataApi>();
    let found =
        core.services.contributions(&Consumer::kernel(), &id.name, id.major, &id.methods)?;
    Ok(found.into_iter().map(Service::from_raw).collect())
}

async fn copy_data(
    core: &Arc<Core>,
    call: &Call,
    from: AppId,
    to: AppId,
    no_storage: bool,
) -> Result<()> {
    for keeper in keepers(core)? {
        let plugin = keeper.provider();
        if no_storage && plugin == STORAGE {
            continue;
        }
        let copied = keeper.fork(call, from, to).await;
        copied.map_err(|error| error.context(format!("the data of {plugin}")))?;
    }
    Ok(())
}

/// Takes away what there is of a copy. What cannot be taken away goes to the log; the app itself goes
/// last, and with it the plugins are told to forget it once more.
async fn undo(core: &Arc<Core>, call: &Call, app: AppId) {
    let failed = |error: &Error| {
        core.telemetry.failure("control", "a copy that failed could not be removed", error, "{}");
    };
    match keepers(core) {
        Ok(keepers) => {
            for keeper in keepers {
                if let Err(error) = keeper.delete_app(call, app).await {
                    failed(&error);
                }
            }
        }
        Err(error) => failed(&error),
    }
    if let Err(error) = core.remove_app(app).await {
        failed(&error);
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Fork(parts.node());
    // It makes another app, which a key for one app may not.
    let operation = Operation {
        for_app_keys: false,
        ..Operation::post::<Fork>("/api/apps/{app}/fork")
            .summary("Copies an app under another name, with its data; all of it or nothing")
            .error("ALIAS_TAKEN")
            .error("BAD_NAME")
            .error("NO_SUCH_APP")
            .example(serde_json::json!({"app": "blog", "as": "blog-next"}))
    };
    parts.operation(operation, run).command(
        Command::new("app fork")
            .about("Copy an app under another name, with its data")
            .example("app fork blog --as blog-next")
            .argument(Argument::required("app", "Id or alias of the app that is copied"))
            .argument(required_option("as", "The name and alias of the copy"))
            .argument(Argument::switch(
                "no_storage",
                "Leave out what the app and its visitors stored",
            ))
            .calls("POST /api/apps/{app}/fork")
            .says("{name} is a copy: {id}, at {urls}"),
    )
}
