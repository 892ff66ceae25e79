//! Where connections come from: a TCP port, or a Unix socket whose peers are known by user id.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};

use fazt_sdk::{Error, Result};
use rustix::fs::Mode;
use rustix::net as sys;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: u16 = 4_096;

/// Bytes in the system's send buffer that were not sent yet, per connection; more are taken once less
/// than half of it is left. Else the system takes megabytes at once and says nothing for minutes: a
/// slow client would look like one that takes nothing, and each would hold that much memory. With
/// this, a client at 1 KiB/s is seen to take something within `write_ms`.
const UNSENT_BYTES: u32 = 64 << 10;

/// A socket that listens. Must be made within a Tokio runtime.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// One accepted connection.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream, Option<u32>),
}

impl Listener {
    /// Listens on a TCP port; port 0 takes any free one.
    ///
    /// # Errors
    /// `Conflict` when the port is taken, `Denied` when it needs privileges; both say what to do.
    pub fn tcp(address: SocketAddr) -> Result<Self> {
        Self::open_tcp(address).map_err(|error| refused(address, &error))
    }

    fn open_tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A port in TIME_WAIT is free; one with a listener is not (Linux).
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Self::with_unsent_limited(socket.listen(u32::from(BACKLOG))?)
    }

    /// Accepted connections inherit the option from the socket that listens (Linux).
    fn with_unsent_limited(listener: TcpListener) -> io::Result<Self> {
        socket2::SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_BYTES)?;
        Ok(Self(Kind::Tcp(listener)))
    }

    /// Takes over a TCP socket that listens already.
    ///
    /// # Errors
    /// `Internal` when the socket cannot be used.
    pub fn tcp_from(listener: std::net::TcpListener) -> Result<Self> {
        let adopt = || {
            listener.set_nonblocking(true)?;
            Self::with_unsent_limited(TcpListener::from_std(listener)?)
        };
        adopt().map_err(|error| Error::internal(format!("take over a listening socket: {error}")))
    }

    /// Listens on a Unix socket that only this user can open. A socket file that nobody listens on
    /// any more is replaced.
    ///
    /// # Errors
    /// `Conflict` when somebody listens on it, `Invalid` for a path that no socket can have.
    pub fn unix(path: &Path) -> Result<Self> {
        let context = |error: io::Error| {
            let message = format!("cannot listen on {}: {error}", path.display());
            match error.kind() {
                io::ErrorKind::AddrInUse => Error::conflict(format!(
                    "{} is in use: another server is running on it; stop that one first",
                    path.display()
                )),
                io::ErrorKind::PermissionDenied => Error::denied(message),
                _ => Error::invalid(message),
            }
        };
        match std_unix::UnixStream::connect(path) {
            Ok(_) => return Err(context(io::ErrorKind::AddrInUse.into())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(context)?;
            }
            Err(_) => {}
        }
        let listener = bind_private(path).map_err(context)?;
        Ok(Self(Kind::Unix(listener, path.to_owned())))
    }

    /// The address and port of a TCP listener.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                listener.accept().await.map(|(stream, address)| Accepted::Tcp(stream, address))
            }
            Kind::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok(Accepted::Unix(stream, uid))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix(_, path) = &self.0 {
            // It may be gone already, and a stale file is replaced at the next start.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Binds a Unix socket with mode 0600. Nobody can connect before `listen`, so there is no moment
/// at which others could.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let flags = sys::SocketFlags::CLOEXEC | sys::SocketFlags::NONBLOCK;
    let socket: OwnedFd =
        sys::socket_with(sys::AddressFamily::UNIX, sys::SocketType::STREAM, flags, None)?;
    sys::bind(&socket, &sys::SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    sys::listen(&socket, i32::from(BACKLOG.cast_signed()))?;
    UnixListener::from_std(std_unix::UnixListener::from(socket))
}

/// Why a port could not be had, and what to do about it.
fn refused(address: SocketAddr, error: &io::Error) -> Error {
    let (port, ip) = (address.port(), address.ip());
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::conflict(format!(
            "port {port} on {ip} is in use by another program; stop it or choose another port"
        ))
        .with_code("PORT_IN_USE"),
        io::ErrorKind::PermissionDenied => Error::denied(format!(
            "port {port} needs privileges; choose one from 1024 on, or give the program \
             CAP_NET_BIND_SERVICE"
        ))
        .with_code("PORT_DENIED"),
        io::ErrorKind::AddrNotAvailable => Error::invalid(format!(
            "{ip} is not an address of this machine; use one of its own, or 0.0.0.0 for all"
        ))
        .with_code("ADDRESS_UNKNOWN"),
        _ => Error::unavailable(format!("cannot listen on port {port} of {ip}: {error}")),
    }
}

/// What to do after a failed accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setback {
    /// That connection is gone; the next one may be fine.
    Connection,
    /// The process or the machine is out of something; wait a little.
    Exhausted,
}

/// Tells a lost connection from a lack of resources (accept(2)).
pub(super) fn setback(error: &io::Error) -> Setback {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::Interrupted => Setback::Connection,
        _ => Setback::Exhausted,
    }
}
