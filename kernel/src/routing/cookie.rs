//! The owner's cookie: its name, its attributes, and a parser that trims nothing it should not.

use fazt_sdk::{Error, Result};

const SECURE_NAME: &str = "__Host-fazt_admin";
const PLAIN_NAME: &str = "fazt_admin_";

/// The name of the owner's cookie on this connection.
///
/// Under TLS the `__Host-` prefix (RFC 6265bis §4.1.3.2) keeps siblings from setting it. On plain
/// HTTP, which is loopback only, the port is part of the name, because ports share cookies; that
/// name is never looked at under TLS.
pub(crate) fn name(secure: bool, port: &str) -> String {
    if secure { SECURE_NAME.to_owned() } else { format!("{PLAIN_NAME}{port}") }
}

/// A `Set-Cookie` value that starts a session, or ends it when `token` is empty.
pub(crate) fn set(secure: bool, port: &str, token: &str, max_age_s: u64) -> String {
    let secure_attribute = if secure { "; Secure" } else { "" };
    let max_age_s = if token.is_empty() { 0 } else { max_age_s };
    format!(
        "{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure_attribute}",
        name(secure, port)
    )
}

/// Space and tab are all that may stand around a pair (RFC 6265 §4.2.1).
fn trim(pair: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = pair.iter().position(is_text).unwrap_or(pair.len());
    let end = pair.iter().rposition(is_text).map_or(start, |last| last + 1);
    &pair[start..end]
}

/// A `Cookie` header without the owner's cookies; nothing when it has none of them.
pub(crate) fn without_own(header: &[u8]) -> Option<Vec<u8>> {
    let is_own = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name == SECURE_NAME.as_bytes() || name.starts_with(PLAIN_NAME.as_bytes())
    };
    let pairs = || header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !pairs().any(is_own) {
        return None;
    }
    Some(pairs().filter(|pair| !is_own(pair)).collect::<Vec<_>>().join(&b"; "[..]))
}

/// The value of the cookie `name` in all `Cookie` headers. Byte-exact: only space and tab around a
/// pair are dropped.
///
/// # Errors
/// `Invalid` when the cookie is there twice: somebody tossed one in.
pub(crate) fn value<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &str,
) -> Result<Option<&'h str>> {
    let mut found = values(headers, name);
    let value = found.next();
    if found.next().is_some() {
        return Err(Error::invalid(
            "the session cookie was sent twice; delete the cookies of this site",
        )
        .with_code("COOKIE_TWICE"));
    }
    Ok(value.map(|value| std::str::from_utf8(value).unwrap_or_default()))
}

/// All values of the cookie `name`, in order, for cookies that prove nothing.
pub(super) fn values<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &str,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .flat_map(|header| header.split(|byte| *byte == b';'))
        .filter_map(move |pair| trim(pair).strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(headers: &[&str]) -> Result<Option<String>> {
        value(headers.iter().map(|header| header.as_bytes()), "s")
            .map(|found| found.map(str::to_owned))
    }

    #[test]
    fn the_cookie_is_found_by_its_exact_name() {
        assert_eq!(find(&["a=1; s=x; b=2"]).unwrap().as_deref(), Some("x"));
        assert_eq!(find(&["a=1", "s=x"]).unwrap().as_deref(), Some("x"));
        assert_eq!(find(&["a=1;\ts=x \t; b=2"]).unwrap().as_deref(), Some("x"));
        assert_eq!(find(&["ss=1; S=2; s =3; \u{a0}s=4"]).unwrap(), None);
    }

    #[test]
    fn what_is_ours_is_taken_out_and_the_rest_stays() {
        let rest = |header: &str| {
            without_own(header.as_bytes()).map(|rest| String::from_utf8(rest).unwrap())
        };
        assert_eq!(rest("a=1; b=fazt_admin_80"), None);
        assert_eq!(rest("a=1;fazt_admin_80=x ; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(rest("fazt_admin_=x; fazt_admin_80").as_deref(), Some(""));
        assert_eq!(rest(" __Host-fazt_admin = x;c=3").as_deref(), Some("c=3"));
    }

    #[test]
    fn two_cookies_of_that_name_are_refused() {
        assert!(find(&["s=x; s=x"]).is_err());
        assert!(find(&["s=x", "s=y"]).is_err());
    }

    #[test]
    fn a_cookie_is_bound_to_its_connection() {
        assert!(
            set(true, "", "t", 60)
                .starts_with("__Host-fazt_admin=t; Path=/; HttpOnly; SameSite=Strict")
        );
        assert!(set(true, "", "t", 60).ends_with("; Secure"));
        assert!(set(false, "8080", "t", 60).starts_with("fazt_admin_8080=t;"));
        assert!(set(false, "8080", "", 60).contains("Max-Age=0"));
    }
}
