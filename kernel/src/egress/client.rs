//! The client itself, and what the node asks others on its own account.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fazt_sdk::Result as SdkResult;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::address;
use super::cache::Cache;
use super::dial::{Dial, Stream, SystemDialer};
use super::limits::number;
use super::line::Line;
use super::pool::Pool;
use super::resolve::{Resolve, SystemResolver};
use super::rules::Rules;
use super::slots::Slots;
use super::tls::Tls;
use crate::cartridge::Cartridge;
use crate::config::Config;

/// What lies outside of the node. A parameter of it, so that a test decides what names lead to, who
/// answers there, and whose certificates are trusted.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Who knows the addresses of other machines.
    pub resolver: Arc<dyn Resolve>,
    /// Who connects to them.
    pub dialer: Arc<dyn Dial>,
    /// Authorities that are trusted besides those of browsers, as DER. For tests: no setting and no
    /// command adds to it.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver),
            dialer: Arc::new(SystemDialer),
            authorities: Vec::new(),
        }
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct Egress {
    outside: Outside,
    pub(crate) rules: Rules,
    pub(super) tls: Tls,
    pub(super) slots: Slots,
    pub(super) pool: Pool,
    pub(super) cache: Cache,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fetch<'f> {
    /// An absolute `http` address.
    pub(crate) url: &'f str,
    /// Which machines may be asked.
    pub(crate) reach: Reach,
    /// How many redirects are followed.
    pub(crate) redirects_max: u8,
    /// The largest body of an answer, in bytes.
    pub(crate) body_bytes_max: usize,
    /// How long everything may take.
    pub(crate) limit: Duration,
}

/// Which machines may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of the public Internet, and this one.
    PublicOrOwn,
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::PublicOrOwn => address::is_public(address) || address::is_own(address),
        }
    }
}

/// What another machine answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the other server calls itself.
    pub(crate) server: Option<String>,
    pub(crate) body: Bytes,
    /// Who answered.
    pub(crate) from: SocketAddr,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The address is not one that this client can ask.
    Address(String),
    /// The other server wants to be asked over TLS, at this address.
    Tls(String),
    /// The name has no address.
    Unresolved { host: String, why: String },
    /// One of the addresses is neither public nor this machine's.
    NotPublic { host: String, address: IpAddr },
    /// No address could be connected to.
    Unreached { addresses: Vec<SocketAddr>, why: String },
    /// Whoever answered does not speak HTTP, or said too much.
    Broken { from: SocketAddr, why: String },
    /// It took too long.
    Late,
    /// Too many redirects; the next one leads here.
    Redirected(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(url) => write!(formatter, "{url} is no address that can be asked"),
            Self::Tls(url) => write!(formatter, "the answer is a redirect to {url}"),
            Self::Unresolved { host, why } => write!(formatter, "{host} has no address: {why}"),
            Self::NotPublic { host, address } => write!(
                formatter,
                "{host} has the address {address}, which is neither public nor this machine's"
            ),
            Self::Unreached { addresses, why } => {
                let list: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
                write!(formatter, "nothing answers at {}: {why}", list.join(" and "))
            }
            Self::Broken { from, why } => {
                write!(formatter, "what answers at {from} is no web server: {why}")
            }
            Self::Late => formatter.write_str("there was no answer in time"),
            Self::Redirected(url) => write!(formatter, "one redirect leads to the next, to {url}"),
        }
    }
}

impl Egress {
    /// A client with the rules of the cartridge.
    ///
    /// # Errors
    /// What the cartridge says; `Internal` when TLS cannot be set up.
    pub(crate) async fn load(
        cartridge: &Cartridge,
        config: &Config,
        outside: Outside,
    ) -> SdkResult<Self> {
        let slots = Slots::new(
            number(config, "egress.requests_per_app"),
            number(config, "egress.requests"),
            number(config, "egress.waiting_per_app"),
        );
        Ok(Self {
            rules: Rules::load(cartridge).await?,
            tls: Tls::new(&outside.authorities)?,
            outside,
            slots,
            pool: Pool::default(),
            cache: Cache::default(),
        })
    }

    /// Closes connections that lay idle for too long; `now` by the clock that never goes back.
    pub(crate) fn sweep(&self, now: Duration) {
        self.pool.sweep(now);
    }

    /// The addresses of `host`, at most [`ADDRESSES_MAX`].
    ///
    /// # Errors
    /// [`Failure::Unresolved`].
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let unresolved = |why: String| Failure::Unresolved { host: host.to_owned(), why };
        let addresses = timeout(RESOLVE_LIMIT, self.outside.resolver.resolve(host, port))
            .await
            .map_err(|_| unresolved("the resolver does not answer".to_owned()))?
            .map_err(|error| unresolved(error.to_string()))?;
        if addresses.is_empty() {
            return Err(unresolved("there is no record of it".to_owned()));
        }
        Ok(addresses.into_iter().take(ADDRESSES_MAX).collect())
    }

    /// Asks for a page, and follows redirects as far as `fetch` allows.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn get(&self, fetch: &Fetch<'_>) -> Result<Answer, Failure> {
        timeout(fetch.limit, self.follow(fetch)).await.unwrap_or(Err(Failure::Late))
    }

    async fn follow(&self, fetch: &Fetch<'_>) -> Result<Answer, Failure> {
        let mut url = fetch.url.to_owned();
        for _ in 0..=fetch.redirects_max {
            match self.once(&url, fetch).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Redirect(next) => url = next,
            }
        }
        Err(Failure::Redirected(url))
    }

    /// One request, without following anything.
    async fn once(&self, url: &str, fetch: &Fetch<'_>) -> Result<Step, Failure> {
        let wrong = || Failure::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(Failure::Tls(url.to_owned())),
            _ => return Err(wrong()),
        }
        let addresses = self.resolve(host, uri.port_u16().unwrap_or(HTTP_PORT)).await?;
        // One bad address spoils all: who controls the name would choose which one is used.
        if let Some(bad) = addresses.iter().find(|address| !fetch.reach.allows(address.ip())) {
            return Err(Failure::NotPublic { host: host.to_owned(), address: bad.ip() });
        }
        let (stream, from) = self.dial(&addresses, CONNECT_LIMIT).await?;
        let broken = |why: String| Failure::Broken { from, why };
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::get(target)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::new()))
            .map_err(|_| wrong())?;
        let mut line = Line::open(stream, from).await.map_err(|error| broken(error.to_string()))?;
        let response = line.send(request).await.map_err(|error| broken(why(&error)))?;
        line.during(Box::pin(read(response, from, &uri, fetch.body_bytes_max))).await
    }

    /// Connects to the first of `addresses`, which were judged, that answers within `limit`.
    ///
    /// # Errors
    /// [`Failure::Unreached`].
    pub(super) async fn dial(
        &self,
        addresses: &[SocketAddr],
        limit: Duration,
    ) -> Result<(Box<dyn Stream>, SocketAddr), Failure> {
        let mut why = String::new();
        for address in addresses {
            match timeout(limit, self.outside.dialer.dial(*address)).await {
                Ok(Ok(stream)) => return Ok((stream, *address)),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => "it does not answer in time".clone_into(&mut why),
            }
        }
        Err(Failure::Unreached { addresses: addresses.to_vec(), why })
    }
}

/// What one request led to.
enum Step {
    Answer(Answer),
    Redirect(String),
}

async fn read(
    response: Response<Incoming>,
    from: SocketAddr,
    asked: &Uri,
    body_bytes_max: usize,
) -> Result<Step, Failure> {
    let text = |name| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).chars().take(TEXT_CHARS_MAX).collect())
    };
    let status = response.status().as_u16();
    let location: Option<String> = text(header::LOCATION);
    if matches!(status, 301 | 302 | 303 | 307 | 308)
        && let Some(location) = location
    {
        return Ok(Step::Redirect(absolute(&location, asked)));
    }
    let server = text(header::SERVER);
    let body = Limited::new(response.into_body(), body_bytes_max).collect().await;
    let body = body.map_err(|error| Failure::Broken { from, why: error.to_string() })?.to_bytes();
    Ok(Step::Answer(Answer { status, server, body, from }))
}

/// A `Location` as an address of its own (RFC 9110 §10.2.2); only whole ones and paths are known.
fn absolute(location: &str, asked: &Uri) -> String {
    match (location.starts_with('/') && !location.starts_with("//"), asked.authority()) {
        (true, Some(authority)) => format!("http://{authority}{location}"),
        _ => location.to_owned(),
    }
}

/// What hyper knows of a failure, without its own words around it.
pub(super) fn why(error: &hyper::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

const HTTP_PORT: u16 = 80;

/// What this client calls itself.
pub(super) const USER_AGENT: &str = concat!("fazt/", env!("CARGO_PKG_VERSION"));

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 4;

/// How long a resolver may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// How long one address may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How much of a field of another server is shown, in characters.
const TEXT_CHARS_MAX: usize = 300;
