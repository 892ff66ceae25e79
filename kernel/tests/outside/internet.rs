//! An Internet of the test's own: names, addresses, and who answers there. Every address that the node
//! connects to is written down.

use std::collections::HashMap;
use std::io::{Error as IoError, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use fazt_sdk::AppId;
use fazt_testkit::{Dial, Dialing, Outside, Resolve, Resolving, Stream, TestKernel};

use crate::asker::ASKER;
use crate::server::Server;

/// The Internet.
#[derive(Debug, Default)]
pub(crate) struct Internet {
    /// What a name leads to, one list for each time that it is looked up; the last stays.
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    /// Which port of this machine plays an address.
    played: Mutex<HashMap<SocketAddr, u16>>,
    dialed: Mutex<Vec<SocketAddr>>,
}

impl Internet {
    /// The name leads to these addresses.
    pub(crate) fn name(&self, name: &str, addresses: &[&str]) {
        self.name_changing(name, &[addresses]);
    }

    /// The name leads to one list after the other.
    pub(crate) fn name_changing(&self, name: &str, lists: &[&[&str]]) {
        let parsed = lists
            .iter()
            .map(|list| list.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        self.names.lock().unwrap().insert(name.to_owned(), parsed);
    }

    /// `server` answers at `address`.
    pub(crate) fn serve(&self, address: &str, server: &Server) {
        self.played.lock().unwrap().insert(address.parse().unwrap(), server.port);
    }

    /// `server` answers at `host` on that port.
    pub(crate) fn host(&self, host: &str, address: &str, port: u16, server: &Server) {
        self.name(host, &[address]);
        let address = SocketAddr::new(address.parse().unwrap(), port);
        self.played.lock().unwrap().insert(address, server.port);
    }

    /// The addresses that were connected to so far.
    pub(crate) fn dialed(&self) -> Vec<SocketAddr> {
        self.dialed.lock().unwrap().clone()
    }
}

impl Resolve for Internet {
    fn resolve<'r>(&'r self, host: &'r str, port: u16) -> Resolving<'r> {
        let mut names = self.names.lock().unwrap();
        let found = names.get_mut(host).map(|lists| match lists.len() {
            1 => lists[0].clone(),
            _ => lists.remove(0),
        });
        Box::pin(async move {
            let found = found.ok_or_else(|| IoError::from(ErrorKind::NotFound))?;
            Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
        })
    }
}

impl Dial for Internet {
    fn dial(&self, address: SocketAddr) -> Dialing<'_> {
        self.dialed.lock().unwrap().push(address);
        let played = self.played.lock().unwrap().get(&address).copied();
        Box::pin(async move {
            let port = played.ok_or_else(|| IoError::from(ErrorKind::ConnectionRefused))?;
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// A node with an app, in an Internet of its own.
pub(crate) struct World {
    pub(crate) internet: Arc<Internet>,
    pub(crate) node: TestKernel,
    pub(crate) app: AppId,
}

/// A node in an empty Internet.
pub(crate) async fn world() -> World {
    world_with(&[], Vec::new()).await
}

/// A node with settings, that trusts these authorities.
pub(crate) async fn world_with(settings: &[(&str, &str)], authorities: Vec<Vec<u8>>) -> World {
    let internet = Arc::new(Internet::default());
    let (resolver, dialer) = (Arc::clone(&internet) as _, Arc::clone(&internet) as _);
    let outside = Outside { resolver, dialer, authorities };
    let node = TestKernel::within(vec![ASKER], settings, outside).await.unwrap();
    let app = node.app("blog").await.unwrap();
    World { internet, node, app }
}

impl World {
    /// Asks as the app does.
    pub(crate) async fn ask(&self, url: &str, options: serde_json::Value) -> crate::asker::Reply {
        crate::asker::ask(&self.node, self.app, url, options).await
    }
}
