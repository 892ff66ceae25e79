//! Servers of other people, as a test plays them: plain or under TLS, and as badly as it likes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Request line and fields, as they were.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// Method and path.
    pub(crate) fn line(&self) -> String {
        let line = self.head.lines().next().unwrap_or_default();
        line.trim_end_matches(" HTTP/1.1").to_owned()
    }
}

/// What a server does with a connection after a request.
pub(crate) enum Then {
    /// Takes the next request.
    Goes,
    /// Closes.
    Closes,
}

trait Both: Read + Write {}
impl<S: Read + Write> Both for S {}

type Answer = dyn Fn(&Asked, &mut dyn Write) -> std::io::Result<Then> + Send + Sync;

/// A server on a port of its own; it goes on until the test ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers as `answer` says.
    pub(crate) fn new(
        answer: impl Fn(&Asked, &mut dyn Write) -> std::io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// The same under TLS.
    pub(crate) fn secure(
        config: Arc<ServerConfig>,
        answer: impl Fn(&Asked, &mut dyn Write) -> std::io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(config), Arc::new(answer))
    }

    /// Always gives the same answer, given without `content-length`.
    pub(crate) fn saying(head: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::new(move |_, to| respond(to, head, &body))
    }

    /// Says something to everybody who comes, without being asked.
    pub(crate) fn greeting(what: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                drop(stream.write_all(what));
                drop(stream.read(&mut [0; 1024]));
            }
        });
        Self { port, asked: Arc::default(), connections: Arc::default() }
    }

    /// Redirects everything.
    pub(crate) fn leading(status: u16, to: impl Into<String>) -> Self {
        let to = to.into();
        Self::new(move |_, out| {
            respond(out, &format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\n"), b"")
        })
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, connections) =
            (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicUsize>::default());
        let (seen, count) = (Arc::clone(&asked), Arc::clone(&connections));
        thread(move || {
            while let Ok((stream, _)) = listener.accept() {
                count.fetch_add(1, Ordering::Relaxed);
                let (tls, answer, seen) = (tls.clone(), Arc::clone(&answer), Arc::clone(&seen));
                thread(move || drop(talk(stream, tls, &*answer, &seen)));
            }
        });
        Self { port, asked, connections }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// An answer with its length.
pub(crate) fn respond(to: &mut dyn Write, head: &str, body: &[u8]) -> std::io::Result<Then> {
    to.write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes())?;
    to.write_all(body)?;
    Ok(Then::Goes)
}

/// A plain 200 with that text.
pub(crate) fn ok(to: &mut dyn Write, body: &str) -> std::io::Result<Then> {
    respond(to, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n", body.as_bytes())
}

fn thread(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().spawn(work).unwrap();
}

fn talk(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &Answer,
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream: Box<dyn Both> = match tls {
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
            Box::new(StreamOwned::new(connection, stream))
        }
        None => Box::new(stream),
    };
    while let Some(asked) = read(&mut *stream)? {
        seen.lock().unwrap().push(asked.clone());
        let then = answer(&asked, &mut stream)?;
        stream.flush()?;
        if matches!(then, Then::Closes) {
            break;
        }
    }
    Ok(())
}

fn read(stream: &mut dyn Both) -> std::io::Result<Option<Asked>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let mut asked = Asked { head: String::from_utf8(head).unwrap(), body: Vec::new() };
    let length = asked.field("content-length").map_or(0, |length| length.parse().unwrap());
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}

/// An authority that nobody but this test trusts.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let name = format!("authority {:02x?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
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
