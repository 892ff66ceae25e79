//! From a file to a node and back: open, describe, migrate, start; stop is the reverse.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use fazt_abi::http::{
    Field, RawRequest, RawRequestHead, RawResponse, RawResponseBody, RawResponseHead, Span,
};
use fazt_sdk::call::{CallBuilder, Principal};
use fazt_sdk::http::{Body, Method};
use fazt_sdk::manifest::Manifest;
use fazt_sdk::{Error, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::Access;
use crate::aside::Aside;
use crate::cartridge::{Cartridge, Existing, Mode, Options};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::control;
use crate::core::{Address, Core};
use crate::directory::Directory;
use crate::directory::check::Rechecks;
use crate::directory::probe::Probes;
use crate::edge::{self, Edge, EdgeRequest, Limits, Listener};
use crate::egress::{self, Egress, Outside};
use crate::events::Events;
use crate::garbage::Garbage;
use crate::jobs::{self, Jobs};
use crate::peers::Peers;
use crate::registry::service::Services;
use crate::registry::{BuiltIn, KERNEL, Registry, library};
use crate::routing::{self, Router};
use crate::secrets::Secrets;
use crate::tasks::Tasks;
use crate::telemetry::{Level, Telemetry};
use crate::workers::{Program, Workers};

/// How a node is booted.
#[derive(Debug)]
pub struct BootOptions {
    /// The cartridge.
    pub cartridge: PathBuf,
    /// To serve, or for one command.
    pub mode: Mode,
    /// Make the cartridge when there is none.
    pub create: bool,
    /// The plugins that are compiled in.
    pub built_in: Vec<BuiltIn>,
    /// Exactly these plugins and what they require, instead of those that are enabled.
    pub plugins: Option<Vec<String>>,
    /// Settings of the command line, by full name.
    pub settings: BTreeMap<String, String>,
    /// The least urgent records that are logged.
    pub log_level: Level,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What lies outside of the node.
    pub outside: Outside,
    /// What is started as a worker process; without it there are none.
    pub workers: Option<Program>,
}

impl BootOptions {
    /// Options with the machine's clock and nothing else set.
    #[must_use]
    pub fn new(cartridge: impl Into<PathBuf>, mode: Mode, built_in: Vec<BuiltIn>) -> Self {
        Self {
            cartridge: cartridge.into(),
            mode,
            create: false,
            built_in,
            plugins: None,
            settings: BTreeMap::new(),
            log_level: Level::Info,
            clock: Arc::new(SystemClock::new()),
            outside: Outside::default(),
            workers: None,
        }
    }
}

/// A node that runs, or serves one command. Stop it with [`Kernel::stop`].
pub struct Kernel {
    core: Arc<Core>,
    started: Vec<String>,
    created: bool,
}

/// A request to the admin API, from inside this process.
#[derive(Debug)]
pub struct AdminRequest {
    /// The method.
    pub method: Method,
    /// The path, decoded, starting with `/`.
    pub path: String,
    /// The query without `?`, percent-encoded.
    pub query: String,
    /// Header fields; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// How a request of a test reached the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Plain HTTP on the machine itself.
    Loopback,
    /// Plain HTTP from elsewhere, or through a proxy that nobody configured.
    PlainHttp,
    /// TLS, from anywhere.
    Tls,
}

/// The answer to a request from inside this process.
#[derive(Debug)]
pub struct AdminResponse {
    /// The status.
    pub status: u16,
    /// Header fields; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Kernel {
    /// Boots a node on the calling tokio runtime.
    ///
    /// # Errors
    /// One sentence for the owner. Whatever had started was stopped again.
    pub async fn boot(options: BootOptions) -> Result<Self> {
        let created = options.create && !options.cartridge.exists();
        if created {
            Cartridge::create(&options.cartridge, &options.clock)?;
        }
        let cartridge = Cartridge::open(
            &options.cartridge,
            options.mode,
            Options { clock: Arc::clone(&options.clock), ..Options::default() },
        )?;
        if options.mode == Mode::Serve {
            control::remove_unfinished_backups(cartridge.path());
        }
        match Self::assemble(&cartridge, options).await {
            Ok(kernel) => Ok(Self { created, ..kernel }),
            Err(error) => {
                drop(cartridge.close().await);
                Err(error)
            }
        }
    }

    async fn assemble(cartridge: &Cartridge, options: BootOptions) -> Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let telemetry = Arc::new(Telemetry::new(Arc::clone(&options.clock), options.log_level));
        let config = Config::load(cartridge, options.settings).await?;
        let declared = config.declare("server", &control::server_settings());
        let declared = declared.and(config.declare("edge", &edge_settings()));
        let declared = declared.and(config.declare("egress", &egress::settings()));
        let declared = declared.and(config.declare("jobs", &jobs::settings()));
        // A command is how a stored value that is wrong is set right.
        if options.mode == Mode::Serve {
            declared?;
        }
        let secrets = Secrets::load(cartridge).await?;
        let directory = Arc::new(Directory::load(cartridge).await?);
        let access = Access::load(cartridge).await?;
        let egress = Egress::load(cartridge, &config, options.outside).await?;
        let is_command = options.mode == Mode::Command;
        let port = config
            .get("server.port")
            .ok()
            .and_then(|port| u16::try_from(port.as_u64()?).ok())
            .filter(|port| *port != 0 && *port != 80);
        let address = Address { domain: config.text("server.domain").into(), scheme: "http", port };
        let workers =
            Arc::new(Workers::new(options.workers, runtime.clone(), Arc::clone(&options.clock))?);
        let core = Arc::new_cyclic(|weak: &Weak<Core>| Core {
            mode: options.mode,
            cartridge: cartridge.clone(),
            runtime: runtime.clone(),
            telemetry: Arc::clone(&telemetry),
            config,
            secrets,
            directory,
            access,
            peers: Peers::new(cartridge),
            events: Events::new(cartridge.clone(), Arc::clone(&telemetry)),
            services: Services::default(),
            registry: Arc::new(Registry::new(weak.clone(), options.plugins)),
            garbage: Garbage::default(),
            aside: Aside::new(),
            tasks: Tasks::new(KERNEL, runtime, telemetry, is_command),
            address: ArcSwap::from_pointee(address),
            egress,
            jobs: Jobs::new(cartridge),
            probes: Probes::default(),
            rechecks: Rechecks::default(),
            workers,
        });
        let parts = control::parts(Arc::downgrade(&core));
        let instance = fazt_sdk::export::assemble(&parts.manifest, parts.started)?;
        core.registry.adopt_kernel(&core, parts.manifest, instance).await?;
        crate::maintenance::start(&core)?;
        crate::garbage::start(&core)?;
        egress::start(&core)?;
        jobs::start(&core).await?;
        crate::directory::check::start(&core)?;
        core.registry.describe(&options.built_in).await?;
        let started = match core.registry.start_all().await {
            Ok(started) => started,
            Err(error) => {
                core.registry.stop_all().await;
                return Err(error);
            }
        };
        core.jobs.open();
        Ok(Self { core, started, created: false })
    }

    /// The names of the plugins that were started, in order.
    #[must_use]
    pub fn started(&self) -> &[String] {
        &self.started
    }

    /// Whether the cartridge was made by this boot.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The cartridge's file.
    #[must_use]
    pub fn cartridge_path(&self) -> &Path {
        self.core.cartridge.path()
    }

    /// Where the control socket of this cartridge lies.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        socket_path(self.core.cartridge.path())
    }

    /// Manifests of everything on this node, the kernel's own first.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        let mut all: Vec<_> = self
            .core
            .registry
            .list()
            .into_iter()
            .map(|entry| Manifest::clone(&entry.manifest))
            .collect();
        all.sort_by_key(|manifest| manifest.name != KERNEL);
        all
    }

    /// The address of the node, of a label below it, and of the dashboard (`admin`).
    #[must_use]
    pub fn url(&self, label: &str) -> String {
        self.core.url(label)
    }

    /// A link that signs the owner in once.
    ///
    /// # Errors
    /// What the cartridge says.
    pub async fn login_link(&self) -> Result<String> {
        self.core.login_link().await
    }

    /// Sets the owner's username and password. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name or a password that cannot be.
    pub async fn set_credentials(&self, username: &str, password: &str) -> Result<()> {
        self.core.access.set_credentials(username, password).await
    }

    /// The app behind alias `name`, made when it is not there. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for a reserved one.
    pub async fn ensure_app(&self, name: &str) -> Result<fazt_sdk::AppId> {
        Ok(self.core.directory.ensure(&self.core.label(name), self.core.new_app_id()?).await?.id)
    }

    /// Sets a setting in the cartridge. Durable.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        self.core.config.set(name, value).await?;
        self.core.settings_changed();
        Ok(())
    }

    /// The value of a setting, as JSON.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn setting(&self, name: &str) -> Result<serde_json::Value> {
        self.core.config.get(name)
    }

    /// Answers a request to the admin API in the name of the owner.
    pub async fn admin(&self, request: AdminRequest) -> AdminResponse {
        let ours = rustix::process::geteuid().as_raw();
        self.admin_from(Some(ours), Principal::Owner, u64::MAX, None, request).await
    }

    /// Answers a request to the admin API in the name of somebody.
    pub async fn admin_as(
        &self,
        principal: Principal,
        scopes: u64,
        limited_to: Option<fazt_sdk::AppId>,
        request: AdminRequest,
    ) -> AdminResponse {
        self.admin_from(None, principal, scopes, limited_to, request).await
    }

    /// As over HTTP, or as from the process of user `peer_uid`.
    async fn admin_from(
        &self,
        peer_uid: Option<u32>,
        principal: Principal,
        scopes: u64,
        limited_to: Option<fazt_sdk::AppId>,
        request: AdminRequest,
    ) -> AdminResponse {
        let request_id = routing::new_request_id(&self.core);
        let method = request.method;
        let raw = raw_request(request, &format!("admin.{}", self.core.domain()));
        let call = CallBuilder::new(principal, request_id.number())
            .scopes(scopes, limited_to)
            .deadline_ns(u64::MAX)
            .build();
        let mut request = EdgeRequest::internal(method, request_id, raw);
        request.peer_uid = peer_uid;
        self.response(routing::admin_answer(&self.core, call, request).await)
    }

    /// Answers any request, as the edge would hand it over. For tests.
    pub async fn request(
        &self,
        connection: Connection,
        host: &str,
        request: AdminRequest,
    ) -> AdminResponse {
        self.request_as(Principal::Anonymous, connection, host, request).await
    }

    /// Answers any request as that of somebody who is signed in at the app, if it is one. For tests.
    pub async fn request_as(
        &self,
        visitor: Principal,
        connection: Connection,
        host: &str,
        request: AdminRequest,
    ) -> AdminResponse {
        let request_id = routing::new_request_id(&self.core);
        let method = request.method;
        let mut raw = raw_request(request, host);
        raw.head.secure = u8::from(connection == Connection::Tls);
        let mut request = EdgeRequest::internal(method, request_id, raw);
        request.local = connection == Connection::Loopback;
        let router = Router { core: Arc::clone(&self.core), visitor };
        self.response(edge::Gateway::handle(&router, request).await)
    }

    fn response(&self, raw: RawResponse) -> AdminResponse {
        let headers = match &raw.head {
            RawResponseHead::Fields(fields) => fazt_sdk::http::fields(fields)
                .map(|(name, value)| {
                    (
                        String::from_utf8_lossy(name).into_owned(),
                        String::from_utf8_lossy(value).into_owned(),
                    )
                })
                .collect(),
            RawResponseHead::Prepared(prepared) => edge::PreparedHead::fields(prepared, raw.status),
        };
        let body = match raw.body {
            RawResponseBody::Blob { hash, start, len } => Body::source(BlobBody {
                blobs: Blobs(self.core.cartridge.clone()),
                hash,
                at: start,
                left: len,
            }),
            other => Body::from_response(other),
        };
        AdminResponse { status: raw.status, headers, body }
    }

    /// Listens on the settings' address and on the control socket, and serves until
    /// [`Serving::drain`].
    ///
    /// # Errors
    /// The port or the socket cannot be had; the message says what to do.
    pub fn serve(&self) -> Result<Serving> {
        let (mut listeners, port) = self.listeners()?;
        self.core.listening_on(port);
        listeners.push(Listener::unix(&self.socket_path())?);
        let router =
            Arc::new(Router { core: Arc::clone(&self.core), visitor: Principal::Anonymous });
        let blobs = Arc::new(Blobs(self.core.cartridge.clone()));
        let options = edge::Options { limits: self.limits()?, ..edge::Options::default() };
        let clock = Arc::clone(self.core.cartridge.clock());
        let server = Arc::new(Edge::new(router, blobs, options, clock));
        let watched = Arc::downgrade(&server);
        self.core.telemetry.watch_edge(move || watched.upgrade().map(|server| server.figures()));
        if self.core.config.get("server.access_log")?.as_bool() == Some(true) {
            self.core.telemetry.access_log.open()?;
        }
        let stopping = watch::Sender::new(false);
        let mut stopped = stopping.subscribe();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let shutdown = async move {
                // The sender lives in `Serving`: when it is gone, so is the wish to serve.
                drop(stopped.wait_for(|stopping| *stopping).await);
            };
            server.serve(listeners, shutdown).await
        });
        Ok(Serving { port, stopping, task })
    }

    /// TCP listeners. A machine without IPv6, or without IPv4, serves the other.
    fn listeners(&self) -> Result<(Vec<Listener>, u16)> {
        let addresses = self.addresses()?;
        let mut listeners = Vec::new();
        let mut port = 0;
        let mut refused = None;
        for mut address in addresses {
            if port != 0 {
                address.set_port(port);
            }
            match Listener::tcp(address) {
                Ok(listener) => {
                    port = listener.local_address().map_or(port, |address| address.port());
                    listeners.push(listener);
                }
                // Somebody else's server on the other address family would answer half of the
                // visitors: that is no port to share.
                Err(error) if error.code() == "PORT_IN_USE" => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        match (listeners.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok((listeners, port)),
        }
    }

    fn limits(&self) -> Result<Limits> {
        let mut limits = Limits::default();
        for limit in Limits::TABLE {
            let value = self.core.config.get(&format!("edge.{}", limit.name))?;
            limits.set(limit.name, value.as_u64().unwrap_or(limit.default))?;
        }
        Ok(limits)
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let host = self.core.config.text("server.host");
        let port = self
            .core
            .config
            .get("server.port")?
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(0);
        if host.is_empty() {
            let ips: [IpAddr; 2] = if &*self.core.domain() == "localhost" {
                [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
            };
            return Ok(ips.map(|ip| SocketAddr::new(ip, port)).to_vec());
        }
        let ip = host.parse().map_err(|_| Error::invalid(format!("the setting server.host is `{host}`, which is no IP address; write one such as 0.0.0.0")))?;
        Ok(vec![SocketAddr::new(ip, port)])
    }

    /// Waits until the disk failed to keep a promise; the process should then exit with an error.
    pub async fn storage_failed(&self) -> Arc<str> {
        self.core.cartridge.failed().await
    }

    /// Stops the plugins in reverse order, finishes all writes and closes the cartridge.
    ///
    /// # Errors
    /// When the cartridge could not be closed well.
    pub async fn stop(self) -> Result<()> {
        self.core.registry.stop_all().await;
        self.core.tasks.stop(std::time::Duration::from_secs(5)).await;
        Ok(self.core.cartridge.close().await?)
    }
}

/// A node's listeners. Dropping it cuts every connection.
pub struct Serving {
    port: u16,
    stopping: watch::Sender<bool>,
    task: JoinSet<edge::Drained>,
}

impl Serving {
    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops accepting and lets running requests finish, for at most the setting `edge.drain_ms`;
    /// returns how many connections were cut then.
    pub async fn drain(mut self) -> usize {
        self.stopping.send_replace(true);
        match self.task.join_next().await {
            Some(Ok(drained)) => drained.cut,
            Some(Err(_)) | None => 0,
        }
    }
}

/// Reads blobs for responses.
pub(crate) struct Blobs(Cartridge);

impl edge::BlobSource for Blobs {
    async fn chunk(&self, hash: &[u8; 32], offset: u64, len_max: u32) -> Result<bytes::Bytes> {
        let reader = self
            .0
            .open_blob(crate::cartridge::BlobHash(*hash))?
            .ok_or_else(|| Error::not_found("the content is gone"))?;
        let mut part = vec![0; len_max as usize];
        let read = reader.read_at(offset, &mut part)?;
        part.truncate(read);
        Ok(part.into())
    }
}

/// A blob as a body, for callers inside this process.
struct BlobBody {
    blobs: Blobs,
    hash: [u8; 32],
    at: u64,
    left: u64,
}

/// Bytes of one part of a blob body.
const PART_BYTES: u64 = 256 * 1024;

impl fazt_sdk::http::BodySource for BlobBody {
    async fn next(&mut self) -> Option<Result<bytes::Bytes>> {
        if self.left == 0 {
            return None;
        }
        let want = u32::try_from(self.left.min(PART_BYTES)).unwrap_or(u32::MAX);
        let part = edge::BlobSource::chunk(&self.blobs, &self.hash, self.at, want).await;
        if let Ok(part) = &part {
            self.at += part.len() as u64;
            self.left =
                if part.is_empty() { 0 } else { self.left.saturating_sub(part.len() as u64) };
        }
        Some(part)
    }
}

/// Where the control socket of a cartridge lies: beside it.
#[must_use]
pub fn socket_path(cartridge: &Path) -> PathBuf {
    let mut path = cartridge.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

/// Manifests of the kernel and of what is compiled in: what help is made from without a cartridge.
///
/// # Errors
/// When a compiled-in plugin does not describe itself.
pub fn manifests(built_in: &[BuiltIn]) -> Result<Vec<Manifest>> {
    let own = control::parts(Weak::new()).manifest;
    let compiled = built_in.iter().map(|plugin| library::manifest((plugin.root)()));
    std::iter::once(Ok(own)).chain(compiled).collect()
}

/// Puts a backup, or a stopped cartridge, at `to`, after checking it. Blocks on the disk.
///
/// # Errors
/// Why `from` cannot be used, or `to` cannot be had.
pub fn restore(from: &Path, to: &Path, set_existing_aside: bool) -> Result<()> {
    let existing = if set_existing_aside { Existing::SetAside } else { Existing::Refuse };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Ok(Cartridge::restore(from, to, existing, &clock)?)
}

fn edge_settings() -> Vec<fazt_sdk::setting::Setting> {
    use crate::edge::Unit;
    use fazt_sdk::setting::{Setting, SettingKind};
    Limits::TABLE
        .iter()
        .map(|limit| {
            let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let kind = match limit.unit {
                Unit::Bytes | Unit::BytesPerSecond => SettingKind::Bytes { max: limit.max },
                Unit::Milliseconds => SettingKind::Duration { max_ms: limit.max },
                Unit::Count => {
                    SettingKind::Integer { min: signed(limit.min), max: signed(limit.max) }
                }
            };
            Setting {
                name: limit.name.to_owned(),
                kind,
                default: limit.default.into(),
                doc: limit.doc.to_owned(),
            }
        })
        .collect()
}

/// A request from inside as the flat head that plugins see.
fn raw_request(request: AdminRequest, host: &str) -> RawRequest {
    let mut text = Vec::new();
    let mut put = |part: &str| {
        let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
        text.extend_from_slice(part.as_bytes());
        Span { start, len: u32::try_from(part.len()).unwrap_or(0) }
    };
    let fields: Vec<Field> = request
        .headers
        .iter()
        .map(|(name, value)| Field { name: put(name), value: put(value) })
        .collect();
    let (method, host, path, query) =
        (put(request.method.as_str()), put(host), put(&request.path), put(&request.query));
    let head = RawRequestHead {
        size: u32::try_from(size_of::<RawRequestHead>()).unwrap_or(u32::MAX),
        secure: 0,
        fields: fields.into(),
        captures: Vec::new().into(),
        method,
        host,
        port: Span::default(),
        path,
        raw_path: path,
        query,
        client: Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
        preview: Span::default(),
        text: text.into(),
    };
    RawRequest { head, body: request.body.into_raw() }
}
