//! Names and values as a query or a form carries them (WHATWG URL,
//! application/x-www-form-urlencoded). Decoded once, here and nowhere else.

use fazt_sdk::{Error, Result};

/// Pairs of one query or form; no operation and no page has nearly as many fields.
const PAIRS_MAX: usize = 400;

/// The pairs in `text`, decoded, in order.
///
/// # Errors
/// `Invalid` for a broken escape, for what is not UTF-8, and for each pair after the 400th.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<(String, String)>> {
    text.split('&').filter(|pair| !pair.is_empty()).enumerate().map(|(number, pair)| {
        if number >= PAIRS_MAX {
            return Err(Error::invalid(format!("there are more than {PAIRS_MAX} parameters"))
                .with_code("TOO_MANY_PARAMETERS"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let byte = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                byte.and_then(|byte| u8::try_from(byte).ok()).ok_or_else(|| {
                    Error::invalid("a % is not followed by two hexadecimal digits")
                })?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("a decoded name or value is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_once_and_in_order() {
        let pairs: Result<Vec<_>> = pairs("a=b%20c+d%252F&&user=%C3%BC&flag&x=1=2").collect();
        let expected = [("a", "b c d%2F"), ("user", "\u{fc}"), ("flag", ""), ("x", "1=2")];
        assert_eq!(
            pairs.unwrap(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn no_more_pairs_are_read_than_anything_has_fields() {
        let text = |count: usize| vec!["a=b"; count].join("&");
        assert!(pairs(&text(PAIRS_MAX)).all(|pair| pair.is_ok()));
        let error = pairs(&text(PAIRS_MAX + 1)).last().unwrap().unwrap_err();
        assert_eq!(error.code(), "TOO_MANY_PARAMETERS");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "a=%2", "%zz=1", "a=%ff", "a=%+1"] {
            assert!(pairs(text).any(|pair| pair.is_err()), "{text}");
        }
    }
}
