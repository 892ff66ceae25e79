//! TLS towards other machines: the authorities that browsers trust, compiled in.

use std::io;
use std::sync::Arc;

use fazt_sdk::{Error, Result};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::dial::Stream;
use super::failure;

/// Makes connections private, and checks who is at the other end.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Tls {
    /// Trusts the authorities that browsers trust, and these.
    ///
    /// # Errors
    /// `Internal` when one of them is no certificate.
    pub(super) fn new(authorities: &[Vec<u8>]) -> Result<Self> {
        let broken =
            |error: rustls::Error| Error::internal(format!("TLS cannot be set up: {error}"));
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in authorities {
            roots.add(CertificateDer::from(authority.clone())).map_err(broken)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// TLS with `host`, a name or an address, over `stream`.
    ///
    /// # Errors
    /// `Unavailable`, with what is wrong with the other side's certificate.
    pub(super) async fn over(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failure::invalid(format!("{host} is no name that TLS knows")))?;
        let stream = self.0.connect(name, stream).await.map_err(|error| {
            failure::other_side(format!(
                "{host} offers no TLS that can be trusted: {}",
                said(&error)
            ))
        })?;
        Ok(Box::new(stream))
    }
}

fn said(error: &io::Error) -> String {
    error.get_ref().map_or_else(|| error.to_string(), ToString::to_string)
}
