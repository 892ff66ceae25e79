//! The address book: other nodes by name, each with its address and a sealed key.
//!
//! It is for commands on this machine, and the node itself never connects to a peer. A key leaves
//! the cartridge only towards whoever owns it: over the control socket, or inside one process.

mod address;
mod store;

use fazt_sdk::{Error, Result};

use crate::cartridge::{Cartridge, Owner};
use crate::secrets::Secrets;

pub use address::NodeAddress;

/// The name of the node of this machine, which is no peer of itself.
pub(crate) const LOCAL: &str = "local";

/// The most peers of one address book.
const PEERS_MAX: usize = 1_000;

/// The longest key that a peer may want, in bytes.
const TOKEN_BYTES_MAX: usize = 1_024;

/// In whose name, besides the peer's, tokens are sealed.
const SEAL: &str = "peers";

/// A known node, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) is_default: bool,
    pub(crate) created_at_ms: u64,
}

/// The address book of a cartridge.
#[derive(Debug)]
pub(crate) struct Peers {
    cartridge: Cartridge,
}

impl Peers {
    pub(crate) fn new(cartridge: &Cartridge) -> Self {
        Self { cartridge: cartridge.clone() }
    }

    /// All peers, by name.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn all(&self) -> Result<Vec<Peer>> {
        Ok(self.cartridge.scan_value(&Owner::kernel(), store::all).await?)
    }

    /// Adds a peer. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name, an address or a token that cannot be; `Conflict` for a name that is
    /// taken, and when the book is full.
    pub(crate) async fn add(
        &self,
        secrets: &Secrets,
        name: &str,
        url: &str,
        token: &str,
    ) -> Result<Peer> {
        check_name(name)?;
        let url = NodeAddress::parse(url)?.to_string();
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return Err(Error::invalid(format!("a token has 1 to {TOKEN_BYTES_MAX} characters")));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("the token holds characters that no key has"));
        }
        let sealed = secrets.seal(SEAL, &label(name, &url), token.as_bytes())?;
        let peer = Peer { name: name.to_owned(), url, is_default: false, created_at_ms: 0 };
        let added = self.cartridge.write_value(&Owner::kernel(), None, move |tx| {
            if store::count(tx)? >= PEERS_MAX {
                return Ok(Err(Error::conflict(format!(
                    "the address book holds {PEERS_MAX} peers already"
                ))));
            }
            if !store::insert(tx, &peer, &sealed)? {
                let taken = format!("there is a peer {} already", peer.name);
                let hint = format!("remove it first: fazt peer remove {}", peer.name);
                return Ok(Err(Error::conflict(taken)
                    .with_code("PEER_EXISTS")
                    .with_details(serde_json::json!({ "hint": hint }))));
            }
            let created_at_ms = u64::try_from(tx.now_ms()).unwrap_or(0);
            Ok(Ok(Peer { created_at_ms, ..peer.clone() }))
        });
        added.await?
    }

    /// Makes `name` the peer that commands go to when they name none; [`LOCAL`] means that they
    /// stay on this machine. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is no such peer.
    pub(crate) async fn set_default(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let set = self.cartridge.write_value(&Owner::kernel(), None, move |tx| {
            if name == LOCAL {
                return store::clear_default(tx).map(Ok);
            }
            Ok(if store::set_default(tx, &name)? { Ok(()) } else { Err(unknown(&name)) })
        });
        set.await?
    }

    /// Forgets a peer and its token. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is no such peer.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let removed = self.cartridge.write_value(&Owner::kernel(), None, move |tx| {
            Ok(if store::delete(tx, &name)? { Ok(()) } else { Err(unknown(&name)) })
        });
        removed.await?
    }

    /// A peer and its token, in clear. For whoever owns the cartridge, on this machine.
    ///
    /// # Errors
    /// `NotFound` when there is no such peer; `Invalid` when its row was tampered with.
    pub(crate) async fn credentials(
        &self,
        secrets: &Secrets,
        name: &str,
    ) -> Result<(Peer, String)> {
        let wanted = name.to_owned();
        let found = self
            .cartridge
            .scan_value(&Owner::kernel(), move |reader| store::with_token(reader, &wanted))
            .await?;
        let (peer, sealed) = found.ok_or_else(|| unknown(name))?;
        let token = secrets.open(SEAL, &label(&peer.name, &peer.url), &sealed)?;
        let token = String::from_utf8(token)
            .map_err(|_| Error::internal(format!("the token of the peer {name} is no text")))?;
        Ok((peer, token))
    }
}

/// What a token is sealed for: its peer at that address, so that whoever changes the address in the
/// file does not get the key sent there.
fn label(name: &str, url: &str) -> String {
    format!("{name} {url}")
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no peer {name}"))
        .with_code("NO_SUCH_PEER")
        .with_details(serde_json::json!({ "hint": "fazt peer list shows those that are there" }))
}

fn check_name(name: &str) -> Result<()> {
    let good = (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        })
        && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !good {
        return Err(Error::invalid(format!(
            "`{name}` cannot be a peer's name: use up to {NAME_LEN_MAX} lower-case letters, digits, - and _, with a letter or digit in front"
        ))
        .with_code("BAD_NAME"));
    }
    if name == LOCAL {
        return Err(Error::invalid("the name local is that of this machine; choose another one")
            .with_code("RESERVED_NAME"));
    }
    Ok(())
}

/// The longest name of a peer.
const NAME_LEN_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_called_by_a_plain_name() {
        for good in ["zyt", "a", "home-2", "home_2", "0"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "local", "-a", "A", "a.b", "@a", "a b", "ä", &long] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
