//! A client for HTTP/1.1 that sends what it is told, also what no browser would.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    host: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request to `host`, which needs no port, for `target`, which is sent as it is.
    #[must_use]
    pub fn new(method: &str, host: &str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            host: host.to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `GET target` of `host`.
    #[must_use]
    pub fn get(host: &str, target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", host, target)
    }

    /// `GET path` of the admin API.
    #[must_use]
    pub fn admin(method: &str, path: &str) -> Self {
        Self::new(method, "admin.localhost", path)
    }

    /// A deploy of `archive` to the app called `name`.
    #[must_use]
    pub fn deploy(name: &str, archive: Vec<u8>) -> Self {
        Self::admin("POST", &format!("/api/deploy?site_name={name}"))
            .body("application/zip", archive)
    }

    /// With a header field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an API key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.field("authorization", &format!("Bearer {key}"))
    }

    /// With a body.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.field("content-type", content_type) }
    }

    /// With a JSON document as the body.
    #[must_use]
    pub fn json(self, document: &Value) -> Self {
        self.body("application/json", document.to_string())
    }

    /// Its method, host and target, for messages.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}{}", self.method, self.host, String::from_utf8_lossy(&self.target))
    }

    /// The bytes that are sent to a server on `port`.
    #[must_use]
    pub fn bytes(&self, port: u16) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(format!(" HTTP/1.1\r\nhost: {}:{port}\r\n", self.host).as_bytes());
        for (name, value) in &self.fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !self.body.is_empty() || !matches!(&*self.method, "GET" | "HEAD" | "DELETE") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of an error.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the server did what it was asked.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection that did not bring a whole answer.
#[derive(Debug)]
pub enum Broken {
    /// Not a byte of the answer came.
    Before(io::Error),
    /// A part of the answer came.
    Inside(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(error) => write!(f, "no answer: {error}"),
            Self::Inside(error) => write!(f, "an answer that broke off: {error}"),
        }
    }
}

impl std::error::Error for Broken {}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A connection to a node.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
    port: u16,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), port: address.port() })
    }

    /// Connects to the socket of a node, where the caller is its owner.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_socket(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), port: 80 })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// How far the answer came.
    pub fn send(&mut self, request: &Request) -> Result<Answer, Broken> {
        // A server that refuses early closes while we write: its answer is still there to be read.
        let written = self.write(&request.bytes(self.port));
        match (self.answer(), written) {
            (Err(Broken::Before(_)), Err(error)) => Err(Broken::Before(error)),
            (answer, _) => answer,
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Reads the next answer.
    ///
    /// # Errors
    /// How far the answer came.
    pub fn answer(&mut self) -> Result<Answer, Broken> {
        let (status, fields) = self.head()?;
        let body = self.body(status, &fields).map_err(Broken::Inside)?;
        Ok(Answer { status, fields, body })
    }

    /// Reads the head of the next answer: its status and its fields.
    ///
    /// # Errors
    /// How far the answer came.
    pub fn head(&mut self) -> Result<(u16, Vec<(String, String)>), Broken> {
        let first = self.line().map_err(Broken::Before)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| Broken::Inside(invalid(&first)))?;
        let mut fields = Vec::new();
        loop {
            let line = self.line().map_err(Broken::Inside)?;
            if line.is_empty() {
                return Ok((status, fields));
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| Broken::Inside(invalid(&line)))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads the body that belongs to a head.
    ///
    /// # Errors
    /// The body broke off.
    pub fn body(&mut self, status: u16, fields: &[(String, String)]) -> io::Result<Vec<u8>> {
        let value = |name: &str| {
            fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        let mut body = Vec::new();
        if matches!(status, 204 | 304) {
            return Ok(body);
        }
        if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(line.trim(), 16).map_err(|_| invalid(&line))?;
                let start = body.len();
                body.resize(start + length, 0);
                self.stream.read_exact(&mut body[start..])?;
                if !self.line()?.is_empty() {
                    return Err(invalid("a chunk without an end"));
                }
                if length == 0 {
                    return Ok(body);
                }
            }
        }
        if let Some(length) = value("content-length") {
            body.resize(length.parse().map_err(|_| invalid(length))?, 0);
            self.stream.read_exact(&mut body)?;
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// Whether the server has closed the connection. Waits for a byte or the end.
    pub fn is_closed(&mut self) -> bool {
        !self.stream.fill_buf().is_ok_and(|rest| !rest.is_empty())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {text}"))
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
