//! Plugins for these tests: one of everything that can be waited for, denied or stopped.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use fazt_sdk::prelude::*;
use fazt_sdk::{Event, Wire};
use fazt_testkit::BuiltIn;
use tokio::sync::{Semaphore, watch};

/// Answers operations and routes, and emits events.
pub(crate) const GADGET: BuiltIn =
    BuiltIn { name: "gadget", root: fazt_sdk::export::root_of::<Gadget> };

/// Follows the rare events of the gadget, and requires its service.
pub(crate) const FOLLOWER: BuiltIn =
    BuiltIn { name: "follower", root: fazt_sdk::export::root_of::<Follower> };

/// Takes durable events as they come, outside of a write.
pub(crate) const CARELESS: BuiltIn =
    BuiltIn { name: "careless", root: fazt_sdk::export::root_of::<Careless> };

/// Nobody follows it.
#[derive(Debug, Clone, PartialEq, Wire, Event)]
#[event("gadget.noise")]
struct Noise {
    number: u32,
}

/// Emitted once per request, under the name of a test.
#[derive(Debug, Clone, PartialEq, Wire, Event)]
#[event("gadget.rare")]
pub(crate) struct Rare {
    pub(crate) test: String,
}

/// How often each test's rare event took effect, and how often a careless plugin was handed one.
pub(crate) static FOLLOWED: LazyLock<watch::Sender<HashMap<String, u32>>> =
    LazyLock::new(watch::Sender::default);
pub(crate) static CARELESSLY: LazyLock<watch::Sender<HashMap<String, u32>>> =
    LazyLock::new(watch::Sender::default);

/// Labels of gadgets that were stopped.
pub(crate) static STOPPED: LazyLock<watch::Sender<Vec<String>>> =
    LazyLock::new(watch::Sender::default);

/// A call that waits, by the name of its test.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) entered: Arc<Semaphore>,
    pub(crate) release: Arc<Semaphore>,
}

/// The call that waits for the test `name`.
pub(crate) fn waiting(name: &str) -> Waiting {
    static ALL: LazyLock<Mutex<HashMap<String, Waiting>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let none = || Arc::new(Semaphore::new(0));
    all.entry(name.to_owned())
        .or_insert_with(|| Waiting { entered: none(), release: none() })
        .clone()
}

#[service("gadget.parts", 1)]
pub(crate) trait GadgetParts {
    /// How many parts it has.
    async fn count(&self, call: &Call) -> Result<u64>;
}

struct Parts;

impl GadgetParts for Parts {
    async fn count(&self, _: &Call) -> Result<u64> {
        Ok(3)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gadget;

impl Plugin for Gadget {
    fn manifest(&self) -> Manifest {
        Manifest::new("gadget", "1")
            .about("<script>alert(1)</script>")
            .provides::<GadgetPartsApi>()
            .setting(Setting::text("label", "").doc("Whose it is."))
            .route(Route::app(Method::Get, "/_gadget/wait/{test}").public())
            .route(Route::app(Method::Get, "/_gadget/headers").public())
            .route(Route::app(Method::Get, "/_gadget/preview").public())
            .route(Route::app(Method::Get, "/_gadget/cached").public())
            .route(Route::app(Method::Get, "/_gadget/prepared").public())
            .route(Route::app(Method::Get, "/_gadget/secret").public())
            .route(Route::admin(Method::Get, "/api/gadget-raw"))
            .route(Route::admin(Method::Post, "/api/gadget-raw"))
            .route(Route::admin(Method::Post, "/api/gadget-raw/{app}").scope(Scope::Deploy))
            .operation(Operation::get::<OfApp>("/api/gadget/{app}"))
            .operation(Operation::post::<Emit>("/api/gadget-events"))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let label: String = host.setting("label")?;
        Ok(Started::new()
            .handle("/_gadget/wait/{test}", Wait)
            .handle("/_gadget/headers", Headers)
            .handle("/_gadget/preview", Preview)
            .handle("/_gadget/cached", Cached("public, max-age=31536000"))
            .handle("/_gadget/secret", Cached("private, No-Store"))
            .handle("/_gadget/prepared", Prepared(prepared(&host)?))
            .handle("/api/gadget-raw", Raw)
            .handle("/api/gadget-raw/{app}", Raw)
            .operation("GET /api/gadget/{app}", OfApp)
            .operation("POST /api/gadget-events", Emit(host.cartridge()))
            .provide(GadgetPartsApi::of(Parts))
            .on_stop(move || async move {
                STOPPED.send_modify(|stopped| stopped.push(label));
                Ok(())
            }))
    }
}

struct Wait;

impl Handler for Wait {
    async fn call(&self, _: &Call, request: Request) -> Result<Response> {
        let waiting = waiting(request.path().rsplit('/').next().unwrap_or_default());
        waiting.entered.add_permits(1);
        waiting.release.acquire().await.unwrap().forget();
        Ok(Response::text("waited"))
    }
}

/// Answers with what it was sent.
struct Headers;

impl Handler for Headers {
    async fn call(&self, _: &Call, request: Request) -> Result<Response> {
        let all = ["cookie", "authorization"].map(|name| request.header(name).unwrap_or_default());
        Ok(Response::text(String::from_utf8_lossy(&all.join(&b'|')).into_owned()))
    }
}

/// Answers with the app and the preview label that it was asked for.
struct Preview;

impl Handler for Preview {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let app = call.app().map(|app| app.to_string()).unwrap_or_default();
        Ok(Response::text(format!("{app} {:?} {}", request.preview(), request.host())))
    }
}

/// Answers with this `cache-control`.
struct Cached(&'static str);

impl Handler for Cached {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::text("cached")
            .header("cache-control", self.0)
            .header("cdn-cache-control", "max-age=60"))
    }
}

fn prepared(host: &Host) -> Result<fazt_sdk::http::PreparedHead> {
    host.prepare([("cache-control", "public, max-age=31536000"), ("etag", "\"gadget\"")])
}

/// Answers with a head that is kept ready.
struct Prepared(fazt_sdk::http::PreparedHead);

impl Handler for Prepared {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::prepared(200, &self.0).body("ready"))
    }
}

struct Raw;

impl Handler for Raw {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::text("raw"))
    }
}

struct OfApp;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppInput {
    app: String,
}

impl Operate for OfApp {
    type Input = AppInput;
    type Output = String;

    async fn operate(&self, _: &Call, input: AppInput) -> Result<String> {
        Ok(input.app)
    }
}

struct Emit(Cartridge);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EmitInput {
    noise: u32,
    test: String,
}

impl Operate for Emit {
    type Input = EmitInput;
    type Output = ();

    async fn operate(&self, _: &Call, input: EmitInput) -> Result<()> {
        let emitted = self.0.write(None, move |transaction| {
            for number in 0..input.noise {
                transaction.emit(&Noise { number })?;
            }
            transaction.emit(&Rare { test: input.test.clone() })
        });
        emitted.await
    }
}

#[derive(Debug, Default)]
pub(crate) struct Follower;

impl Plugin for Follower {
    fn manifest(&self) -> Manifest {
        Manifest::new("follower", "1").requires::<GadgetPartsApi>().follows::<Rare>()
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().follow::<Rare, _>(&host.cartridge(), "follower", |_, events| {
            count(&FOLLOWED, events);
            Ok(())
        }))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Careless;

impl Plugin for Careless {
    fn manifest(&self) -> Manifest {
        Manifest::new("careless", "1").follows::<Rare>()
    }

    fn start(&self, _: Host) -> Result<Started> {
        Ok(Started::new().on::<Rare, _, _>(|events| async move {
            count(&CARELESSLY, &events);
            Ok(())
        }))
    }
}

fn count(counts: &watch::Sender<HashMap<String, u32>>, events: &[Rare]) {
    counts.send_modify(|counts| {
        for event in events {
            *counts.entry(event.test.clone()).or_default() += 1;
        }
    });
}
