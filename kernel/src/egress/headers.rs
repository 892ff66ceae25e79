//! Which header fields leave, which follow a redirect, and which come back.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::failure;

/// The fields of a request, as far as they are the sender's to say.
///
/// # Errors
/// `Invalid` for a name or a value that HTTP does not allow, `TooLarge` past the bounds.
pub(super) fn outgoing(fields: &[(String, String)]) -> fazt_sdk::Result<HeaderMap> {
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if fields.len() > FIELDS_MAX || bytes > FIELDS_BYTES_MAX {
        return Err(failure::too_large(format!(
            "a request has at most {FIELDS_MAX} header fields of {FIELDS_BYTES_MAX} bytes together, and this one has {} of {bytes}",
            fields.len()
        )));
    }
    let mut map = HeaderMap::with_capacity(fields.len() + 4);
    for (name, value) in fields {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            failure::invalid(format!("`{name}` cannot be the name of a header field"))
        })?;
        if is_of_the_connection(parsed.as_str()) {
            continue;
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            failure::invalid(format!(
                "the header field {name} holds a line break or a control character"
            ))
        })?;
        map.append(parsed, value);
    }
    Ok(map)
}

/// Whether a field is the client's own to set: it speaks of the connection, of the body's transport,
/// or to a proxy (RFC 9110 §7.6.1, and what the Fetch standard forbids for the same reasons).
fn is_of_the_connection(name: &str) -> bool {
    name.starts_with("proxy-") || OF_THE_CONNECTION.contains(&name)
}

/// Takes out what must not reach another origin than the one that it was meant for.
pub(super) fn leave_origin(fields: &mut HeaderMap) {
    let secret: Vec<HeaderName> =
        fields.keys().filter(|name| is_secret(name.as_str())).cloned().collect();
    for name in secret {
        fields.remove(name);
    }
}

/// Whether a field may carry a credential, going by its name: `x-api-key`, `private-token`, and the
/// like have no register that could be asked.
fn is_secret(name: &str) -> bool {
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Takes out what speaks of a body, for a redirect that drops it (Fetch standard, §4.4).
pub(super) fn drop_body(fields: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LOCATION,
    ] {
        fields.remove(name);
    }
}

/// The fields of an answer, in their order.
pub(super) fn incoming(fields: &HeaderMap) -> Vec<(String, String)> {
    fields
        .iter()
        .filter(|(name, _)| {
            !is_of_the_connection(name.as_str()) && *name != header::CONTENT_ENCODING
        })
        // Bytes past ASCII are Latin-1, as everywhere in the web platform.
        .map(|(name, value)| {
            let value = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// The most fields of a request.
const FIELDS_MAX: usize = 64;

/// The most bytes of all fields of a request.
const FIELDS_BYTES_MAX: usize = 32 * 1024;

const OF_THE_CONNECTION: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

const SECRET_PARTS: [&str; 8] =
    ["auth", "cookie", "credential", "key", "passw", "secret", "signature", "token"];

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> fazt_sdk::Result<HeaderMap> {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        outgoing(&fields)
    }

    #[test]
    fn what_belongs_to_the_connection_is_left_out() {
        let kept = map(&[
            ("Host", "evil"),
            ("connection", "upgrade"),
            ("Transfer-Encoding", "chunked"),
            ("content-length", "7"),
            ("Proxy-Authorization", "x"),
            ("accept-encoding", "zstd"),
            ("x-mine", "1"),
            ("x-mine", "2"),
        ])
        .unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(kept.get_all("x-mine").iter().count(), 2);
    }

    #[test]
    fn a_line_break_does_not_become_a_second_field() {
        for (name, value) in [
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "\0"),
            ("a b", "c"),
            ("a\r\nb", "c"),
            ("", "c"),
        ] {
            assert_eq!(
                map(&[(name, value)]).unwrap_err().code(),
                "NET_ERROR",
                "{name:?} {value:?}"
            );
        }
    }

    #[test]
    fn too_many_fields_are_refused() {
        let many: Vec<_> =
            (0..FIELDS_MAX + 1).map(|at| (format!("x-{at}"), String::new())).collect();
        assert_eq!(outgoing(&many).unwrap_err().code(), "NET_SIZE");
        let large = [("x".to_owned(), "a".repeat(FIELDS_BYTES_MAX))];
        assert_eq!(outgoing(&large).unwrap_err().code(), "NET_SIZE");
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let mut fields = map(&[
            ("Authorization", "x"),
            ("Cookie", "x"),
            ("X-Api-Key", "x"),
            ("PRIVATE-TOKEN", "x"),
            ("x-hub-signature-256", "x"),
            ("accept", "text/html"),
        ])
        .unwrap();
        leave_origin(&mut fields);
        assert_eq!(fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
