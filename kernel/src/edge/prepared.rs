//! Response heads that are checked once and sent many times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use fazt_abi::http::{Prepared, RawPrepared, RawResponseHead};
use fazt_sdk::{Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::response;

/// A head made ready; the status and what describes the body's length are added per response.
///
/// Heads of many files differ in their entity tag alone, so that stands apart and the rest is shared:
/// making a head ready is a look at a table, and keeping one takes little more than its tag.
#[derive(Debug)]
pub struct PreparedHead {
    form: Arc<Form>,
    etag: Option<HeaderValue>,
}

/// What heads share. Where they have an entity tag, the maps begin with its empty place.
#[derive(Debug)]
struct Form {
    whole: HeaderMap,
    /// What a 304 repeats of it (RFC 9110 §15.4.5).
    not_modified: HeaderMap,
}

impl PreparedHead {
    /// Makes a head ready from fields in the encoding of
    /// [`RawResponseHead::Fields`](fazt_abi::http::RawResponseHead::Fields).
    ///
    /// # Errors
    /// `Invalid` for a name or value that HTTP does not allow (RFC 9110 §5), or too many of them.
    pub fn from_fields(encoded: &[u8]) -> Result<RawPrepared> {
        let mut etag = None;
        let mut rest = Vec::with_capacity(encoded.len());
        let mut left = encoded;
        while let Some((name, value)) = fazt_sdk::http::fields(left).next() {
            let (field, after) = left.split_at(6 + name.len() + value.len());
            left = after;
            if name.eq_ignore_ascii_case(b"etag") && etag.is_none() {
                etag = Some(HeaderValue::from_bytes(value).map_err(|_| refuse(name, "value"))?);
            } else {
                rest.extend_from_slice(field);
            }
        }
        let form = Form::kept(&rest, etag.is_some())?;
        Ok(RawPrepared::new(Arc::new(Self { form, etag })))
    }

    /// The fields of a head that this process made, for a response with this status; none of a foreign
    /// one. For callers inside this process.
    pub(crate) fn fields(handle: &RawPrepared, status: u16) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self::behind(handle)
            .map(|head| head.headers(status))
            .iter()
            .flatten()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    /// The same, byte for byte, in the encoding of
    /// [`RawResponseHead::Fields`](fazt_abi::http::RawResponseHead::Fields): for an answer to which
    /// the node adds something.
    pub(crate) fn encoded(handle: &RawPrepared, status: u16) -> Vec<u8> {
        let mut response = fazt_sdk::http::Response::new(0);
        for (name, value) in Self::behind(handle).map(|head| head.headers(status)).iter().flatten()
        {
            response = response.header(name.as_str(), value.as_bytes());
        }
        match response.into_raw().head {
            RawResponseHead::Fields(fields) => fields.into(),
            RawResponseHead::Prepared(_) => Vec::new(),
        }
    }

    /// The fields of a response with this status.
    pub(super) fn headers(&self, status: u16) -> HeaderMap {
        let form = if status == StatusCode::NOT_MODIFIED.as_u16() {
            &self.form.not_modified
        } else {
            &self.form.whole
        };
        let mut headers = form.clone();
        if let Some(etag) = &self.etag
            && let Some(place) = headers.values_mut().next()
        {
            place.clone_from(etag);
        }
        headers
    }

    /// The head behind a handle; nothing when it is not one of ours.
    #[expect(unsafe_code, reason = "the one place where a handle becomes our own record again")]
    pub(super) fn behind(handle: &RawPrepared) -> Option<&Self> {
        // SAFETY: only `PreparedHead::address` answers to this process's key, with the address of
        // the record that the handle itself keeps alive.
        unsafe { handle.record(key()) }
    }
}

fn refuse(name: &[u8], what: &str) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::invalid(format!("the {what} of header `{name}` is not one that HTTP allows"))
}

/// Forms that are kept; each takes a few kilobytes.
const FORMS_MAX: usize = 1024;

impl Form {
    /// The form with these fields, from the one copy that this process keeps of it. Those that no head
    /// uses any more make room for others; past the bound a form stands alone.
    fn kept(encoded: &[u8], has_etag: bool) -> Result<Arc<Self>> {
        type Forms = HashMap<Box<[u8]>, Arc<Form>>;
        /// Without an entity tag, and with one.
        static KEPT: OnceLock<Mutex<[Forms; 2]>> = OnceLock::new();
        let mut kept =
            KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut kept[usize::from(has_etag)];
        if let Some(form) = kept.get(encoded) {
            return Ok(Arc::clone(form));
        }
        let form = Arc::new(Self::parse(encoded, has_etag)?);
        if kept.len() >= FORMS_MAX {
            kept.retain(|_, form| Arc::strong_count(form) > 1);
        }
        if kept.len() < FORMS_MAX {
            kept.insert(encoded.into(), Arc::clone(&form));
        }
        Ok(form)
    }

    fn parse(encoded: &[u8], has_etag: bool) -> Result<Self> {
        let mut whole = HeaderMap::new();
        if has_etag {
            whole.insert(header::ETAG, HeaderValue::from_static(""));
        }
        for (name, value) in fazt_sdk::http::fields(encoded) {
            let parsed = HeaderName::from_bytes(name).map_err(|_| refuse(name, "name"))?;
            let checked = HeaderValue::from_bytes(value).map_err(|_| refuse(name, "value"))?;
            if response::is_ours(&parsed) {
                continue;
            }
            let value = if is_common(&parsed) { common(checked) } else { checked };
            whole
                .try_append(parsed, value)
                .map_err(|_| Error::invalid("a response head has too many fields"))?;
        }
        let mut not_modified = HeaderMap::new();
        for (name, value) in whole.iter().filter(|(name, _)| is_repeated(name)) {
            not_modified.append(name, value.clone());
        }
        Ok(Self { whole, not_modified })
    }
}

/// Whether a 304 repeats the field (RFC 9110 §15.4.5).
fn is_repeated(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CACHE_CONTROL
            | header::CONTENT_LOCATION
            | header::DATE
            | header::ETAG
            | header::EXPIRES
            | header::VARY
    )
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
        let headers = PreparedHead::behind(&head).unwrap().headers(200);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["etag"], "\"x\"");
    }

    #[test]
    fn heads_share_all_but_their_entity_tags() {
        let head = |etag: &[u8]| {
            let fields: [(&str, &[u8]); 3] =
                [("content-type", b"text/shared"), ("etag", etag), ("vary", b"accept")];
            PreparedHead::from_fields(&encoded(&fields)).unwrap()
        };
        let (a, b) = (head(b"\"a\""), head(b"\"b\""));
        let (a, b) = (PreparedHead::behind(&a).unwrap(), PreparedHead::behind(&b).unwrap());
        assert!(Arc::ptr_eq(&a.form, &b.form));
        assert_eq!(a.headers(200)["etag"], "\"a\"");
        assert_eq!(b.headers(200)["etag"], "\"b\"");
        let none = encoded(&[("content-type", b"text/shared"), ("vary", b"accept")]);
        let none = PreparedHead::from_fields(&none).unwrap();
        let none = PreparedHead::behind(&none).unwrap().headers(200);
        assert_eq!(none.len(), 2, "{none:?}");
    }

    #[test]
    fn a_304_repeats_what_caches_need() {
        let head = encoded(&[
            ("content-type", b"text/html"),
            ("cache-control", b"no-cache"),
            ("x-robots-tag", b"noindex"),
            ("etag", b"\"x\""),
            ("vary", b"accept"),
        ]);
        let head = PreparedHead::from_fields(&head).unwrap();
        let mut fields = PreparedHead::fields(&head, 304);
        fields.sort();
        let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        let wanted = [("cache-control", "no-cache"), ("etag", "\"x\""), ("vary", "accept")];
        assert_eq!(fields, wanted.map(pair));
        assert_eq!(PreparedHead::fields(&head, 200).len(), 5);
    }

    #[test]
    fn forms_that_nobody_uses_make_room() {
        for n in 0..2 * FORMS_MAX {
            let value = format!("filler-{n}");
            PreparedHead::from_fields(&encoded(&[("x-filler", value.as_bytes())])).unwrap();
        }
        let one = PreparedHead::from_fields(&encoded(&[("x-filler", b"the last")])).unwrap();
        let other = PreparedHead::from_fields(&encoded(&[("x-filler", b"the last")])).unwrap();
        let form = |handle| Arc::as_ptr(&PreparedHead::behind(handle).unwrap().form);
        assert_eq!(form(&one), form(&other));
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
