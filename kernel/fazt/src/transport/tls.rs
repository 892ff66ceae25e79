//! TLS towards a node: whom this program trusts, and what is wrong when it does not.
//!
//! The authorities are those that browsers trust, compiled in, so that a machine without any file
//! of certificates can deploy. `SSL_CERT_FILE` names a file that takes their place.

use std::path::Path;
use std::sync::Arc;

use fazt_kernel::NodeAddress;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::{Exit, Failure};

/// Whom this program trusts.
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the authorities in that file, or those that browsers trust.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, Failure> {
        let roots = match authorities {
            Some(file) => read(file)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::failed(format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// TLS with the node at `address` over `stream`.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        address: &NodeAddress,
        place: &str,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let host = match address.host.parse::<std::net::IpAddr>() {
            Ok(_) => address.host.clone(),
            Err(_) => address.admin_host(),
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|error| Failure::usage(format!("{host} is no name of a host: {error}")))?;
        self.0.connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(why)) => distrusted(&host, why),
                Some(rustls::Error::InvalidMessage(_)) => {
                    Failure::unreachable(format!("{place} answers, but not with TLS"))
                        .hint("is the port right? A node without TLS is reached through a tunnel: ssh -L 8080:localhost:80 HOST, then --to http://localhost:8080")
                }
                Some(why) => Failure::unreachable(format!("{place} offers no TLS that works: {why}")),
                None => Failure::unreachable(format!("{place} broke off the TLS handshake: {error}")),
            }
        })
    }
}

fn read(file: &Path) -> Result<RootCertStore, Failure> {
    let shown = file.display();
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("SSL_CERT_FILE names {shown}, which cannot be used: {why}"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        roots
            .add(certificate.map_err(|error| unusable(&error))?)
            .map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(roots)
}

/// Why a certificate is not trusted, in words of somebody who set up the node or mistyped its name.
fn distrusted(host: &str, why: &CertificateError) -> Failure {
    let refused = |message: String| Failure::new(Exit::Refused, message);
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            refused(format!("the certificate of {host} has expired"))
                .hint("renew it on the node, and check this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            refused(format!("the certificate of {host} is not valid yet"))
                .hint("check this machine's clock")
        }
        CertificateError::NotValidForName => wrong_name(host, ""),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            wrong_name(host, "")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().take(NAMES_MAX).map(|name| bare(name)).collect();
            let more = if presented.len() > NAMES_MAX { " and others" } else { "" };
            wrong_name(host, &format!(", but for {}{more}", names.join(", ")))
        }
        CertificateError::UnknownIssuer => {
            let why = "it is self-signed, or somebody stands between this machine and the node";
            refused(format!("the certificate of {host} is from nobody whom this machine trusts: {why}"))
                .hint("an authority of your own is trusted with SSL_CERT_FILE=FILE, a file of certificates in PEM")
        }
        CertificateError::Revoked => refused(format!("the certificate of {host} was revoked")),
        other => refused(format!("the certificate of {host} is not good: {other}")),
    }
}

/// `DnsName("example.com")` as `example.com`.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn wrong_name(host: &str, but_for: &str) -> Failure {
    Failure::new(Exit::Refused, format!("the certificate is not for {host}{but_for}"))
        .hint("is the address that of the node? Its admin surface is the same name below admin.")
}

/// So many names of a certificate are shown.
const NAMES_MAX: usize = 3;
