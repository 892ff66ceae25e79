//! Response heads that are checked once and sent many times.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use fazt_abi::http::{Prepared, RawPrepared, RawResponseHead};
use fazt_sdk::{Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::response;

/// A head made ready; the status and what describes the body's length are added per response.
#[derive(Debug)]
pub struct PreparedHead {
    headers: HeaderMap,
}

impl PreparedHead {
    /// Makes a head ready from fields in the encoding of
    /// [`RawResponseHead::Fields`](fazt_abi::http::RawResponseHead::Fields).
    ///
    /// # Errors
    /// `Invalid` for a name or value that HTTP does not allow (RFC 9110 §5), or too many of them.
    pub fn from_fields(encoded: &[u8]) -> Result<RawPrepared> {
        let mut headers = HeaderMap::new();
        for (name, value) in fazt_sdk::http::fields(encoded) {
            let refuse = |what: &str| {
                Error::invalid(format!(
                    "the {what} of header `{}` is not one that HTTP allows",
                    String::from_utf8_lossy(name)
                ))
            };
            let name = HeaderName::from_bytes(name).map_err(|_| refuse("name"))?;
            let checked = HeaderValue::from_bytes(value).map_err(|_| refuse("value"))?;
            if response::is_ours(&name) {
                continue;
            }
            let value = if is_common(&name) { common(checked) } else { checked };
            headers
                .try_append(name, value)
                .map_err(|_| Error::invalid("a response head has too many fields"))?;
        }
        Ok(RawPrepared::new(Arc::new(Self { headers })))
    }

    /// The fields of a head that this process made; none of a foreign one. For callers inside this
    /// process.
    pub(crate) fn fields(handle: &RawPrepared) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self::behind(handle)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    /// The same, byte for byte, in the encoding of
    /// [`RawResponseHead::Fields`](fazt_abi::http::RawResponseHead::Fields): for an answer to which
    /// the node adds something.
    pub(crate) fn encoded(handle: &RawPrepared) -> Vec<u8> {
        let mut response = fazt_sdk::http::Response::new(0);
        for (name, value) in Self::behind(handle).into_iter().flatten() {
            response = response.header(name.as_str(), value.as_bytes());
        }
        match response.into_raw().head {
            RawResponseHead::Fields(fields) => fields.into(),
            RawResponseHead::Prepared(_) => Vec::new(),
        }
    }

    /// The head behind a handle; nothing when it is not one of ours.
    #[expect(unsafe_code, reason = "the one place where a handle becomes our own record again")]
    pub(super) fn behind(handle: &RawPrepared) -> Option<&HeaderMap> {
        // SAFETY: only `PreparedHead::address` answers to this process's key, with the address of
        // the record that the handle itself keeps alive.
        let record: Option<&Self> = unsafe { handle.record(key()) };
        record.map(|head| &head.headers)
    }
}

/// Whether the values of this field are few and stand in many heads.
fn is_common(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONTENT_TYPE
            | header::CACHE_CONTROL
            | header::ACCEPT_RANGES
            | header::VARY
            | header::CONTENT_ENCODING
            | header::X_CONTENT_TYPE_OPTIONS
            | header::REFERRER_POLICY
    )
}

/// Values that are kept for ever, and the bytes of one of them: 64 KiB at most.
const COMMON_MAX: usize = 512;
const COMMON_BYTES_MAX: usize = 128;

/// The same value, from the one copy that this process keeps of it.
///
/// Such a value takes no memory of its own, and copying it counts no references, which processors
/// would pass to and fro for every response. Past the bounds the value stays what it is.
fn common(value: HeaderValue) -> HeaderValue {
    static KEPT: Mutex<Vec<&'static [u8]>> = Mutex::new(Vec::new());
    if value.len() > COMMON_BYTES_MAX {
        return value;
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let found = kept.iter().copied().find(|bytes| *bytes == value.as_bytes());
    let bytes = match found {
        Some(bytes) => bytes,
        None if kept.len() < COMMON_MAX => {
            let bytes: &'static [u8] = value.as_bytes().to_vec().leak();
            kept.push(bytes);
            bytes
        }
        None => return value,
    };
    HeaderValue::from_maybe_shared(Bytes::from_static(bytes)).unwrap_or(value)
}

impl Prepared for PreparedHead {
    fn address(self: &Arc<Self>, key: u64) -> usize {
        if key == self::key() { Arc::as_ptr(self).expose_provenance() } else { 0 }
    }
}

/// The key of this process: random, so that no plugin answers to it by accident.
fn key() -> u64 {
    static KEY: OnceLock<u64> = OnceLock::new();
    *KEY.get_or_init(|| getrandom::u64().unwrap_or(0x6661_7a74_6865_6164))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Foreign;

    impl Prepared for Foreign {
        fn address(self: &Arc<Self>, _: u64) -> usize {
            0
        }
    }

    fn encoded(fields: &[(&str, &[u8])]) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (name, value) in fields {
            encoded.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            encoded.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
            encoded.extend_from_slice(name.as_bytes());
            encoded.extend_from_slice(value);
        }
        encoded
    }

    #[test]
    fn a_head_is_found_again_behind_its_handle() {
        let head = PreparedHead::from_fields(&encoded(&[
            ("etag", b"\"x\""),
            ("content-length", b"99"),
            ("connection", b"close"),
        ]))
        .unwrap();
        let headers = PreparedHead::behind(&head).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["etag"], "\"x\"");
    }

    #[test]
    fn a_foreign_handle_leads_nowhere() {
        assert!(PreparedHead::behind(&RawPrepared::new(Arc::new(Foreign))).is_none());
    }

    #[test]
    fn what_http_does_not_allow_is_refused() {
        for (name, value) in [
            ("a b", &b"x"[..]),
            ("", b"x"),
            ("a", b"x\r\nset-cookie: y"),
            ("a", b"\0"),
            ("a\r\nb", b"x"),
        ] {
            assert!(PreparedHead::from_fields(&encoded(&[(name, value)])).is_err(), "{name:?}");
        }
    }
}
