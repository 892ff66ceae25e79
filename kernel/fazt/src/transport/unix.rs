//! The way to a running node through the socket beside its cartridge.
//!
//! The node checks the user of the other end, so no key is needed.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use super::exchange::{Addressee, Connection, Idle, send};
use super::{Reply, Request, Sending, Transport};
use crate::failure::{Exit, Failure};

/// A running node on this machine.
pub(super) struct UnixTransport {
    socket: PathBuf,
    place: String,
    idle: Idle,
}

impl UnixTransport {
    /// Connects; nothing when no node listens there.
    pub(super) async fn connect(socket: &Path) -> Result<Option<Self>, Failure> {
        match UnixStream::connect(socket).await {
            Ok(stream) => {
                let place = format!("the node at {}", socket.display());
                // The connection that proved that the node runs carries the first request.
                let idle = Idle::default();
                idle.put(Connection::start(stream, &place).await?);
                Ok(Some(Self { socket: socket.to_owned(), place, idle }))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failure(socket, &error)),
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| failure(&self.socket, &error))?;
        Connection::start(stream, &self.place).await
    }
}

impl Transport for UnixTransport {
    fn place(&self) -> &str {
        &self.place
    }

    fn send(&self, request: Request) -> Sending<'_, Reply> {
        Box::pin(async move {
            let to = Addressee { host: HOST, token: None, place: &self.place };
            send(|| self.open(), &self.idle, to, request).await
        })
    }

    fn close(self: Box<Self>) -> Sending<'static, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// No socket, or one whose node is gone. A path that is too long for a socket has none.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput
    )
}

fn failure(socket: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::new(
            Exit::Refused,
            format!("the node at {} belongs to another user", socket.display()),
        )
        .hint("run the command as that user, or with sudo");
    }
    Failure::unreachable(format!("the node at {} cannot be reached: {error}", socket.display()))
}

/// The host of requests over a socket, where names do not matter.
const HOST: &str = "admin.localhost";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_without_a_node_is_absent() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("data.db.sock");
        assert!(UnixTransport::connect(&socket).await.unwrap().is_none());
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(UnixTransport::connect(&socket).await.unwrap().is_none());
        let long = directory.path().join("x".repeat(200));
        assert!(UnixTransport::connect(&long).await.unwrap().is_none());
    }
}
