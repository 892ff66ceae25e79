//! The way to a node by its address, with a key.
//!
//! The address is the node's or that of its admin surface, which is the same name below `admin.`.
//!
//! A key never travels over plain HTTP except to this machine, so `http://` addresses must be
//! `localhost`, a name under it, or a loopback address; such names are mapped here and no resolver
//! is asked. `https://` is refused until this program speaks TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::exchange::exchange;
use super::{Reply, Request, Sending, Transport};
use crate::failure::Failure;

/// A node by its address.
#[derive(Debug)]
pub(super) struct HttpTransport {
    /// The address as given, for messages.
    place: String,
    /// Host and port of the admin surface.
    authority: String,
    /// Where to connect, in order.
    addresses: Vec<SocketAddr>,
    token: String,
}

impl HttpTransport {
    /// The node at `url`. Nothing is sent yet.
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, Failure> {
        let uri: http::Uri = url
            .parse()
            .map_err(|error| Failure::usage(format!("--to {url} is no address: {error}")))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Failure::usage(format!("--to {url} is no address"))
                .hint("write it with its scheme: https://example.com"));
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(Failure::usage(format!(
                "--to {url} has a path; the address of a node has none"
            )));
        }
        if authority.as_str().contains('@') {
            return Err(Failure::usage("--to holds a password; a key goes into FAZT_TOKEN"));
        }
        let addresses = match scheme {
            "http" => {
                let port = authority.port_u16().unwrap_or(80);
                loopback(authority.host(), port).ok_or_else(|| {
                    Failure::usage(format!(
                        "{url} is plain HTTP: a key is sent only over HTTPS or to this machine"
                    ))
                    .hint(format!("--to https://{authority}"))
                })?
            }
            "https" => {
                return Err(Failure::failed(format!(
                    "{url} needs TLS, which this build does not speak yet"
                ))
                .hint("run the command on the node itself, over ssh"));
            }
            other => {
                return Err(Failure::usage(format!(
                    "--to {url} starts with {other}://; the address of a node is https://"
                )));
            }
        };
        let token = token.ok_or_else(|| {
            Failure::usage("--to needs a key, and FAZT_TOKEN is not set")
                .hint("make one on the node: fazt server create-key --name NAME --scopes deploy")
        })?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage("FAZT_TOKEN holds characters that no key has"));
        }
        Ok(Self {
            place: url.trim_end_matches('/').to_owned(),
            authority: admin_authority(authority),
            addresses,
            token: token.to_owned(),
        })
    }

    async fn open(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect(&*self.addresses);
        match tokio::time::timeout(CONNECT_TIME_MAX, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                Err(Failure::unreachable(format!("{} cannot be reached: {error}", self.place))
                    .hint("is the node running? fazt server status"))
            }
            Err(_) => Err(Failure::unreachable(format!(
                "{} did not accept a connection within {} s",
                self.place,
                CONNECT_TIME_MAX.as_secs()
            ))),
        }
    }
}

impl Transport for HttpTransport {
    fn place(&self) -> &str {
        &self.place
    }

    fn send(&mut self, request: Request) -> Sending<'_, Reply> {
        Box::pin(async move {
            let stream = self.open().await?;
            exchange(stream, &self.authority, Some(&self.token), &self.place, request).await
        })
    }

    fn close(self: Box<Self>) -> Sending<'static, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Host and port of the admin surface of the node with this address: `admin.` and its domain.
fn admin_authority(authority: &http::uri::Authority) -> String {
    let host = authority.host().to_ascii_lowercase();
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    let admin = if is_address {
        "admin.localhost".to_owned()
    } else if host.starts_with("admin.") {
        host
    } else {
        format!("admin.{host}")
    };
    authority.port_u16().map_or_else(|| admin.clone(), |port| format!("{admin}:{port}"))
}

/// The addresses of a host that is this machine by its name alone; nothing for all others.
fn loopback(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let host = host.to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Some(both.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let address: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    address.is_loopback().then(|| vec![SocketAddr::new(address, port)])
}

/// How long a node may take to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn a_key_stays_on_this_machine_without_tls() {
        for url in [
            "http://localhost:8080",
            "http://admin.localhost:8080/",
            "http://ADMIN.LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.8.9.1",
            "http://[::1]:8080",
        ] {
            assert!(HttpTransport::new(url, Some("k")).is_ok(), "{url}");
        }
        for url in [
            "http://example.com",
            "http://localhost.example.com",
            "http://notlocalhost",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]:80",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
        ] {
            let failure = HttpTransport::new(url, Some("k")).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{url}");
        }
    }

    #[test]
    fn the_nodes_address_leads_to_its_admin_surface() {
        for (url, authority) in [
            ("http://localhost:8080", "admin.localhost:8080"),
            ("http://admin.localhost:8080/", "admin.localhost:8080"),
            ("http://Node.LOCALHOST", "admin.node.localhost"),
            ("http://127.0.0.1:1", "admin.localhost:1"),
            ("http://[::1]:1", "admin.localhost:1"),
        ] {
            assert_eq!(HttpTransport::new(url, Some("k")).unwrap().authority, authority);
        }
    }

    #[test]
    fn an_address_that_cannot_work_says_why() {
        for (url, words) in [
            ("admin.example.com", "no address"),
            ("ftp://localhost", "starts with ftp"),
            ("https://admin.example.com", "needs TLS"),
            ("http://localhost/api", "has a path"),
        ] {
            let failure = HttpTransport::new(url, Some("k")).unwrap_err();
            assert!(failure.message.contains(words), "{url}: {failure}");
        }
        let failure = HttpTransport::new("http://localhost", None).unwrap_err();
        assert!(failure.message.contains("FAZT_TOKEN"), "{failure}");
    }
}
