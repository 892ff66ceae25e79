//! The plugin of the development node: it holds what came of the last change, and tells every open
//! page over Server-Sent Events (HTML, "Server-sent events").

use std::time::Duration;

use fazt_kernel::BuiltIn;
use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;
use tokio::sync::watch;

/// The plugin, for a development node only.
pub(crate) fn built_in() -> BuiltIn {
    BuiltIn { name: NAME, root: fazt_sdk::export::root_of::<Dev> }
}

#[derive(Debug, Default)]
struct Dev;

/// What came of the last change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct State {
    /// What the site serves.
    deployment: Option<String>,
    /// Why the last change is not what it serves.
    problem: Option<String>,
    /// What is odd about the site.
    warnings: Vec<String>,
}

impl Plugin for Dev {
    fn manifest(&self) -> Manifest {
        Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Makes pages load again when the site changes")
            .route(Route::app(Method::Get, EVENTS).public())
            .route(Route::app(Method::Get, SCRIPT).public())
            .operation(Operation::put::<SetState>(STATE).summary("Tells pages what changed"))
    }

    fn start(&self, _: Host) -> Result<Started> {
        let state = watch::Sender::new(State::default());
        Ok(Started::new()
            .handle(EVENTS, Events(state.subscribe()))
            .handle(SCRIPT, Script(state.subscribe()))
            .operation(&format!("PUT {STATE}"), SetState(state)))
    }
}

struct SetState(watch::Sender<State>);

impl Operate for SetState {
    type Input = State;
    type Output = ();

    async fn operate(&self, _: &Call, input: State) -> Result<()> {
        self.0.send_replace(input);
        Ok(())
    }
}

/// The script, with the deployment that the page is from.
struct Script(watch::Receiver<State>);

impl Handler for Script {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        // The page was fetched a moment ago. If the site changed since, the page is told at once.
        let loaded = self.0.borrow().deployment.clone().unwrap_or_default();
        Ok(Response::new(200)
            .header("content-type", "text/javascript; charset=utf-8")
            .header("cache-control", "no-store")
            .body(include_str!("reload.js").replace("{loaded}", &loaded)))
    }
}

struct Events(watch::Receiver<State>);

impl Handler for Events {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        let mut state = self.0.clone();
        state.mark_changed();
        Ok(Response::new(200)
            .header("content-type", "text/event-stream")
            .header("cache-control", "no-store")
            .stream(Stream(state)))
    }
}

/// The state now, and again whenever it changes.
struct Stream(watch::Receiver<State>);

impl BodySource for Stream {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let Ok(changed) = tokio::time::timeout(SILENCE_MAX, self.0.changed()).await else {
            return Some(Ok(Bytes::from_static(b":\n\n")));
        };
        changed.ok()?;
        let state = serde_json::to_string(&*self.0.borrow_and_update());
        Some(
            state
                .map(|state| Bytes::from(format!("retry: 500\ndata: {state}\n\n")))
                .map_err(|error| Error::internal(format!("the state has no JSON form: {error}"))),
        )
    }
}

const NAME: &str = "dev";
/// Where pages listen.
const EVENTS: &str = "/_dev/reload";
/// What makes them listen.
const SCRIPT: &str = "/_dev/reload.js";
/// Where the command says what came of a change.
pub(crate) const STATE: &str = "/api/dev/state";
/// A stream is never silent for longer, so that both ends notice when the other is gone.
const SILENCE_MAX: Duration = Duration::from_secs(15);
