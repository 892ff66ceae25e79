//! One spelling for every authority and every path, decided once per request.
//!
//! What leaves here is safe to compare byte by byte: routing, access rules and file lookup never
//! see a second spelling of the same thing. What has no single spelling is refused, not repaired.
//! Host names outside ASCII are refused; browsers send their punycode form (RFC 5891 §4.4).

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// Longest host name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// Longest label of a host name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Why an authority or a path has no canonical form; each is answered with 400.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The authority is empty.
    EmptyHost,
    /// The authority is longer than 253 bytes, or one of its labels longer than 63.
    LongHost,
    /// The authority carries a user or a password (RFC 9110 §4.2.4).
    UserInfo,
    /// The authority has a character that host names do not have, or an empty label.
    Host,
    /// The port is no number between 1 and 65535.
    Port,
    /// The path does not start with a slash.
    RelativePath,
    /// A percent sign is not followed by two hexadecimal digits.
    Escape,
    /// The path has an encoded separator, a backslash, NUL or another control character.
    Character,
    /// The decoded path is not UTF-8.
    Utf8,
    /// A segment of the path is `.` or `..`, or empty before the last.
    Segment,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::EmptyHost => "the host is empty",
            Self::LongHost => "the host is too long",
            Self::UserInfo => "the host carries a user name",
            Self::Host => "the host is not a host name in ASCII",
            Self::Port => "the port is not a number between 1 and 65535",
            Self::RelativePath => "the path does not start with a slash",
            Self::Escape => "the path has a percent sign without two hexadecimal digits",
            Self::Character => "the path has an encoded slash, a backslash or a control character",
            Self::Utf8 => "the path is not UTF-8",
            Self::Segment => "the path has an empty segment, `.` or `..`",
        })
    }
}

impl std::error::Error for Malformed {}

/// An authority in its only spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host: lower-case, no trailing dot; an IPv6 address in brackets (RFC 3986 §3.2.2).
    pub host: Cow<'a, str>,
    /// The port as it was written, without leading zeros; empty when there is none.
    pub port: &'a str,
}

/// Brings an authority into its only spelling. Allocates only when the host has to change.
///
/// # Errors
/// Says what is wrong; the request is answered with 400 (RFC 9112 §3.2).
pub fn authority(text: &[u8]) -> Result<Authority<'_>, Malformed> {
    if text.is_empty() {
        return Err(Malformed::EmptyHost);
    }
    // 253 for the name, one for its trailing dot, six for the port.
    if text.len() > HOST_BYTES_MAX + 1 + 6 {
        return Err(Malformed::LongHost);
    }
    if text.contains(&b'@') {
        return Err(Malformed::UserInfo);
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Host)?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(Malformed::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => port(digits)?,
            None if rest.is_empty() => "",
            None => return Err(Malformed::Host),
        };
        // A zone (`%eth0`) does not parse, and must not: it means something only to the sender.
        let address: Ipv6Addr = address.parse().map_err(|_| Malformed::Host)?;
        return Ok(Authority { host: Cow::Owned(format!("[{address}]")), port });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, port(digits)?),
        None => (text, ""),
    };
    Ok(Authority { host: host_name(host)?, port })
}

/// The canonical form of a host name without a port.
fn host_name(host: &str) -> Result<Cow<'_, str>, Malformed> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() {
        return Err(Malformed::EmptyHost);
    }
    if host.len() > HOST_BYTES_MAX {
        return Err(Malformed::LongHost);
    }
    let mut upper = false;
    let mut label_len = 0;
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label_len += 1,
            b'A'..=b'Z' => {
                upper = true;
                label_len += 1;
            }
            b'.' if label_len > 0 => label_len = 0,
            _ => return Err(Malformed::Host),
        }
        if label_len > LABEL_BYTES_MAX {
            return Err(Malformed::LongHost);
        }
    }
    if label_len == 0 {
        return Err(Malformed::Host);
    }
    Ok(if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

/// The canonical form of a port: an empty one is none (RFC 3986 §3.2.3).
fn port(digits: &str) -> Result<&str, Malformed> {
    if digits.is_empty() {
        return Ok("");
    }
    if digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Port);
    }
    let digits = digits.trim_start_matches('0');
    match digits.parse::<u16>() {
        Ok(_) => Ok(digits),
        Err(_) => Err(Malformed::Port),
    }
}

/// Decodes a path once and checks it. Allocates only when something is encoded.
///
/// # Errors
/// Says what is wrong; the request is answered with 400.
pub fn path(raw: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if raw.first() != Some(&b'/') {
        return Err(Malformed::RelativePath);
    }
    let bytes = if raw.contains(&b'%') { Cow::Owned(decode(raw)?) } else { Cow::Borrowed(raw) };
    let text = match bytes {
        Cow::Borrowed(bytes) => {
            Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)?)
        }
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| Malformed::Utf8)?),
    };
    check(&text)?;
    Ok(text)
}

/// Checks a decoded path.
fn check(text: &str) -> Result<(), Malformed> {
    let mut segment_start = 1;
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'/' => {
                if matches!(&bytes[segment_start..index], b"" | b"." | b"..") {
                    return Err(Malformed::Segment);
                }
                segment_start = index + 1;
            }
            b'\\' | 0..=0x1f | 0x7f => return Err(Malformed::Character),
            _ => {}
        }
    }
    if matches!(&bytes[segment_start..], b"." | b"..") {
        return Err(Malformed::Segment);
    }
    // The controls of U+0080 to U+009F are two bytes, the first of them 0xC2.
    if bytes.contains(&0xc2) && text.chars().any(char::is_control) {
        return Err(Malformed::Character);
    }
    Ok(())
}

/// Percent-decodes once (RFC 3986 §2.1), refusing encoded separators.
fn decode(raw: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (high, low) = match after {
                [high, low, ..] => (hex(*high)?, hex(*low)?),
                _ => return Err(Malformed::Escape),
            };
            let byte = high << 4 | low;
            if matches!(byte, b'/' | b'\\') {
                return Err(Malformed::Character);
            }
            decoded.push(byte);
            rest = &after[2..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    Ok(decoded)
}

fn hex(digit: u8) -> Result<u8, Malformed> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(Malformed::Escape)
}

/// Encodes a canonical path for a URL: everything but `/`, unreserved and sub-delimiters
/// (RFC 3986 §3.3). [`path`] of the result is the path again.
#[must_use]
pub fn encode(path: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' | b':' | b'@' => encoded.push(char::from(byte)),
            _ => {
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> Result<(String, String), Malformed> {
        authority(text.as_bytes())
            .map(|authority| (authority.host.into_owned(), authority.port.to_owned()))
    }

    #[test]
    fn spellings_of_one_authority_become_one() {
        for text in ["app.example.org", "APP.Example.ORG", "app.example.org.", "app.example.org:"] {
            assert_eq!(host(text), Ok(("app.example.org".into(), String::new())), "{text}");
        }
        assert_eq!(host("a:080"), Ok(("a".into(), "80".into())));
        assert_eq!(host("[0:0::1]:8080"), Ok(("[::1]".into(), "8080".into())));
        assert_eq!(host("[::FFFF:1.2.3.4]"), Ok(("[::ffff:1.2.3.4]".into(), String::new())));
        assert_eq!(host("127.0.0.1:1"), Ok(("127.0.0.1".into(), "1".into())));
        assert_eq!(
            host("xn--bcher-kva.example"),
            Ok(("xn--bcher-kva.example".into(), String::new()))
        );
        assert_eq!(host("my_app.localhost"), Ok(("my_app.localhost".into(), String::new())));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for text in [
            "",
            ".",
            "..",
            ":80",
            "a..b",
            ".a",
            "a.b..",
            "a b",
            "a/b",
            "a\\b",
            "a%62",
            "a,b",
            "b\u{fc}cher.example",
            "<script>",
            "u@h",
            "u:p@h",
            "a:b",
            "a:70000",
            "a:0",
            "a:-1",
            "a:1:2",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "::1",
            "a\0b",
            "a\tb",
        ] {
            assert!(host(text).is_err(), "{text:?}");
        }
        assert_eq!(host(&"a".repeat(64)), Err(Malformed::LongHost));
        assert_eq!(
            host(&"a.".repeat(127)),
            Ok(("a.".repeat(127).trim_end_matches('.').into(), String::new()))
        );
        assert_eq!(host(&"ab.".repeat(85)), Err(Malformed::LongHost));
    }

    #[test]
    fn a_plain_path_is_not_copied() {
        assert!(matches!(path(b"/a/b.html"), Ok(Cow::Borrowed("/a/b.html"))));
        assert_eq!(path(b"/"), Ok("/".into()));
        assert_eq!(path(b"/a/"), Ok("/a/".into()));
    }

    #[test]
    fn a_path_is_decoded_exactly_once() {
        assert_eq!(path(b"/a%20b"), Ok("/a b".into()));
        assert_eq!(path(b"/%2541"), Ok("/%41".into()));
        assert_eq!(path(b"/%252e%252e/"), Ok("/%2e%2e/".into()));
        assert_eq!(path("/\u{fc}".as_bytes()), path(b"/%c3%bc"));
        assert_eq!(path(b"/.well-known/..a/a.."), Ok("/.well-known/..a/a..".into()));
    }

    #[test]
    fn what_has_no_single_spelling_is_refused() {
        for raw in [
            &b""[..],
            b"a",
            b"//",
            b"/a//b",
            b"//a",
            b"/a/.",
            b"/.",
            b"/..",
            b"/a/../b",
            b"/./a",
            b"/a/..",
            b"/%2e",
            b"/%2e%2e/a",
            b"/.%2E/a",
            b"/a%2fb",
            b"/a%2Fb",
            b"/a%5cb",
            b"/a%5Cb",
            b"/a\\b",
            b"/a%00",
            b"/a\0",
            b"/a%0d%0a",
            b"/a%7f",
            b"/a%c2%80",
            b"/%",
            b"/%4",
            b"/%zz",
            b"/%ff",
            b"/%c0%ae",
            b"/\xff",
        ] {
            assert!(path(raw).is_err(), "{:?}", String::from_utf8_lossy(raw));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn authorities_are_idempotent(text in "[a-zA-Z0-9._:\\[\\]@%-]{0,40}") {
            if let Ok(first) = authority(text.as_bytes()) {
                let again = if first.port.is_empty() {
                    first.host.clone().into_owned()
                } else {
                    format!("{}:{}", first.host, first.port)
                };
                prop_assert_eq!(authority(again.as_bytes()), Ok(first));
            }
        }

        #[test]
        fn a_canonical_path_has_no_dot_segment_and_survives_encoding(
            raw in prop::collection::vec(
                prop::sample::select(vec![
                    &b"/"[..], b".", b"..", b"%2e", b"%2E", b"%2f", b"%5c", b"%25", b"a", b"%c3%bc", b"%00",
                    b"%", b"\\", b" ", b"\xc3\xbc", b"\xff", b"%41", b"2e",
                ]),
                0..12,
            )
        ) {
            let mut bytes = b"/".to_vec();
            bytes.extend(raw.concat());
            if let Ok(text) = path(&bytes) {
                prop_assert!(text.starts_with('/'));
                prop_assert!(!text[1..].split('/').any(|segment| segment == "." || segment == ".."));
                prop_assert!(!text.contains("//") && !text.contains(['\\', '\0']));
                let encoded = encode(&text);
                let again = path(encoded.as_bytes());
                prop_assert_eq!(again.as_deref(), Ok(text.as_ref()));
                prop_assert_eq!(encode(&text), encoded);
            }
        }

        #[test]
        fn any_bytes_at_all_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut raw = b"/".to_vec();
            raw.extend_from_slice(&bytes);
            drop(path(&raw));
            drop(authority(&bytes));
        }
    }
}
