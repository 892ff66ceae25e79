//! Addresses of the web, in the one form in which everything else here sees them.

use std::net::IpAddr;

use url::{Host, Url};

use super::failure;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Without a user name and without a fragment.
    pub(super) url: Url,
}

/// The host of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// An address; nothing is left to resolve.
    Address(IpAddr),
    /// A name in ASCII, in lower case, without a dot at its end.
    Name(String),
}

impl Target {
    /// Reads an address as browsers do (the URL standard of the WHATWG), so that `0x7f.1` and `127.0.0.1`
    /// are the same host here as everywhere.
    ///
    /// # Errors
    /// `Invalid` when it is none, `Denied` for another scheme, and for a user name in it.
    pub(super) fn parse(url: &str) -> fazt_sdk::Result<Self> {
        if url.len() > URL_BYTES_MAX {
            return Err(failure::invalid(format!(
                "an address has at most {URL_BYTES_MAX} bytes, and this one has {}",
                url.len()
            )));
        }
        let parsed = Url::parse(url)
            .map_err(|error| failure::invalid(format!("the address cannot be read: {error}")))?;
        Self::of(parsed)
    }

    /// The target that the `Location` of an answer means (RFC 9110 §10.2.2).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn join(&self, location: &str) -> fazt_sdk::Result<Self> {
        let joined = self.url.join(location).map_err(|error| {
            failure::other_side(format!(
                "{} redirects to what is no address: {error}",
                self.shown()
            ))
        })?;
        if joined.as_str().len() > URL_BYTES_MAX {
            return Err(failure::other_side(format!(
                "{} redirects to an address of more than {URL_BYTES_MAX} bytes",
                self.shown()
            )));
        }
        Self::of(joined)
    }

    fn of(mut url: Url) -> fazt_sdk::Result<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failure::blocked(format!(
                "only http and https addresses can be asked, not {}:",
                url.scheme()
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(failure::blocked(
                "an address with a user name and a password in it is not asked; send an authorization header",
            ));
        }
        url.set_fragment(None);
        let target = Self { url };
        if target.place().is_none() {
            return Err(failure::invalid("the address names no host"));
        }
        Ok(target)
    }

    /// The host.
    pub(super) fn place(&self) -> Option<Place> {
        match self.url.host()? {
            Host::Ipv4(address) => Some(Place::Address(address.into())),
            Host::Ipv6(address) => Some(Place::Address(address.into())),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                (!name.is_empty()).then(|| Place::Name(name.to_ascii_lowercase()))
            }
        }
    }

    /// The host as rules and people write it.
    pub(super) fn shown(&self) -> String {
        match self.place() {
            Some(Place::Address(address)) => address.to_string(),
            Some(Place::Name(name)) => name,
            None => String::new(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(0)
    }

    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the port is the one that the scheme says.
    pub(super) fn has_own_port(&self) -> bool {
        self.url.port().is_none()
    }

    /// Whether scheme, host and port are the same (RFC 6454 §5).
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.is_secure() == other.is_secure()
            && self.place() == other.place()
            && self.port() == other.port()
    }

    /// What the header `host` says: the host, and the port unless it is the scheme's own.
    pub(super) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// The longest address, in bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Target::parse(url).unwrap().place().unwrap()
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let loopback = Place::Address([127, 0, 0, 1].into());
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http:/127.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            " http://127.0.0.1/ ",
            "ht\ntp://127.0.\n0.1/",
        ] {
            assert_eq!(place(url), loopback, "{url}");
        }
    }

    #[test]
    fn a_name_is_ascii_and_lower_case() {
        assert_eq!(place("https://EXAMPLE.com./x"), Place::Name("example.com".into()));
        assert_eq!(place("https://bücher.example"), Place::Name("xn--bcher-kva.example".into()));
    }

    #[test]
    fn what_is_no_address_of_the_web_is_refused() {
        for (url, code) in [
            ("ftp://example.com/", "NET_BLOCKED"),
            ("file:///etc/passwd", "NET_BLOCKED"),
            ("javascript:alert(1)", "NET_BLOCKED"),
            ("data:text/plain,x", "NET_BLOCKED"),
            ("http://user:password@example.com/", "NET_BLOCKED"),
            ("http://user@example.com/", "NET_BLOCKED"),
            ("/relative", "NET_ERROR"),
            ("http://", "NET_ERROR"),
            ("http://256.256.256.256/", "NET_ERROR"),
            ("http://[::1", "NET_ERROR"),
            ("http://a b/", "NET_ERROR"),
            ("", "NET_ERROR"),
        ] {
            assert_eq!(Target::parse(url).unwrap_err().code(), code, "{url}");
        }
        let long = format!("http://example.com/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(Target::parse(&long).unwrap_err().code(), "NET_ERROR");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let one = Target::parse("https://example.com/a").unwrap();
        for (other, same) in [
            ("https://EXAMPLE.com:443/b", true),
            ("https://example.com./b", true),
            ("http://example.com/a", false),
            ("https://example.com:8443/a", false),
            ("https://www.example.com/a", false),
        ] {
            assert_eq!(one.is_same_origin(&Target::parse(other).unwrap()), same, "{other}");
        }
    }
}
