//! Sealed secrets: XChaCha20-Poly1305 under a key that lies in the cartridge.
//!
//! The key is inside by default, so that a copy of the cartridge is whole; sealing then protects
//! against a leaked row or log, not against a reader of the file. The associated data binds each
//! sealed value to its plugin and label, so that a value cannot be moved elsewhere and opened.

mod store;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fazt_sdk::{Error, Result};

use crate::cartridge::Cartridge;

const NONCE_BYTES: usize = 24;

/// The first byte of everything sealed: the version of this format.
const FORMAT: u8 = 1;

/// Seals and opens.
pub(crate) struct Secrets {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

fn associated(owner: &str, label: &str) -> Vec<u8> {
    [owner.as_bytes(), &[0], label.as_bytes()].concat()
}

impl Secrets {
    /// Reads the sealing key, and makes one in a cartridge that has none.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(cartridge: &Cartridge) -> Result<Self> {
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|error| {
            Error::internal(format!("the system gave no random bytes: {error}"))
        })?;
        let key = store::sealing_key(cartridge, fresh).await?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()) })
    }

    /// Seals `plain` for `owner` under `label`.
    ///
    /// # Errors
    /// `Internal` when the system gives no randomness.
    pub(crate) fn seal(&self, owner: &str, label: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::internal(format!("the system gave no random bytes: {error}"))
        })?;
        let payload = Payload { msg: plain, aad: &associated(owner, label) };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("sealing failed"))?;
        Ok([&[FORMAT][..], &nonce, &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same owner and label.
    ///
    /// # Errors
    /// `Invalid` when it was changed or belongs elsewhere.
    pub(crate) fn open(&self, owner: &str, label: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let refused = || {
            Error::invalid(format!(
                "the sealed value `{label}` cannot be opened: it was changed, or sealed for something else"
            ))
        };
        let (&format, rest) = sealed.split_first().ok_or_else(refused)?;
        let (nonce, content) = rest.split_at_checked(NONCE_BYTES).ok_or_else(refused)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| refused())?;
        if format != FORMAT {
            return Err(refused());
        }
        let payload = Payload { msg: content, aad: &associated(owner, label) };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_where_it_belongs() {
        let secrets = Secrets { cipher: XChaCha20Poly1305::new(&[7; 32].into()) };
        let sealed = secrets.seal("mail", "relay", b"secret").unwrap();
        assert_eq!(secrets.open("mail", "relay", &sealed).unwrap(), b"secret");
        assert!(secrets.open("mail", "other", &sealed).is_err());
        assert!(secrets.open("js", "relay", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(secrets.open("mail", "relay", &changed).is_err(), "byte {at}");
            assert!(secrets.open("mail", "relay", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
