//! What every provider of a service has to do, whatever it keeps its data in.
//!
//! A suite is a list of claims, and runs inside a plugin, because only a plugin is given services:
//! put [`plugin`] beside the provider, then ask [`failures`].
//!
//! ```no_run
//! # async fn example(provider: fazt_testkit::BuiltIn) -> fazt_sdk::Result<()> {
//! use fazt_testkit::{TestKernel, conformance};
//! let kernel = TestKernel::with(vec![provider, conformance::plugin()]).await?;
//! assert_eq!(conformance::failures(&kernel, "kv").await?, Vec::<String>::new());
//! # Ok(()) }
//! ```

/// Ends a claim that does not hold.
macro_rules! claim {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(Error::internal(format!($($message)+)));
        }
    };
}

/// Ends a claim when the two differ.
macro_rules! same {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    let message = format!($($message)+);
                    return Err(Error::internal(format!("{message}: {found:?}, not {expected:?}")));
                }
            }
        }
    };
}

/// Runs the claims in turn; each failure becomes a line.
macro_rules! claims {
    ($stage:expr, $provider:expr, $($claim:ident),+ $(,)?) => {{
        let mut failures = Vec::new();
        $(
            if let Err(error) = $claim($provider, $stage).await {
                failures.push(format!("{}: {error} ({})", stringify!($claim), error.code()));
            }
        )+
        failures
    }};
}

mod documents;
mod kv;
mod model;
mod objects;
mod transactions;

use fazt_sdk::call::Call;
use fazt_sdk::error::{Error, ErrorKind, Result};
use fazt_sdk::export::root_of;
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::http::{Handler, Method, Request, Response};
use fazt_sdk::manifest::Manifest;
use fazt_sdk::plugin::{Plugin, Started};
use fazt_sdk::route::Route;
use fazt_sdk::services::{DocumentsApi, KvApi, ObjectsApi, TransactionsApi};

use crate::{BuiltIn, Caller, TestKernel};

/// What a claim plays with: calls on behalf of two apps, and the time.
#[derive(Debug, Clone)]
pub struct Stage {
    /// On behalf of one app.
    pub call: Call,
    /// On behalf of another one.
    pub other: Call,
    /// The node's time.
    pub clock: Clock,
}

/// The plugin that runs the suites.
#[must_use]
pub fn plugin() -> BuiltIn {
    BuiltIn { name: "conformance", root: root_of::<Conformance> }
}

/// Runs a suite; a line for each claim that does not hold.
///
/// # Errors
/// When there is no such suite, or nobody provides the service.
pub async fn failures(kernel: &TestKernel, suite: &str) -> Result<Vec<String>> {
    let apps = format!("{} {}", kernel.app("conforming").await?, kernel.app("bystander").await?);
    let answer = kernel
        .admin(Caller::OWNER, Method::Post, &format!("/api/conformance/{suite}"), "", apps)
        .await;
    let lines = answer.data()?;
    Ok(lines
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| line.as_str().map(str::to_owned))
        .collect())
}

#[derive(Debug, Default)]
struct Conformance;

const PATH: &str = "/api/conformance/{suite}";

impl Plugin for Conformance {
    fn manifest(&self) -> Manifest {
        Manifest::new("conformance", "1")
            .about("Runs suites of claims against providers")
            .uses::<KvApi>()
            .uses::<DocumentsApi>()
            .uses::<ObjectsApi>()
            .uses::<TransactionsApi>()
            .route(Route::admin(Method::Post, PATH))
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle(PATH, Run { host }))
    }
}

struct Run {
    host: Host,
}

impl Handler for Run {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        let apps = request.body().collect(1024).await?;
        let apps = String::from_utf8_lossy(&apps).into_owned();
        let (one, two) =
            apps.split_once(' ').ok_or_else(|| Error::invalid("the body names two apps"))?;
        let stage = Stage {
            call: call.for_app(one.parse()?),
            other: call.for_app(two.parse()?),
            clock: self.host.clock(),
        };
        let failures = match request.capture(0) {
            "kv" => kv::failures(&self.host.service::<KvApi>()?, &stage).await,
            "documents" => documents::failures(&self.host.service::<DocumentsApi>()?, &stage).await,
            "objects" => objects::failures(&self.host.service::<ObjectsApi>()?, &stage).await,
            "transactions" => {
                let provided = transactions::Provided {
                    kv: self.host.service::<KvApi>()?,
                    documents: self.host.service::<DocumentsApi>()?,
                    transactions: self.host.service::<TransactionsApi>()?,
                };
                transactions::failures(&provided, &stage).await
            }
            other => return Err(Error::not_found(format!("there is no suite {other}"))),
        };
        Response::json(&serde_json::json!({ "data": failures }))
    }
}

/// Whether this is an error of that kind and code.
fn fails<T>(result: &Result<T>, kind: ErrorKind, code: &str) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == kind && error.code() == code)
}
