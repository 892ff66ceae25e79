//! Services between libraries that were built apart, and the ways in which two sides may differ.

use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_testkit::BuiltIn;
use fazt_tests::fixtures::Library;

use super::{disable, enable, get, info, node};

/// The interface as an older consumer knows it.
mod older {
    use fazt_sdk::prelude::*;

    #[service("counts.tally", 1)]
    pub(super) trait Tally {
        async fn add(&self, call: &Call, name: &str, by: i64) -> Result<u64>;
    }
}

/// The interface as a consumer knows it that is newer than its provider.
mod newer {
    use fazt_sdk::prelude::*;

    #[derive(Wire)]
    pub(super) struct Tallied {
        name: String,
        count: u64,
        last: Option<i64>,
        tags: Vec<String>,
    }

    #[expect(dead_code, reason = "what counts is the place of the methods that are called")]
    #[service("counts.tally", 1)]
    pub(super) trait Tally {
        async fn add(&self, call: &Call, name: &str, by: i64) -> Result<u64>;
        async fn scale(&self, call: &Call, number: f64, by: u32, down: bool) -> Result<f64>;
        async fn reverse(&self, call: &Call, content: &[u8], limit: Option<u32>) -> Result<Bytes>;
        async fn stamp(
            &self,
            call: &Call,
            names: &[String],
            pattern: &Tallied,
        ) -> Result<Vec<Tallied>>;
        async fn app(&self, call: &Call) -> Result<Option<AppId>>;
        async fn refuse(&self, call: &Call, why: &str) -> Result<()>;
        async fn wait(&self, call: &Call, ms: u32) -> Result<u32>;
        async fn median(&self, call: &Call, name: &str) -> Result<u64>;
    }
}

/// The interface with another type in its first method.
mod other {
    use fazt_sdk::prelude::*;

    #[service("counts.tally", 1)]
    pub(super) trait Tally {
        async fn add(&self, call: &Call, name: &str, by: u64) -> Result<u64>;
    }
}

/// A consumer that is older and newer than its provider at once, and answers with what it gets.
#[derive(Default)]
struct Ages;

struct Old(Service<older::TallyApi>);
struct New(Service<newer::TallyApi>);
struct Late(Service<newer::TallyApi>);

impl Plugin for Ages {
    fn manifest(&self) -> Manifest {
        Manifest::new("ages", "1")
            .uses::<older::TallyApi>()
            .uses::<newer::TallyApi>()
            .route(Route::app(Method::Get, "/_ages/old").public())
            .route(Route::app(Method::Get, "/_ages/new").public())
            .route(Route::app(Method::Get, "/_ages/late").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new()
            .handle("/_ages/old", Old(host.service()?))
            .handle("/_ages/new", New(host.service()?))
            .handle("/_ages/late", Late(host.service()?)))
    }
}

impl Handler for Old {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(older::Tally::add(&self.0, call, "old", 1).await?.to_string()))
    }
}

impl Handler for New {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(newer::Tally::wait(&self.0, call, 1).await?.to_string()))
    }
}

impl Handler for Late {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(newer::Tally::median(&self.0, call, "x").await?.to_string()))
    }
}

/// A consumer of the interface with the other type.
#[derive(Default)]
struct Odd;

impl Plugin for Odd {
    fn manifest(&self) -> Manifest {
        Manifest::new("odd", "1").requires::<other::TallyApi>()
    }

    fn start(&self, host: Host) -> Result<Started> {
        host.service::<other::TallyApi>().map(|_| Started::new())
    }
}

/// Offers the interface with the other type, in the place of `counts`.
#[derive(Default)]
struct Impostor;

impl Plugin for Impostor {
    fn manifest(&self) -> Manifest {
        Manifest::new("impostor", "1").provides::<other::TallyApi>()
    }

    fn start(&self, _: Host) -> Result<Started> {
        Ok(Started::new().provide(other::TallyApi::of(Self)))
    }
}

impl other::Tally for Impostor {
    async fn add(&self, _: &Call, _: &str, by: u64) -> Result<u64> {
        Ok(by)
    }
}

fn ages() -> BuiltIn {
    BuiltIn { name: "ages", root: root_of::<Ages> }
}

#[tokio::test]
async fn a_library_uses_the_service_of_another_that_was_built_apart() {
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    assert_eq!(get(&kernel, "/_report/add/a").await, (200, "1".to_owned()));
    assert_eq!(get(&kernel, "/_report/add/a").await, (200, "2".to_owned()));
    // Both come back with the cartridge, in the right order.
    kernel.restart().await.unwrap();
    assert_eq!(kernel.kernel().started(), ["counts", "report"]);
    assert_eq!(get(&kernel, "/_report/add/a").await, (200, "3".to_owned()));
}

#[tokio::test]
async fn arguments_results_and_errors_of_every_kind_survive_two_crossings() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    assert_eq!(get(&kernel, "/_report/kinds").await, (200, "all the same".to_owned()));
}

#[tokio::test]
async fn a_consumer_without_its_provider_is_not_added() {
    let kernel = node(&[]).await;
    let error = kernel.add_library(&Library::Report.path()).await.unwrap_err();
    assert_eq!(error.code(), "REQUIREMENT_MISSING");
    assert!(error.message().contains("counts.tally/1"), "{error}");
    assert!(error.message().contains("report"), "{error}");
    kernel.add_library(&Library::Counts.path()).await.unwrap();
    kernel.add_library(&Library::Report.path()).await.unwrap();
}

#[tokio::test]
async fn a_consumer_built_for_another_signature_is_refused_naming_the_service_and_both_sides() {
    let mut kernel = node(&[Library::Counts]).await;
    let odd = BuiltIn { name: "odd", root: root_of::<Odd> };
    let error = kernel.restart_as(vec![odd]).await.unwrap_err();
    for word in ["counts.tally/1", "odd", "the plugin counts"] {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    assert_eq!(info(&kernel, "odd").await["state"], "failed");
    assert_eq!(info(&kernel, "counts").await["state"], "running");
}

#[tokio::test]
async fn a_provider_with_another_signature_is_not_added_while_others_require_the_service() {
    // The library's consumer is there first: what provides its service now is compiled in.
    let mut kernel = node(&[Library::Counts, Library::Report]).await;
    kernel.operate(Method::Delete, "/api/plugins/report", json()).await.unwrap();
    kernel.operate(Method::Delete, "/api/plugins/counts", json()).await.unwrap();
    let impostor = BuiltIn { name: "impostor", root: root_of::<Impostor> };
    kernel.restart_as(vec![impostor]).await.unwrap();
    let error = kernel.add_library(&Library::Report.path()).await.unwrap_err();
    assert_eq!(error.code(), "SERVICE_DIFFERS");
    for word in ["counts.tally/1", "report", "the plugin impostor"] {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    let plugins = kernel.operate(Method::Get, "/api/plugins", json()).await.unwrap();
    assert!(!plugins.to_string().contains("report"), "{plugins}");
}

fn json() -> fazt_sdk::Json {
    fazt_sdk::json!({})
}

#[tokio::test]
async fn either_side_may_be_the_newer_one_and_a_missing_method_is_unavailable_by_itself() {
    let mut kernel = node(&[Library::Counts]).await;
    kernel.restart_as(vec![ages()]).await.unwrap();
    assert_eq!(get(&kernel, "/_ages/old").await, (200, "1".to_owned()));
    assert_eq!(get(&kernel, "/_ages/new").await, (200, "1".to_owned()));
    let (status, text) = get(&kernel, "/_ages/late").await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("counts provides an older counts.tally/1"), "{text}");
    assert_eq!(get(&kernel, "/_ages/old").await, (200, "2".to_owned()));
}

#[tokio::test]
async fn a_service_goes_and_comes_back_under_the_handle_that_its_consumer_holds() {
    let mut kernel = node(&[Library::Counts]).await;
    kernel.restart_as(vec![ages()]).await.unwrap();
    assert_eq!(get(&kernel, "/_ages/new").await.0, 200);
    disable(&kernel, "counts", false).await.unwrap();
    let (status, text) = get(&kernel, "/_ages/new").await;
    assert_eq!(status, 503);
    assert!(text.contains("counts.tally/1"), "{text}");
    enable(&kernel, "counts").await.unwrap();
    assert_eq!(get(&kernel, "/_ages/new").await.0, 200);
}
