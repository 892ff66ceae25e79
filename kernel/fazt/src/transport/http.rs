//! The way to a node by its address, with a key.
//!
//! The address is the node's or that of its admin surface, which is the same name below `admin.`.
//! Where a key may go is decided by [`NodeAddress`]; names of this machine are mapped here and no
//! resolver is asked. Redirects are answers like any other and are not followed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fazt_kernel::NodeAddress;
use rustix::net::sockopt;
use tokio::net::TcpStream;

use super::exchange::{Addressee, Connection, Idle, send};
use super::tls::Tls;
use super::{Reply, Request, Sending, Transport};
use crate::failure::Failure;

/// A node by its address.
pub(super) struct HttpTransport {
    /// The address, for messages.
    place: String,
    address: NodeAddress,
    /// Host and port of the admin surface.
    authority: String,
    tls: Option<Tls>,
    token: String,
    idle: Idle,
}

impl HttpTransport {
    /// The node at `url`. Nothing is sent yet.
    ///
    /// `authorities` is a file of certificates to trust instead of the usual ones.
    pub(super) fn new(url: &str, token: &str, authorities: Option<&Path>) -> Result<Self, Failure> {
        let address = NodeAddress::parse(url)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage("the token holds characters that no key has"));
        }
        let tls = if address.is_tls { Some(Tls::new(authorities)?) } else { None };
        Ok(Self {
            place: address.to_string(),
            authority: format!("{}{}", address.admin_host(), address.port_suffix()),
            address,
            tls,
            token: token.to_owned(),
            idle: Idle::default(),
        })
    }

    async fn open(&self) -> Result<Connection, Failure> {
        match tokio::time::timeout(CONNECT_TIME_MAX, self.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::unreachable(format!(
                "{} did not accept a connection within {} s",
                self.place,
                CONNECT_TIME_MAX.as_secs()
            ))
            .hint("is the address right, and does a firewall let the port through?")),
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = match self.address.loopback() {
            Some(addresses) => TcpStream::connect(&*addresses).await,
            None => TcpStream::connect(&*self.resolved().await?).await,
        };
        let stream = stream.map_err(|error| {
            Failure::unreachable(format!("{} cannot be reached: {error}", self.place))
                .hint("is the node running, and is the address right?")
        })?;
        // Requests are written whole; waiting for more to send only delays their end.
        drop(stream.set_nodelay(true));
        notice_silence(&stream);
        match &self.tls {
            Some(tls) => {
                let stream = tls.connect(stream, &self.address, &self.place).await?;
                Connection::start(stream, &self.place).await
            }
            None => Connection::start(stream, &self.place).await,
        }
    }

    async fn resolved(&self) -> Result<Vec<SocketAddr>, Failure> {
        let host = match self.address.host.parse::<std::net::IpAddr>() {
            Ok(_) => self.address.host.clone(),
            Err(_) => self.address.admin_host(),
        };
        let found = tokio::net::lookup_host((host.as_str(), self.address.port)).await;
        found.map(Iterator::collect).map_err(|error| {
            let error = error.to_string();
            // The resolver's own words are enough.
            let why = error.rsplit(": ").next().unwrap_or(&error);
            Failure::unreachable(format!("{host} has no address: {why}"))
                .hint("is the name right, and is this machine online?")
        })
    }
}

impl Transport for HttpTransport {
    fn place(&self) -> &str {
        &self.place
    }

    fn send(&self, request: Request) -> Sending<'_, Reply> {
        Box::pin(async move {
            let to =
                Addressee { host: &self.authority, token: Some(&self.token), place: &self.place };
            send(|| self.open(), &self.idle, to, request).await
        })
    }

    fn close(self: Box<Self>) -> Sending<'static, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Lets the connection break when the other end is gone without a word: a laptop that slept, a network
/// that changed. What breaks is tried again; what is silent would wait for a quarter of an hour.
fn notice_silence(stream: &TcpStream) {
    // A system that cannot do one of these only notices later.
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, SILENCE_MAX / 2);
    let _ = sockopt::set_tcp_keepintvl(stream, SILENCE_MAX / 4);
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_tcp_user_timeout(
        stream,
        u32::try_from(SILENCE_MAX.as_millis()).unwrap_or(u32::MAX),
    );
}

/// How long the other end may leave bytes or probes unacknowledged.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How long a node may take to accept a connection, with TLS.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
