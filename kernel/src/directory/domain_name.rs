//! Which host names a domain may have.
//!
//! What is refused here is what can never work, or what would take something from the node itself.
//! Whether a name is really the owner's is for the check to say, which reaches the node under it.

use fazt_sdk::{Error, Result};

use crate::edge::canonical;

/// Names below these never lead to a server on the Internet (RFC 6761 §6, RFC 7686).
const NOWHERE: [&str; 3] = ["localhost", "invalid", "onion"];

/// Second labels under which the registries of countries sell names: nobody owns `co.uk`.
const OF_REGISTRIES: [&str; 12] =
    ["ac", "co", "com", "edu", "gob", "gov", "ne", "net", "nom", "or", "org", "sch"];

/// The only spelling of `name`, if a domain of a node called `own` may have it: lower-case ASCII, no
/// dot at the end.
///
/// # Errors
/// `Invalid` with the rule.
pub(crate) fn checked(name: &str, own: &str) -> Result<String> {
    let wrong = |why: &str| {
        Error::invalid(format!("`{}` cannot be a domain: {why}", name.escape_debug()))
            .with_code("BAD_DOMAIN")
    };
    if !name.is_ascii() {
        return Err(wrong(
            "write it in its ASCII form, as browsers send it: xn--bcher-kva.example for bücher.example",
        ));
    }
    let authority = canonical::authority(name.as_bytes()).map_err(|why| wrong(&why.to_string()))?;
    if !authority.port.is_empty() || name.ends_with(':') {
        return Err(wrong("leave the port away; a domain leads to the node on every port"));
    }
    let host = authority.host.into_owned();
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    if host.starts_with('[') || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("it is an address, not a name"));
    }
    if labels.len() < 2 {
        return Err(wrong("it has one label; write all of it, as in www.example.com"));
    }
    let is_label =
        |label: &&str| !label.starts_with('-') && !label.ends_with('-') && !label.contains('_');
    if !labels.iter().all(is_label) {
        return Err(wrong(
            "its labels are letters, digits and hyphens, with a letter or digit at both ends",
        ));
    }
    // No registry has a name with a digit, but for encoded ones (RFC 3696 §2).
    let is_top = last.starts_with("xn--") || last.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_top || last.len() < 2 {
        return Err(wrong("there is no such top-level domain"));
    }
    if NOWHERE.contains(&last) {
        return Err(wrong("names below that never lead to a server"));
    }
    if let [second, country] = labels.as_slice()
        && country.len() == 2
        && OF_REGISTRIES.contains(second)
    {
        return Err(wrong("registries sell names below it, and nobody owns it"));
    }
    if host == own || host.strip_suffix(own).is_some_and(|below| below.ends_with('.')) {
        return Err(wrong(
            "it is the node's own or below it; use an alias, as in `fazt alias add`",
        ));
    }
    Ok(host)
}

/// A name of a domain as it is looked up: people may write capitals, and a dot at the end.
pub(crate) fn spelled(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_somebody_can_own_pass_in_one_spelling() {
        for (given, canonical_form) in [
            ("example.com", "example.com"),
            ("WWW.Example.COM.", "www.example.com"),
            ("a.b.c.d.example.co.uk", "a.b.c.d.example.co.uk"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("example.xn--p1ai", "example.xn--p1ai"),
            ("1.example.com", "1.example.com"),
            ("node.example.org", "node.example.org"),
            ("mynode.example", "mynode.example"),
            ("co.com", "co.com"),
        ] {
            assert_eq!(checked(given, "node.example").as_deref(), Ok(canonical_form), "{given}");
        }
    }

    #[test]
    fn what_can_never_work_or_is_the_nodes_own_is_refused() {
        for bad in [
            "",
            ".",
            "example",
            "localhost",
            "a.localhost",
            "a.onion",
            "a.invalid",
            "node.example",
            "NODE.example.",
            "blog.node.example",
            "a.b.node.example",
            "192.0.2.7",
            "192.0.2.7.",
            "192.0.2",
            "0x7f.0x1",
            "2130706433",
            "[::1]",
            "::1",
            "example.com:80",
            "example.com:",
            "http://example.com",
            "example.com/",
            "*.example.com",
            "a..example.com",
            "-a.example.com",
            "a-.example.com",
            "a_b.example.com",
            "a b.example.com",
            "me@example.com",
            "b\u{fc}cher.example",
            "example.c",
            "example.123",
            "example.c0m",
            "co.uk",
            "com.au",
            "a\0.example.com",
            "<script>.example.com",
        ] {
            let error = checked(bad, "node.example").expect_err(bad);
            assert_eq!(error.code(), "BAD_DOMAIN", "{bad}");
        }
        let long = format!("{}.example.com", "a".repeat(64));
        assert!(checked(&long, "node.example").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_passes_is_what_requests_are_compared_with(
            text in "[a-zA-Z0-9._:\\[\\]@%*-]{0,40}",
        ) {
            if let Ok(name) = checked(&text, "node.example") {
                // The router sees this spelling of the host, and no other.
                let seen = canonical::authority(name.as_bytes()).unwrap();
                prop_assert_eq!(&*seen.host, &*name);
                prop_assert_eq!(checked(&name, "node.example"), Ok(name.clone()));
                prop_assert!(name.parse::<std::net::IpAddr>().is_err());
            }
        }

        #[test]
        fn nothing_below_the_node_passes_however_it_is_spelled(
            label in "([a-z0-9]{1,8}\\.){0,3}",
            upper: bool,
            dot: bool,
        ) {
            let mut name = format!("{label}node.example");
            if upper {
                name = name.to_uppercase();
            }
            if dot {
                name.push('.');
            }
            prop_assert!(checked(&name, "node.example").is_err(), "{}", name);
        }

        #[test]
        fn any_text_at_all_is_answered(text: String) {
            drop(checked(&text, "node.example"));
        }
    }
}
