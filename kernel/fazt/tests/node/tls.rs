//! A node behind TLS: a certificate authority, and a program that speaks TLS in front of a node.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

/// An authority that nobody but this test trusts.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let name = format!("authority {:02x?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes the authority's certificate, for `SSL_CERT_FILE`.
    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, &self.pem).unwrap();
    }

    /// The settings of a server with a certificate for `name`, good until the end of `year`.
    pub(crate) fn server(&self, name: &str, year: i32) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

/// What speaks TLS on a port of its own. It ends with the value.
pub(crate) struct Front {
    pub(crate) port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Front {
    /// Hands everything on to the node on `port`.
    pub(crate) fn of_node(server: Arc<ServerConfig>, port: u16) -> Self {
        Self::start(server, Behind::Node(port))
    }

    /// Answers every connection with `answer`.
    pub(crate) fn saying(server: Arc<ServerConfig>, answer: &'static str) -> Self {
        Self::start(server, Behind::Answer(answer))
    }

    fn start(server: Arc<ServerConfig>, behind: Behind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(server);
            let mut running = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                running.spawn(async move {
                    // A client that does not trust the certificate leaves here.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    match behind {
                        Behind::Node(port) => {
                            let node = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                            let mut node = node.unwrap();
                            drop(tokio::io::copy_bidirectional(&mut stream, &mut node).await);
                        }
                        Behind::Answer(answer) => {
                            let mut asked = [0; 4096];
                            drop(stream.read(&mut asked).await);
                            drop(stream.write_all(answer.as_bytes()).await);
                            drop(stream.shutdown().await);
                        }
                    }
                });
            }
        });
        Self { port, _runtime: runtime }
    }
}

#[derive(Clone, Copy)]
enum Behind {
    Node(u16),
    Answer(&'static str),
}
