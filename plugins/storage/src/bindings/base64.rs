//! Bytes as text (RFC 4648 §4), because bindings carry JSON.

use fazt_sdk::{Error, Result};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= group.len() {
                let six = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
                text.push(char::from(ALPHABET[six]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    let wrong = || Error::invalid("bytes are not in base64").with_code("INVALID_ARGUMENT");
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return Err(wrong());
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let six = ALPHABET.iter().position(|known| known == digit).ok_or_else(wrong)?;
            bits = bits << 6 | u32::try_from(six).unwrap_or(0);
        }
        bits <<= 6 * (4 - group.len());
        let [_, whole @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(&whole[..group.len() - 1]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        for text in ["A", "A===", "Zg=a", "Z g=", "Zg===", "é"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
