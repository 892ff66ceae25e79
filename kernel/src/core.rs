//! What all parts of a node share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fazt_sdk::call::Call;
use fazt_sdk::services::apps::App as AppRecord;
use fazt_sdk::{AppId, Error, Result};
use tokio::runtime::Handle;

use crate::access::Access;
use crate::aside::Aside;
use crate::cartridge::{Cartridge, Mode, Owner, SqlError, WriteTx};
use crate::config::Config;
use crate::directory::check::Rechecks;
use crate::directory::probe::Probes;
use crate::directory::{Alias, App, Directory, Domain, Snapshot};
use crate::egress::Egress;
use crate::events::Events;
use crate::garbage::Garbage;
use crate::jobs::{self, Jobs};
use crate::peers::Peers;
use crate::registry::Registry;
use crate::registry::service::Services;
use crate::routing::LOCAL_DOMAIN;
use crate::secrets::Secrets;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::workers::Workers;

/// How long one request may take, from its head to the response's.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The parts of a node. Held by the node itself; everything that is handed out holds it weakly.
pub(crate) struct Core {
    pub(crate) mode: Mode,
    pub(crate) cartridge: Cartridge,
    pub(crate) runtime: Handle,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) config: Config,
    pub(crate) secrets: Secrets,
    pub(crate) directory: Arc<Directory>,
    pub(crate) access: Access,
    pub(crate) peers: Peers,
    pub(crate) events: Events,
    pub(crate) services: Services,
    pub(crate) registry: Arc<Registry>,
    pub(crate) garbage: Garbage,
    pub(crate) aside: Aside,
    /// The kernel's own tasks.
    pub(crate) tasks: Tasks,
    /// What changes when a setting does and every request reads.
    pub(crate) address: ArcSwap<Address>,
    /// The one client that connects to other machines.
    pub(crate) egress: Egress,
    /// Work that outlives requests and restarts.
    pub(crate) jobs: Jobs,
    /// What the node asks itself under the names of its domains, and when it asks again.
    pub(crate) probes: Probes,
    pub(crate) rechecks: Rechecks,
    /// Child processes of plugins.
    pub(crate) workers: Arc<Workers>,
}

/// Where the node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) domain: Arc<str>,
    pub(crate) scheme: &'static str,
    /// The port as it appears in addresses; nothing when it is the scheme's own.
    pub(crate) port: Option<u16>,
}

impl Address {
    /// The address of a label below the domain; of the domain itself for an empty one.
    fn url(&self, label: &str) -> String {
        let dot = if label.is_empty() { "" } else { "." };
        self.url_of_host(&format!("{label}{dot}{}", self.domain))
    }

    /// The address of a host that leads to this node.
    fn url_of_host(&self, host: &str) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.scheme)
    }
}

impl Core {
    /// Whether this is one command on a closed cartridge, not a server.
    pub(crate) fn is_command(&self) -> bool {
        self.mode == Mode::Command
    }

    /// The node's own name.
    pub(crate) fn domain(&self) -> Arc<str> {
        Arc::clone(&self.address.load().domain)
    }

    /// The address of a label below the domain; of the domain itself for an empty one.
    pub(crate) fn url(&self, label: &str) -> String {
        self.address.load().url(label)
    }

    /// The address of a host that leads to this node.
    pub(crate) fn url_of_host(&self, host: &str) -> String {
        self.address.load().url_of_host(host)
    }

    /// The port that the node listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.load().port.unwrap_or(80)
    }

    /// The address of the dashboard.
    pub(crate) fn admin_url(&self) -> String {
        self.url("admin")
    }

    /// A link that signs the owner in once. The token stands after `#`, so no server log holds it.
    /// Over plain HTTP signing in works on the machine itself only, so that is where the link leads.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn login_link(&self) -> Result<String> {
        let token = self.access.create_login_link().await?;
        let mut address = Address::clone(&self.address.load());
        if address.scheme == "http" {
            address.domain = LOCAL_DOMAIN.into();
        }
        Ok(format!("{}/login#{token}", address.url("admin")))
    }

    /// Reads the settings that requests depend on again.
    pub(crate) fn settings_changed(&self) {
        self.address.rcu(|before| Address {
            domain: self.config.text("server.domain").into(),
            ..Address::clone(before)
        });
    }

    /// Remembers the port that the node listens on.
    pub(crate) fn listening_on(&self, port: u16) {
        let port = (port != 80).then_some(port);
        self.address.rcu(|before| Address { port, ..Address::clone(before) });
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.cartridge.clock().unix_ms()).unwrap_or(0)
    }

    /// Nanoseconds since the node started.
    pub(crate) fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.cartridge.clock().monotonic().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Time since the node started, for what lies idle or is kept.
    pub(crate) fn egress_now(&self) -> Duration {
        self.cartridge.clock().monotonic()
    }

    /// When a request that begins now must have ended.
    pub(crate) fn deadline_ns(&self) -> u64 {
        self.monotonic_ns() + u64::try_from(REQUEST_LIMIT.as_nanos()).unwrap_or(0)
    }

    /// The body limit of requests whose route says nothing.
    pub(crate) fn edge_body_bytes(&self) -> u64 {
        self.config
            .get("edge.body_bytes")
            .ok()
            .and_then(|value| value.as_u64())
            .unwrap_or(1024 * 1024)
    }

    /// `len` random bytes.
    ///
    /// # Errors
    /// `Internal` when the system gives none.
    pub(crate) fn random(&self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal(format!("the system gave no random bytes: {error}"))
        })?;
        Ok(bytes)
    }

    /// A random number; 0 when the system gives none.
    pub(crate) fn random_number(&self) -> u64 {
        self.random(8).ok().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// An id that no app has.
    ///
    /// # Errors
    /// `Internal` when the system gives no random bytes.
    pub(crate) fn new_app_id(&self) -> Result<AppId> {
        AppId::from_random(&self.random(64)?)
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    /// Removes an app and what the node itself keeps for it, and tells every plugin. Durable.
    ///
    /// # Errors
    /// As [`Directory::remove_app`].
    pub(crate) async fn remove_app(&self, app: AppId) -> Result<()> {
        self.directory.remove_app(app, self.forgetting(app)).await
    }

    /// Removes what the node itself keeps for an app. Durable.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn forget_app(&self, app: AppId) -> Result<()> {
        let forget = self.forgetting(app);
        let written = self
            .cartridge
            .write_value(&Owner::kernel(), Some(*app.key()), move |tx| Ok(forget(tx)?));
        Ok(written.await?)
    }

    fn forgetting(
        &self,
        app: AppId,
    ) -> impl Fn(&WriteTx<'_>) -> Result<(), SqlError> + Send + use<> {
        let forget_rules = self.egress.rules.removal(app);
        move |tx| {
            forget_rules(tx)?;
            jobs::store::delete_app(tx, app)
        }
    }

    /// An app as plugins and clients see it.
    pub(crate) fn app_record(&self, directory: &Snapshot, app: &App) -> AppRecord {
        self.record(app, &directory.aliases_of(app.id), &directory.domains_of(app.id))
    }

    /// Apps as plugins and clients see them, the oldest first. Looks at each name once.
    pub(crate) fn app_records<'d>(
        &self,
        directory: &'d Snapshot,
        apps: impl Iterator<Item = &'d App>,
    ) -> Vec<AppRecord> {
        let names = directory.names();
        let mut apps: Vec<_> = apps.collect();
        apps.sort_by_key(|app| (app.created_at_ms, app.id));
        apps.into_iter()
            .map(|app| {
                let (aliases, domains) = names.of(app.id);
                self.record(app, aliases, domains)
            })
            .collect()
    }

    fn record(&self, app: &App, aliases: &[&Alias], domains: &[&Domain]) -> AppRecord {
        let urls = aliases.iter().map(|alias| self.url(&alias.name));
        AppRecord {
            id: app.id,
            name: app.name.clone(),
            created_at_ms: app.created_at_ms,
            aliases: aliases.iter().map(|alias| alias.name.clone()).collect(),
            urls: urls.chain(domains.iter().map(|domain| self.url_of_host(&domain.name))).collect(),
        }
    }

    /// A name of an app or an alias as it is kept: hosts know no capitals, and a whole host of this
    /// node means its label. What can be no name stays as wrong as it was, and an id as it is.
    pub(crate) fn label(&self, said: &str) -> String {
        if said.starts_with(AppId::PREFIX) {
            return said.to_owned();
        }
        let mut label = said.to_ascii_lowercase();
        let address = self.address.load();
        let below = label.strip_suffix(&*address.domain).and_then(|rest| rest.strip_suffix('.'));
        if let Some(length) = below.map(str::len) {
            label.truncate(length);
        }
        label
    }

    /// The app that `reference` names, if the caller may touch it.
    ///
    /// # Errors
    /// `NotFound`; `Denied` for a key of another app, whether the app is there or not: what a key
    /// may not touch it does not learn about.
    pub(crate) fn find_app(&self, call: &Call, reference: &str) -> Result<AppRecord> {
        let directory = self.directory.now();
        let found = directory.find(&self.label(reference));
        if let Some(only) = call.limited_to()
            && found.is_none_or(|app| app.id != only)
        {
            return Err(Error::denied(format!(
                "this key is for the app {only}, and `{reference}` is not a name of it"
            )));
        }
        let app = found.ok_or_else(|| {
            Error::not_found(format!(
                "there is no app `{reference}`; `fazt app list` shows those that are there"
            ))
            .with_code("NO_SUCH_APP")
        })?;
        Ok(self.app_record(&directory, app))
    }
}
