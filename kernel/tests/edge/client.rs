//! A client that says exactly what a test wants and believes nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) trait Stream: Read + Write + Send {
    fn patience(&self, patience: Duration);
}

impl Stream for TcpStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
        self.set_write_timeout(Some(patience)).unwrap();
    }
}

impl Stream for UnixStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
}

/// One connection and what was read ahead of it.
pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    tcp: Option<TcpStream>,
    ahead: Vec<u8>,
}

/// One response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The connection ended before the first byte of one.
    Closed,
    /// The connection ended within one.
    Cut,
    /// Nothing more came in time.
    Silence,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// A client whose system takes next to nothing ahead of it.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.patience(PATIENCE);
        let tcp = stream.try_clone().unwrap();
        Self { stream: Box::new(stream), tcp: Some(tcp), ahead: Vec::new() }
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.patience(PATIENCE);
        Self { stream: Box::new(stream), tcp: None, ahead: Vec::new() }
    }

    /// Sends; a server that has closed already is no failure.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        assert!(self.send(format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n")), "cannot send");
        self.reply().unwrap()
    }

    /// Closes the sending side.
    pub(crate) fn finish(&self) {
        self.tcp.as_ref().unwrap().shutdown(Shutdown::Write).unwrap();
    }

    fn more(&mut self) -> Result<(), NoReply> {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(NoReply::Closed),
            Ok(len) => {
                self.ahead.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(NoReply::Silence)
            }
            Err(_) => Err(NoReply::Closed),
        }
    }

    fn more_of_one(&mut self) -> Result<(), NoReply> {
        self.more().map_err(|error| if error == NoReply::Closed { NoReply::Cut } else { error })
    }

    /// Exactly `len` bytes.
    pub(crate) fn exactly(&mut self, len: usize) -> Result<Vec<u8>, NoReply> {
        while self.ahead.len() < len {
            self.more_of_one()?;
        }
        Ok(self.ahead.drain(..len).collect())
    }

    fn line(&mut self) -> Result<String, NoReply> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.exactly(end + 2)?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more_of_one()?;
        }
    }

    /// The head of the next response.
    pub(crate) fn head(&mut self) -> Result<Reply, NoReply> {
        if self.ahead.is_empty() {
            self.more()?;
        }
        let status = self.line()?;
        assert!(status.starts_with("HTTP/1."), "{status}");
        let status = status[9..12].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() => break,
                None => panic!("not a header: {line:?}"),
            }
        }
        Ok(Reply { status, headers, body: Vec::new() })
    }

    /// The next response.
    pub(crate) fn reply(&mut self) -> Result<Reply, NoReply> {
        let mut reply = self.head()?;
        if matches!(reply.status, 100 | 101 | 204 | 304) {
            return Ok(reply);
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                reply.body.extend(chunk);
            }
        } else if let Some(len) = reply.header("content-length") {
            reply.body = self.exactly(len.parse().unwrap())?;
        } else {
            reply.body = self.rest();
        }
        Ok(reply)
    }

    /// The next chunk of a chunked body; nothing at its end.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, NoReply> {
        let len = usize::from_str_radix(&self.line()?, 16).unwrap();
        let mut chunk = self.exactly(len + 2)?;
        chunk.truncate(len);
        Ok((len > 0).then_some(chunk))
    }

    /// All that comes until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().is_ok() {}
        std::mem::take(&mut self.ahead)
    }

    /// How long it takes until the server ends the connection; nothing if it does not.
    pub(crate) fn closed_after(&mut self, patience: Duration) -> Option<Duration> {
        let start = now();
        let mut buffer = [0; 4096];
        while start.elapsed() < patience {
            self.stream.patience(Duration::from_millis(50));
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(start.elapsed()),
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Some(start.elapsed()),
            }
        }
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "tests measure real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `is_so`, or fails saying what was expected.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
