//! The plugin to copy: one of everything that a plugin can contribute, and nothing else.
//!
//! It greets whoever asks `/_template/hello`, counts the greetings, and shows the counts to the
//! owner. Read the lists in the manifest, then follow one of them.

mod echo;
mod greet;
mod greetings;
mod store;
mod top;

use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::services::{AppDataApi, AppsApi};

pub use greetings::{Greetings, GreetingsApi};

/// The plugin.
#[derive(Debug, Default)]
pub struct Template;

/// The plugin's name; its tables and settings start with it.
pub(crate) const NAME: &str = "template";

impl Plugin for Template {
    fn manifest(&self) -> Manifest {
        Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Greets visitors and counts the greetings")
            .requires::<AppsApi>()
            .provides::<GreetingsApi>()
            .contributes::<AppDataApi>()
            .migrations(migrations!("../../../migrations/template": "0001_create_greeting"))
            .setting(Setting::text("greeting", "Hello").doc("What visitors are greeted with."))
            .setting(
                Setting::duration(
                    "retention",
                    Duration::from_secs(90 * 86_400),
                    Duration::from_secs(3_650 * 86_400),
                )
                .doc("How long a count is kept after its last greeting."),
            )
            .route(Route::app(Method::Get, "/_template/hello").public())
            .route(Route::app(Method::Get, "/_template/echo").public())
            .operation(
                Operation::get::<top::TopGreetings>("/api/template/{app}/greetings")
                    .summary("The most greeted paths of an app")
                    .example(fazt_sdk::json!({ "app": "blog", "limit": 5 })),
            )
            .command(
                Command::new("template top")
                    .about("Show the most greeted paths of an app")
                    .example("template top blog")
                    .argument(Argument::required("app", "Id or alias of the app"))
                    .argument(Argument::option("limit", "How many; 10 without it"))
                    .calls("GET /api/template/{app}/greetings")
                    .column("PATH", "path")
                    .column("COUNT", "count"),
            )
            .binding(
                Binding::new("template.count")
                    .args(["path"])
                    .about("How often visitors of `path` were greeted"),
            )
            .follows::<fazt_sdk::event::AppRemoved>()
    }

    fn start(&self, host: Host) -> Result<Started> {
        let store = store::Store::new(&host);
        let apps = host.service::<AppsApi>()?;
        let greeting: String = host.setting("greeting")?;
        let retention = Duration::from_millis(host.setting("retention")?);
        host.tasks().every("template.expire", Duration::from_secs(3_600), {
            let store = store.clone();
            move || {
                let store = store.clone();
                async move { store.expire(retention).await }
            }
        })?;
        let count = {
            let store = store.clone();
            move |call: Call, (path,): (String,)| {
                let store = store.clone();
                async move {
                    let app = call
                        .app()
                        .ok_or_else(|| Error::invalid("fazt.template.count is called by an app"))?;
                    store.count(app, &path)
                }
            }
        };
        Ok(Started::new()
            .handle("/_template/hello", greet::Greet::new(store.clone(), greeting))
            .handle("/_template/echo", echo::Echo)
            .operation(
                "GET /api/template/{app}/greetings",
                top::TopGreetings::new(store.clone(), apps),
            )
            .bind("template.count", count)
            .follow::<fazt_sdk::event::AppRemoved, _>(
                &host.cartridge(),
                NAME,
                |transaction, removed| {
                    removed.iter().try_for_each(|event| store::delete_app(transaction, event.app))
                },
            )
            .provide(GreetingsApi::of(store.clone()))
            .provide(AppDataApi::of(store)))
    }
}

// The one line that makes the library loadable. A binary that compiles the plugin in leaves it out.
#[cfg(feature = "loadable")]
fazt_sdk::export_plugin!(Template);
