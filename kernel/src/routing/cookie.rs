//! The owner's cookie: its name, its attributes, and a parser that trims nothing it should not.

use fazt_sdk::{Error, Result};

/// The name of the owner's cookie on this connection.
///
/// Under TLS the `__Host-` prefix (RFC 6265bis §4.1.3.2) keeps siblings from setting it. On plain
/// HTTP, which is loopback only, the port is part of the name, because ports share cookies; that
/// name is never looked at under TLS.
pub(crate) fn name(secure: bool, port: &str) -> String {
    if secure { "__Host-fazt_admin".to_owned() } else { format!("fazt_admin_{port}") }
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

/// The value of the cookie `name` in all `Cookie` headers. Byte-exact: only space and tab around a
/// pair are dropped.
///
/// # Errors
/// `Invalid` when the cookie is there twice: somebody tossed one in.
pub(crate) fn value<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &str,
) -> Result<Option<&'h str>> {
    let mut found = None;
    for header in headers {
        for pair in header.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii_start();
            let Some(rest) = pair.strip_prefix(name.as_bytes()) else { continue };
            let Some(value) = rest.strip_prefix(b"=") else { continue };
            if found.is_some() {
                return Err(Error::invalid(
                    "the session cookie was sent twice; delete the cookies of this site",
                )
                .with_code("COOKIE_TWICE"));
            }
            found = Some(std::str::from_utf8(value).unwrap_or_default());
        }
    }
    Ok(found)
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
        assert_eq!(find(&["ss=1; S=2; s =3; \u{a0}s=4"]).unwrap(), None);
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
