//! Many connections at once that are read and written byte by byte, as slow clients do.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A connection that never waits once it is open.
#[derive(Debug)]
pub struct RawClient(TcpStream);

impl RawClient {
    /// Connects to a port of this machine from an address of its own, the `number`th of 127.0.0.0/8.
    /// Its system takes next to nothing ahead of it.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(number: u32, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(1 << 10)?;
        let from = Ipv4Addr::from_bits(0x7f01_0000 + number);
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        socket.connect_timeout(&to.into(), Duration::from_secs(60))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self(socket.into()))
    }

    /// Sends what the system takes of `bytes`, and says how much that was.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        self.0.write(bytes).unwrap_or(0)
    }

    /// Takes up to `len` bytes of what is there.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let len = self.0.read(&mut bytes).unwrap_or(0);
        bytes.truncate(len);
        bytes
    }

    /// Takes up to `len` bytes, and says whether the other end has closed the connection. What it sent
    /// before that is taken first, unless it was a reset.
    pub fn is_closed(&mut self, len: usize) -> bool {
        if self.0.take_error().is_ok_and(|error| error.is_some()) {
            return true;
        }
        match self.0.read(&mut vec![0; len]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Lets this process open as many files as the system allows at all.
///
/// # Panics
/// When the system refuses what it said it allows.
pub fn allow_many_files() {
    let resource = rustix::process::Resource::Nofile;
    let maximum = rustix::process::getrlimit(resource).maximum;
    let limit = rustix::process::Rlimit { current: maximum, maximum };
    rustix::process::setrlimit(resource, limit).unwrap();
}
