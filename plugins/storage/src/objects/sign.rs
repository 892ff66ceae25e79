//! Addresses that carry their own permission: HMAC-SHA-256 (RFC 2104) with a key that only this
//! plugin can open.

use std::sync::OnceLock;
use std::time::Duration;

use fazt_sdk::host::Host;
use fazt_sdk::{Error, Result};
use sha2::{Digest as _, Sha256};

use super::{Store, checked_path, store};
use crate::hex;
use crate::place::Place;
use crate::reading;

/// Where signed addresses lead.
pub(crate) const PREFIX: &str = "/_fazt/blobs/";

/// The longest time for which an address is valid.
const VALID_MAX: Duration = Duration::from_secs(7 * 86_400);

const KEY: &str = "signed-addresses";

/// The key, once it was needed.
#[derive(Debug)]
pub(super) struct Signer {
    host: Host,
    key: OnceLock<[u8; 32]>,
}

impl Signer {
    pub(super) fn new(host: &Host) -> Self {
        Self { host: host.clone(), key: OnceLock::new() }
    }

    async fn key(&self) -> Result<[u8; 32]> {
        if let Some(key) = self.key.get() {
            return Ok(*key);
        }
        let cartridge = self.host.cartridge();
        let sealed = match reading::read(&cartridge, |reader| store::key(reader, KEY)).await? {
            Some(sealed) => sealed,
            None => {
                let fresh = self.host.seal(KEY, &self.host.random(32))?;
                cartridge
                    .write(None, move |transaction| store::keep_key(transaction, KEY, &fresh))
                    .await?
            }
        };
        let key = <[u8; 32]>::try_from(self.host.open(KEY, &sealed)?.as_slice())
            .map_err(|_| Error::internal("the key of signed addresses has another length"))?;
        Ok(*self.key.get_or_init(|| key))
    }
}

/// RFC 2104 with SHA-256: blocks of 64 bytes, and a key that is shorter.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// What is signed: every part ends where none of its characters may stand.
fn message(place: &Place, path: &str, expires_at_s: u64) -> String {
    format!("blob\n{}\n{expires_at_s}\n{}\n{path}", place.app, place.user.escape_default())
}

impl Store {
    pub(super) async fn signed(
        &self,
        place: &Place,
        path: &str,
        valid: Duration,
    ) -> Result<String> {
        let path = checked_path(path)?;
        if valid.is_zero() || valid > VALID_MAX {
            return Err(Error::invalid("a signed address is valid for up to 7 days")
                .with_code("INVALID_ARGUMENT"));
        }
        let expires_at_s = (self.clock.unix_ms() / 1_000).saturating_add(valid.as_secs().max(1));
        let key = self.signer.key().await?;
        let signature = hmac(&key, message(place, path, expires_at_s).as_bytes());
        let path: Vec<_> = path.split('/').map(encoded).collect();
        let user = match place.user.as_str() {
            "" => String::new(),
            user => format!("&u={}", encoded(user)),
        };
        Ok(format!(
            "{PREFIX}{}?e={expires_at_s}{user}&k={}",
            path.join("/"),
            hex::encode(&signature)
        ))
    }

    /// Whether an address was signed here and is still valid.
    pub(super) async fn is_signed(
        &self,
        place: &Place,
        path: &str,
        expires_at_s: u64,
        signature: &str,
    ) -> Result<bool> {
        if expires_at_s <= self.clock.unix_ms() / 1_000 {
            return Ok(false);
        }
        let key = self.signer.key().await?;
        let expected = hex::encode(&hmac(&key, message(place, path, expires_at_s).as_bytes()));
        // Without an early end, so that the time says nothing of where they differ.
        let differ =
            expected.bytes().zip(signature.bytes()).fold(0, |all, (one, two)| all | (one ^ two));
        Ok(expected.len() == signature.len() && differ == 0)
    }
}

/// Text as a part of an address (RFC 3986 §2.3: unreserved characters stay).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 has no key of 32 bytes; a shorter one is filled up with zeros (RFC 2104 §2).
    #[test]
    fn the_code_is_that_of_rfc_4231() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex::encode(&hmac(&key, b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
