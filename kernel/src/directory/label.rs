//! Which names an alias may have: one label of a host name, not one that the node needs itself.

use fazt_sdk::{Error, Result};

/// Labels below the domain that belong to the node.
const OF_THE_NODE: [&str; 6] = ["admin", "root", "www-root", "fazt", "localhost", "api-root"];

/// Checks a name: RFC 1123 §2.1 as one label of at most 63 characters, lower-case.
///
/// # Errors
/// `Invalid` with the rule, or with the reason why the node keeps it.
pub(crate) fn check(name: &str) -> Result<()> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| letters(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    // RFC 5890 §2.3.1 keeps more labels than these for itself; browsers decode these alone.
    if name.starts_with("xn--") {
        return Err(Error::invalid(format!(
            "`{name}` cannot be a name: browsers show what begins with xn-- as something else"
        ))
        .with_code("BAD_NAME"));
    }
    if !good {
        return Err(Error::invalid(format!("`{name}` cannot be a name: use up to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends")).with_code("BAD_NAME"));
    }
    if OF_THE_NODE.contains(&name) {
        return Err(Error::invalid(format!(
            "the node keeps the name {name} for itself; choose another one"
        ))
        .with_code("RESERVED_NAME"));
    }
    Ok(())
}

/// Labels that stand for something else in most domains: who deploys a site there did so by accident.
const OF_SERVICES: [&str; 9] = ["www", "api", "mail", "ftp", "smtp", "pop", "imap", "ns1", "ns2"];

/// As [`check`], for the name of a new app. An alias may still be called so.
///
/// # Errors
/// As [`check`]; `Invalid` for a name that other services of a domain go by.
pub(crate) fn check_new_app(name: &str) -> Result<()> {
    check(name)?;
    if OF_SERVICES.contains(&name) {
        return Err(Error::invalid(format!(
            "{name} is the usual name of another service, and no app is made under it; deploy under another name, then lead it there with `fazt alias add {name} APP`"
        ))
        .with_code("RESERVED_NAME"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_pass_and_everything_else_does_not() {
        for good in ["a", "blog", "my-blog-2", "0", "my--blog", "a--b", &"a".repeat(63)] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", "-a", "a-", "A", "a.b", "a_b", "ä", "xn--abc", "xn--", "admin", "root", " a", "a/",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
