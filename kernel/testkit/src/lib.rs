//! `TestKernel`: a whole node on a temporary cartridge, without sockets, for the tests of plugins.
//!
//! ```no_run
//! # async fn example(plugin: fazt_testkit::BuiltIn) -> fazt_sdk::Result<()> {
//! let kernel = fazt_testkit::TestKernel::with(vec![plugin]).await?;
//! let app = kernel.app("blog").await?;
//! let answer = kernel.get("blog", "/_visits").await;
//! assert_eq!(answer.status, 200);
//! # Ok(()) }
//! ```

mod answer;
pub mod conformance;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fazt_kernel::clock::SystemClock;
use fazt_kernel::workers::Program;
use fazt_kernel::{AdminRequest, BootOptions, Kernel, Level, Mode};
use fazt_sdk::call::Principal;
use fazt_sdk::http::{Body, Method};
use fazt_sdk::{AppId, Error, Result};
use serde_json::Value;

pub use answer::Answer;
pub use fazt_kernel::clock::{Clock, ManualClock};
pub use fazt_kernel::{
    BuiltIn, Connection, Dial, Dialing, Outside, Resolve, Resolving, Stream, SystemDialer,
};

/// The machine's clock, set ahead as far as the test says.
#[derive(Debug)]
pub struct SkippingClock {
    machine: SystemClock,
    skipped_ms: AtomicI64,
}

impl SkippingClock {
    /// Starts at the machine's time.
    #[must_use]
    pub fn new() -> Self {
        Self { machine: SystemClock::new(), skipped_ms: AtomicI64::new(0) }
    }

    /// Skips some time.
    pub fn skip(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.skipped_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Default for SkippingClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SkippingClock {
    fn unix_ms(&self) -> i64 {
        self.machine.unix_ms().saturating_add(self.skipped_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        let skipped_ms = self.skipped_ms.load(Ordering::Relaxed);
        self.machine.monotonic() + Duration::from_millis(u64::try_from(skipped_ms).unwrap_or(0))
    }
}

/// A node on a temporary cartridge. The cartridge goes with it.
pub struct TestKernel {
    kernel: Option<Kernel>,
    built_in: Vec<BuiltIn>,
    settings: BTreeMap<String, String>,
    selection: Option<Vec<String>>,
    clock: Option<Arc<dyn Clock>>,
    outside: Option<Outside>,
    workers: Option<Program>,
    directory: tempfile::TempDir,
}

/// Who makes a request to the admin API.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The principal.
    pub principal: Principal,
    /// Bits of the scopes.
    pub scopes: u64,
    /// The only app that it may touch.
    pub limited_to: Option<AppId>,
}

impl Caller {
    /// The owner.
    pub const OWNER: Self =
        Self { principal: Principal::Owner, scopes: u64::MAX, limited_to: None };
    /// Nobody known.
    pub const ANONYMOUS: Self =
        Self { principal: Principal::Anonymous, scopes: 0, limited_to: None };
}

impl TestKernel {
    /// A node with these plugins compiled in.
    ///
    /// # Errors
    /// What keeps the node from starting. A plugin that does not start is an error here.
    pub async fn with(built_in: Vec<BuiltIn>) -> Result<Self> {
        Self::configured(built_in, Vec::new(), &[]).await
    }

    /// A node that loads these libraries.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn loaded(libraries: Vec<PathBuf>) -> Result<Self> {
        Self::configured(Vec::new(), libraries, &[]).await
    }

    /// A node with plugins compiled in, libraries, and settings as on the command line.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn configured(
        built_in: Vec<BuiltIn>,
        libraries: Vec<PathBuf>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::configured_at(built_in, libraries, settings, None).await
    }

    /// Like [`Self::configured`], at a time that the test decides.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn configured_at(
        built_in: Vec<BuiltIn>,
        libraries: Vec<PathBuf>,
        settings: &[(&str, &str)],
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        let directory = temporary()?;
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (selection, outside, workers) = (None, None, None);
        let mut kernel = Self {
            kernel: None,
            built_in,
            settings,
            selection,
            clock,
            outside,
            workers,
            directory,
        };
        kernel.start().await?;
        for library in libraries {
            kernel.add_library(&library).await?;
        }
        Ok(kernel)
    }

    /// Adds the library in that file to the running node, as `fazt plugin add` does. Returns what
    /// it says of itself.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn add_library(&self, library: &Path) -> Result<Value> {
        let bytes = std::fs::read(library).map_err(|error| {
            Error::not_found(format!("{}: {error}; build it first", library.display()))
        })?;
        self.admin(Caller::OWNER, Method::Post, "/api/plugins", "", bytes).await.data()
    }

    /// Like [`Self::with`], at a time that the test decides.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn timed(built_in: Vec<BuiltIn>, clock: Arc<ManualClock>) -> Result<Self> {
        let directory = temporary()?;
        let (selection, settings, outside) = (None, BTreeMap::new(), None);
        let (clock, workers): (Option<Arc<dyn Clock>>, _) = (Some(clock), None);
        let mut kernel = Self {
            kernel: None,
            built_in,
            settings,
            selection,
            clock,
            outside,
            workers,
            directory,
        };
        kernel.start().await?;
        Ok(kernel)
    }

    /// A node that looks names up where the test decides, with settings as on the command line.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn resolving(
        built_in: Vec<BuiltIn>,
        settings: &[(&str, &str)],
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
        Self::within(built_in, settings, Outside { resolver, ..Outside::default() }).await
    }

    /// A node around which everything is as the test says: what names lead to, who answers there, and
    /// whose certificates are trusted.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn within(
        built_in: Vec<BuiltIn>,
        settings: &[(&str, &str)],
        outside: Outside,
    ) -> Result<Self> {
        let mut kernel = Self::configured(built_in, Vec::new(), settings).await?;
        kernel.outside = Some(outside);
        kernel.restart().await?;
        Ok(kernel)
    }

    /// A node that starts this test's program as its workers. `main` of the test calls
    /// `fazt_kernel::workers::worker_main` before anything else.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn working(built_in: Vec<BuiltIn>, settings: &[(&str, &str)]) -> Result<Self> {
        let mut kernel = Self::configured(Vec::new(), Vec::new(), &[]).await?;
        kernel.workers = Some(Program::own()?);
        kernel.settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        kernel.restart_as(built_in).await?;
        Ok(kernel)
    }

    async fn start(&mut self) -> Result<()> {
        let mut options = BootOptions::new(self.cartridge(), Mode::Serve, self.built_in.clone());
        options.create = true;
        options.settings = self.settings.clone();
        options.plugins = self.selection.clone();
        options.log_level = Level::Error;
        options.workers = self.workers.clone();
        if let Some(clock) = &self.clock {
            options.clock = Arc::clone(clock);
        }
        if let Some(outside) = &self.outside {
            options.outside = outside.clone();
        }
        // Kept also when a plugin did not start: a test may ask why.
        let kernel = self.kernel.insert(Kernel::boot(options).await?);
        let missing: Vec<_> = self
            .built_in
            .iter()
            .filter(|_| self.selection.is_none())
            .map(|plugin| plugin.name)
            .filter(|name| !kernel.started().iter().any(|started| started == name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut reasons = Vec::new();
        for name in missing {
            let path = format!("/api/plugins/{name}");
            let info = self.operate(Method::Get, &path, Value::Null).await?;
            let failure = info["failure"].as_str().unwrap_or("no reason given");
            reasons.push(format!("{name}: {failure}"));
        }
        Err(Error::invalid(format!("these plugins did not start: {}", reasons.join("; "))))
    }

    /// Stops the node cleanly and starts it again on the same cartridge.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(kernel) = self.kernel.take() {
            kernel.stop().await?;
        }
        self.start().await
    }

    /// Stops the node cleanly and starts it again with exactly these plugins and what they
    /// require; with those that are enabled for `None`.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn restart_with(&mut self, selection: Option<&[&str]>) -> Result<()> {
        self.selection =
            selection.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        self.restart().await
    }

    /// Stops the node cleanly and starts it again with these plugins compiled in.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub async fn restart_as(&mut self, built_in: Vec<BuiltIn>) -> Result<()> {
        self.built_in = built_in;
        self.restart().await
    }

    /// Stops the node; the cartridge stays until this value is dropped.
    ///
    /// # Errors
    /// When the cartridge could not be closed well.
    pub async fn stop(&mut self) -> Result<()> {
        match self.kernel.take() {
            Some(kernel) => kernel.stop().await,
            None => Ok(()),
        }
    }

    /// The cartridge's file.
    #[must_use]
    pub fn cartridge(&self) -> PathBuf {
        self.directory.path().join("data.db")
    }

    /// The directory of the cartridge.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The node itself.
    ///
    /// # Panics
    /// After [`Self::stop`].
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that uses a stopped node is wrong")]
    pub fn kernel(&self) -> &Kernel {
        self.kernel.as_ref().expect("the node was stopped")
    }

    /// A request to the admin API.
    pub async fn admin(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        query: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        self.admin_with(caller, method, path, query, &[], body).await
    }

    /// A request to the admin API with headers.
    pub async fn admin_with(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = request(method, path, query, headers, body.into());
        Answer::read(
            self.kernel()
                .admin_as(caller.principal, caller.scopes, caller.limited_to, request)
                .await,
        )
        .await
    }

    /// The data of an admin operation called by the owner.
    ///
    /// # Errors
    /// What the operation answers, with its code.
    pub async fn operate(&self, method: Method, path: &str, input: Value) -> Result<Value> {
        let (query, body) = match (method, &input) {
            (Method::Get | Method::Delete, Value::Object(fields)) => {
                let pairs: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| {
                        format!(
                            "{name}={}",
                            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                        )
                    })
                    .collect();
                (pairs.join("&"), String::new())
            }
            (Method::Get | Method::Delete, _) => (String::new(), String::new()),
            (_, Value::Null) => (String::new(), String::new()),
            _ => (String::new(), input.to_string()),
        };
        self.admin(Caller::OWNER, method, path, &query, body).await.data()
    }

    /// Makes an app with that alias.
    ///
    /// # Errors
    /// As the service `fazt.apps/1`.
    pub async fn app(&self, name: &str) -> Result<AppId> {
        self.kernel().ensure_app(name).await
    }

    /// A GET request to an app's host.
    pub async fn get(&self, app: &str, path: &str) -> Answer {
        self.request(app, Method::Get, path, &[], "").await
    }

    /// A request to an app's host; the path may carry a query.
    pub async fn request(
        &self,
        app: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let host = if app.is_empty() { "localhost".to_owned() } else { format!("{app}.localhost") };
        self.exchange(Connection::Loopback, &host, method, path, headers, body).await
    }

    /// A request to an app's host by somebody who is signed in there; the path may carry a query.
    pub async fn request_as(
        &self,
        visitor: Principal,
        app: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = request(method, path, query, headers, body.into());
        let host = format!("{app}.localhost");
        let kernel = self.kernel();
        Answer::read(kernel.request_as(visitor, Connection::Loopback, &host, request).await).await
    }

    /// A request to any host over any connection, as the edge would hand it over; the path may carry
    /// a query.
    pub async fn exchange(
        &self,
        connection: Connection,
        host: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = request(method, path, query, headers, body.into());
        Answer::read(self.kernel().request(connection, host, request).await).await
    }
}

fn temporary() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|error| Error::internal(format!("a temporary directory: {error}")))
}

fn request(
    method: Method,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> AdminRequest {
    AdminRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: if body.is_empty() { Body::empty() } else { Body::full(body) },
    }
}
