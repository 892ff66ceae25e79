//! Server code of apps: finds it, runs it in cells, and answers with what it says.
//!
//! | A… | goes through |
//! |---|---|
//! | request | `serve`, `code` (whose it is), `cells/pool` (which cell), `cells/cell` (its life there) |
//! | call of a script into the node | `cells/cell`, then the service `fazt.bindings/1` |
//! | cell | `cells/link` on this side, `cells/port` and the engine on the other |
//! | job or schedule | `background`: its bindings, then a cell of its own |
//! | line of a log | `log` (collected), `store` |
//! | TypeScript | `check` at the deploy, `stripped` for the cells |
//! | variable or secret | `operations`, `store`, and new cells from then on |
//!
//! The engine is a crate of its own, which knows neither the node nor the system.

mod background;
mod cells;
mod check;
mod code;
mod log;
mod operations;
mod response;
mod serve;
mod settings;
mod store;
mod stripped;

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::sites::DeploymentActivated;
use fazt_sdk::services::{
    AppDataApi, AppSecretsApi, AppsApi, BindingsApi, CodeCheckApi, JobsApi, SchedulesApi, SitesApi,
    WorkersApi,
};

use crate::background::declared::Declarations;
use crate::background::runner::Runner;
use crate::cells::cell::Surroundings;
use crate::cells::meter::Meters;
use crate::cells::pool::Pool;
use crate::cells::port::SocketPort;
use crate::check::Checks;
use crate::code::Codes;
use crate::log::LogSink;
use crate::operations::{ListEnv, ListSecrets, Logs, RemoveEnv, RemoveSecret, SetEnv, SetSecret};
use crate::serve::{Place, Serve};
use crate::settings::{Limits, UPLOAD_BYTES_CEILING};
use crate::store::Store;

pub(crate) const NAME: &str = "js";

const API: &str = "/api";
const BELOW_API: &str = "/api/{path...}";
const REST: &str = "/{path...}";

/// The plugin.
#[derive(Debug, Default)]
pub struct Js;

impl Plugin for Js {
    fn manifest(&self) -> Manifest {
        let manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Server code of apps, in cells of their own")
            .requires::<AppsApi>()
            .requires::<SitesApi>()
            .requires::<BindingsApi>()
            .requires::<WorkersApi>()
            .requires::<JobsApi>()
            .requires::<SchedulesApi>()
            .provides::<AppSecretsApi>()
            .contributes::<AppDataApi>()
            .contributes::<CodeCheckApi>()
            .follows::<AppRemoved>()
            .follows::<DeploymentActivated>()
            .migrations(migrations!(
                "../../../migrations/js":
                "0001_create_env_and_log", "0002_create_cron_due", "0003_add_terms_to_secrets",
                "0004_create_stripped"
            ))
            .route(Route::app_any(API).public().body_max(UPLOAD_BYTES_CEILING))
            .route(Route::app_any(BELOW_API).public().body_max(UPLOAD_BYTES_CEILING))
            .route(Route::app_any(REST).public().fallback().body_max(UPLOAD_BYTES_CEILING))
            .operation(ListEnv::operation())
            .operation(SetEnv::operation())
            .operation(RemoveEnv::operation())
            .operation(ListSecrets::operation())
            .operation(SetSecret::operation())
            .operation(RemoveSecret::operation())
            .operation(Logs::operation())
            .command(ListEnv::command())
            .command(SetEnv::command())
            .command(RemoveEnv::command())
            .command(ListSecrets::command())
            .command(RemoveSecret::command());
        let manifest = background::declare(manifest);
        settings::all().into_iter().fold(manifest, Manifest::setting)
    }

    fn start(&self, host: Host) -> Result<Started> {
        let limits = Arc::new(Limits::read(&host)?);
        let apps = host.service::<AppsApi>()?;
        let store = Store::new(&host);
        let sink = Arc::new(LogSink::new());
        let around = Surroundings {
            host: host.clone(),
            bindings: host.service::<BindingsApi>()?,
            log: Arc::clone(&sink),
            limits: Arc::clone(&limits),
            meters: Arc::new(Meters::new(Duration::from_millis(limits.cpu_minute_ms))),
        };
        let pool = Pool::new(around, host.service::<WorkersApi>()?);
        let codes = Arc::new(Codes::new(
            host.cartridge(),
            host.service::<SitesApi>()?,
            apps.clone(),
            store.clone(),
        ));
        let schedules = host.service::<SchedulesApi>()?;
        let declarations = Declarations::new(
            host.clone(),
            apps.clone(),
            host.service::<SitesApi>()?,
            schedules.clone(),
            Arc::clone(&sink),
        );
        declarations.start()?;
        let runner = Runner::new(
            host.clone(),
            host.service::<JobsApi>()?,
            schedules,
            Arc::clone(&codes),
            Arc::clone(&pool),
        );
        runner.start()?;
        let writing = (host.clone(), store.clone(), Arc::clone(&sink), Arc::clone(&limits));
        host.tasks().spawn("log", move || {
            let (host, store, sink, limits) = writing.clone();
            async move { sink.run(&host, &store, limits.log_rows, limits.log_bytes).await }
        })?;
        let serve = |place| Serve { place, codes: Arc::clone(&codes), pool: Arc::clone(&pool) };
        let (apps_of, store_of) = (|| apps.clone(), || store.clone());
        let (removing, leaving) = (
            (Arc::clone(&pool), Arc::clone(&runner)),
            (host.clone(), store.clone(), Arc::clone(&sink), Arc::clone(&runner)),
        );
        let activating = Arc::clone(&declarations);
        let logs = Logs {
            host: host.clone(),
            apps: apps.clone(),
            store: store.clone(),
            sink,
            limits: Arc::clone(&limits),
        };
        Ok(background::bind(Started::new(), &runner)
            .handle(API, serve(Place::Api))
            .handle(BELOW_API, serve(Place::Api))
            .handle(REST, serve(Place::Root))
            .operation(ListEnv::KEY, ListEnv { apps: apps_of(), store: store_of() })
            .operation(SetEnv::KEY, SetEnv { apps: apps_of(), store: store_of() })
            .operation(RemoveEnv::KEY, RemoveEnv { apps: apps_of(), store: store_of() })
            .operation(ListSecrets::KEY, ListSecrets { apps: apps_of(), store: store_of() })
            .operation(SetSecret::KEY, SetSecret { apps: apps_of(), store: store_of() })
            .operation(RemoveSecret::KEY, RemoveSecret { apps: apps_of(), store: store_of() })
            .operation(Logs::KEY, logs)
            .provide(CodeCheckApi::of(Checks {
                cartridge: host.cartridge(),
                codes: Arc::clone(&codes),
                pool: Arc::clone(&pool),
                declarations,
            }))
            .provide(AppSecretsApi::of(store.clone()))
            .provide(AppDataApi::of(store.clone()))
            .follow::<AppRemoved, _>(&host.cartridge(), NAME, move |transaction, removed| {
                removed.iter().try_for_each(|event| {
                    store::delete_app(transaction, event.app)?;
                    let ((pool, runner), app) = (removing.clone(), event.app);
                    transaction.on_commit(move || {
                        pool.retire(app);
                        runner.abandon(app);
                    })
                })
            })
            .follow::<DeploymentActivated, _>(
                &host.cartridge(),
                NAME,
                move |transaction, activated| {
                    let apps: Vec<_> = activated.iter().map(|event| event.app).collect();
                    activating.activated(transaction, &apps)
                },
            )
            .on_stop(move || async move {
                let (host, store, sink, runner) = leaving;
                runner.give_back().await;
                sink.write(&host, &store, limits.log_rows, limits.log_bytes).await
            }))
    }

    fn worker(&self, _channel: i32) -> i32 {
        // The channel is the worker's standard input, by the contract of `fazt.workers/1`.
        fazt_js_engine::run(Box::new(SocketPort::new()));
        0
    }
}
