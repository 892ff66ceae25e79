//! Secrets that we hand out: 256 bits of randomness, written in base 62, stored as SHA-256.
//!
//! A hash without salt or stretching is enough, because nobody can guess 256 bits.

use fazt_sdk::{Error, Result};
use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of a secret: log2(62) × 43 is 256 bits.
const SECRET_CHARS: usize = 43;

/// Characters of a key's public part.
pub(super) const ID_CHARS: usize = 8;

/// What an API key starts with.
const KEY_PREFIX: &str = "fzt_";

/// Random text in base 62.
///
/// # Errors
/// `Internal` when the system gives no randomness.
pub(super) fn random_text(chars: usize) -> Result<String> {
    let mut text = String::with_capacity(chars);
    while text.len() < chars {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal(format!("the system gave no random bytes: {error}"))
        })?;
        // 248 is the largest multiple of 62 below 256.
        let usable = bytes.iter().filter(|byte| **byte < 248);
        text.extend(
            usable
                .take(chars - text.len())
                .map(|byte| char::from(ALPHABET[usize::from(byte % 62)])),
        );
    }
    Ok(text)
}

/// A new secret.
///
/// # Errors
/// As [`random_text`].
pub(super) fn secret() -> Result<String> {
    random_text(SECRET_CHARS)
}

/// What is stored of a secret.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares without telling by time where the difference is.
pub(super) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differences, (one, other)| differences | (one ^ other)) == 0
}

/// An API key as it is handed out: `fzt_<id>_<secret>`.
pub(super) fn join_key(id: &str, secret: &str) -> String {
    format!("{KEY_PREFIX}{id}_{secret}")
}

/// The id and the secret of a key; nothing when it has another form.
pub(super) fn split_key(key: &str) -> Option<(&str, &str)> {
    let (id, secret) = key.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (id.len() == ID_CHARS && secret.len() == SECRET_CHARS && plain(id) && plain(secret))
        .then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart_as_it_was_put_together() {
        let (id, secret) = (random_text(ID_CHARS).unwrap(), secret().unwrap());
        assert_eq!(split_key(&join_key(&id, &secret)), Some((id.as_str(), secret.as_str())));
    }

    #[test]
    fn other_forms_are_no_keys() {
        for key in [
            "",
            "fzt_",
            "fzt_abcdefgh_short",
            "xyz_abcdefgh_0",
            &format!("fzt_abcdefg-_{}", "a".repeat(43)),
            &format!("fzt_abcdefgh_{}", "ä".repeat(43)),
        ] {
            assert_eq!(split_key(key), None, "{key}");
        }
    }

    #[test]
    fn hashes_compare_by_content() {
        assert!(same(&hash("a"), &hash("a")));
        assert!(!same(&hash("a"), &hash("b")));
    }
}
