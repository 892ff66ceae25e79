//! The opening handshake of a WebSocket (RFC 6455 §4.2).

use http::{HeaderMap, HeaderValue, Method, Version, header};

use super::failure::Refusal;

/// What a valid handshake wants to hear back.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The value of `Sec-WebSocket-Accept`.
    pub(super) accept: HeaderValue,
}

/// The handshake of a request; nothing when it asks for none.
///
/// # Errors
/// 400 for a broken handshake, 426 for another version, which names ours (RFC 6455 §4.4).
pub(super) fn read(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<Option<Handshake>, Refusal> {
    if !has_token(headers, header::UPGRADE, "websocket") {
        return Ok(None);
    }
    if method != Method::GET || version != Version::HTTP_11 {
        return Err(broken("it must be a GET request of HTTP/1.1"));
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err(broken("`connection` must name `upgrade`"));
    }
    if single(headers, header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(upgrade_required("the WebSocket version must be 13"));
    }
    let key = single(headers, header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let Some(key) = key else {
        return Err(broken("`sec-websocket-key` must be 16 bytes in base 64"));
    };
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    HeaderValue::try_from(accept)
        .map(|accept| Some(Handshake { accept }))
        .map_err(|_| broken("`sec-websocket-key` must be 16 bytes in base 64"))
}

/// 426 with all that a client needs to do better (RFC 9110 §15.5.22).
pub(super) fn upgrade_required(message: &str) -> Refusal {
    Refusal::new(426, "UPGRADE_REQUIRED", message)
        .with("upgrade", "websocket".to_owned())
        .with("sec-websocket-version", "13".to_owned())
}

fn broken(message: &str) -> Refusal {
    Refusal::new(400, "BAD_HANDSHAKE", format!("this is no WebSocket handshake: {message}"))
}

/// Whether a list-valued field names `token` (RFC 9110 §5.6.1).
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The value of a field that appears exactly once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().trim_ascii()),
        _ => None,
    }
}

/// 16 bytes in base 64 are 22 digits and two signs of padding.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let handshake = read(&Method::GET, Version::HTTP_11, &headers(&GOOD)).unwrap().unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_asks_for_no_upgrade_is_an_ordinary_request() {
        assert!(read(&Method::GET, Version::HTTP_11, &headers(&GOOD[1..])).unwrap().is_none());
    }

    #[test]
    fn each_broken_part_is_refused() {
        for (index, value) in [
            (1, "keep-alive"),
            (2, "8"),
            (2, ""),
            (3, "dGhlIHNhbXBsZSBub25jZQ="),
            (3, "dGhlIHNhbXBsZSBub25jZQ==="),
            (3, ""),
            (3, "????????????????????????"),
        ] {
            let mut fields = GOOD;
            fields[index].1 = value;
            assert!(read(&Method::GET, Version::HTTP_11, &headers(&fields)).is_err(), "{value}");
        }
        assert!(read(&Method::POST, Version::HTTP_11, &headers(&GOOD)).is_err());
        assert!(read(&Method::GET, Version::HTTP_10, &headers(&GOOD)).is_err());
        let mut twice = headers(&GOOD);
        twice.append("sec-websocket-key", HeaderValue::from_static(GOOD[3].1));
        assert!(read(&Method::GET, Version::HTTP_11, &twice).is_err());
    }
}
