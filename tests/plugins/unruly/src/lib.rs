//! Misbehaves on demand: in a route, in a service, in the background, at the start and the end.

mod drops;
mod streams;
mod works;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fazt_sdk::prelude::*;

use crate::drops::PanicsInDrop;
use crate::works::{Unruliness, WorksApi};

#[derive(Default)]
pub struct Unruly;

impl Plugin for Unruly {
    fn manifest(&self) -> Manifest {
        assert!(!cfg!(feature = "speechless"), "no words");
        Manifest::new("unruly", "0.1.0")
            .about("Misbehaves on demand")
            .provides::<WorksApi>()
            .migrations(migrations!("../migrations": "0001_create_note"))
            .setting(Setting::text("start", "").doc("How the start goes wrong."))
            .setting(Setting::text("stop", "").doc("How the end goes wrong."))
            .route(Route::app(Method::Get, "/_unruly/do/{how}").public())
            .route(Route::app(Method::Get, "/_unruly/early").public())
            .route(Route::app(Method::Get, "/_unruly/stream/{how}").public())
            .route(Route::app(Method::Get, "/_unruly/runs").public())
            .route(Route::app(Method::Get, "/_unruly/notes").public())
            .route(Route::app(Method::Get, "/_unruly/live").public())
            .route(Route::app(Method::Get, "/_unruly/socket").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        let (start, stop): (String, String) = (host.setting("start")?, host.setting("stop")?);
        match start.as_str() {
            "panic" => panic!("the start went wrong"),
            "error" => return Err(Error::invalid("it will not start")),
            "incomplete" => return Ok(Started::new()),
            _ => {}
        }
        let runs = Arc::new(AtomicU32::new(0));
        if start == "task" {
            let runs = Arc::clone(&runs);
            host.tasks().spawn("unruly.stumbles", move || {
                let run = runs.fetch_add(1, Ordering::Relaxed);
                // The first run never has a future, the second loses it.
                assert!(run != 0, "stumbled before the first step");
                async move {
                    assert!(run != 1, "stumbled after the first step");
                    std::future::pending().await
                }
            })?;
        }
        let unruliness = Unruliness::new(host.clone());
        let at_release = (stop == "drop").then(|| PanicsInDrop("released"));
        let started = Started::new()
            .handle("/_unruly/do/{how}", Do(unruliness.clone()))
            .handle("/_unruly/early", Early)
            .handle("/_unruly/stream/{how}", streams::Streams(host.clock()))
            .handle("/_unruly/runs", Runs { runs, _at_release: at_release })
            .handle("/_unruly/notes", works::Notes(host.cartridge()))
            .handle("/_unruly/live", works::Live(unruliness.clone()))
            .handle("/_unruly/socket", streams::Silence(unruliness.clone()))
            .provide(WorksApi::of(unruliness));
        Ok(match stop.as_str() {
            "panic" => started.on_stop(|| async { panic!("the end went wrong") }),
            "early" => started.on_stop(|| -> std::future::Ready<Result<()>> {
                panic!("the end went wrong at once")
            }),
            "error" => started.on_stop(|| async { Err(Error::internal("it will not stop")) }),
            _ => started,
        })
    }
}

/// Does what the path says.
struct Do(Unruliness);

impl Handler for Do {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let how = request.capture(0);
        Ok(match how {
            "name" => Response::text("x").header("a b", "x"),
            "value" => Response::text("x").header("x-a", "x\r\nset-cookie: y"),
            "status" => Response::new(42),
            "switch" => Response::new(101),
            "length" => Response::text("x").header("content-length", "99"),
            _ => Response::text(self.0.run(call, how).await?),
        })
    }
}

/// Panics before there is a future.
struct Early;

impl Handler for Early {
    fn call(&self, _: &Call, _: Request) -> impl Future<Output = Result<Response>> + Send {
        panic!("too early");
        #[expect(unreachable_code, reason = "gives the future its type")]
        std::future::ready(Ok(Response::new(200)))
    }
}

/// How often the background task was started.
struct Runs {
    runs: Arc<AtomicU32>,
    _at_release: Option<PanicsInDrop>,
}

impl Handler for Runs {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(self.runs.load(Ordering::Relaxed).to_string()))
    }
}

export_plugin!(Unruly);
