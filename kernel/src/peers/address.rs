//! The address of a node: which ones there are, and which a key may be sent to.
//!
//! A key never travels over plain HTTP except to this machine. Which hosts are this machine is
//! decided by the name alone; no resolver is asked, so none can be lied to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fazt_sdk::{Error, Result};

use crate::edge::canonical;

/// The address of a node that a key may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// The host in lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl NodeAddress {
    /// Reads an address such as `https://example.com` or `http://localhost:8080`.
    ///
    /// # Errors
    /// `Invalid` for everything else, and for plain HTTP to anywhere but this machine.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::invalid(format!("{text} is no address of a node: {why}"));
        let with_scheme = "write it with its scheme, as in https://example.com";
        let uri: http::Uri = text.parse().map_err(|error| invalid(&format!("{error}")))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(invalid(with_scheme));
        };
        if authority.as_str().contains('@') {
            return Err(Error::invalid(
                "the address holds a name or a password; a key is given with --token or FAZT_TOKEN",
            ));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(invalid("it has a path, and the address of a node has none"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() {
            return Err(invalid("it names no host"));
        }
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            other => return Err(invalid(&format!("it starts with {other}://, not https://"))),
        };
        let port = match authority.port_u16() {
            Some(0) => return Err(invalid("nobody listens on port 0")),
            Some(port) => port,
            None if authority.as_str().ends_with(':') || has_bad_port(authority) => {
                return Err(invalid("its port is no number below 65536"));
            }
            None => usual_port(is_tls),
        };
        // The http crate lets brackets through that enclose nothing.
        canonical::authority(authority.as_str().trim_end_matches(':').as_bytes())
            .map_err(|error| invalid(&error.to_string()))?;
        let address = Self { is_tls, host, port };
        if !is_tls && address.loopback().is_none() {
            let hint = format!("use https://{authority}");
            return Err(Error::invalid(format!(
                "{text} is plain HTTP: a key is sent only over HTTPS, or to this machine"
            ))
            .with_code("PLAIN_HTTP")
            .with_details(serde_json::json!({ "hint": hint })));
        }
        Ok(address)
    }

    /// Where to connect when the host is this machine by its name alone; nothing for all others.
    #[must_use]
    pub fn loopback(&self) -> Option<Vec<SocketAddr>> {
        if self.host == "localhost" || self.host.ends_with(".localhost") {
            let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Some(both.map(|address| SocketAddr::new(address, self.port)).to_vec());
        }
        let address: IpAddr = self.host.parse().ok()?;
        address.is_loopback().then(|| vec![SocketAddr::new(address, self.port)])
    }

    /// The host of the node's admin surface: `admin.` and its domain.
    #[must_use]
    pub fn admin_host(&self) -> String {
        if self.host.parse::<IpAddr>().is_ok() {
            "admin.localhost".to_owned()
        } else if self.host.starts_with("admin.") {
            self.host.clone()
        } else {
            format!("admin.{}", self.host)
        }
    }

    /// `:PORT`, or nothing for the scheme's own.
    #[must_use]
    pub fn port_suffix(&self) -> String {
        if self.port == usual_port(self.is_tls) { String::new() } else { format!(":{}", self.port) }
    }
}

impl std::fmt::Display for NodeAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(formatter, "{scheme}://{open}{}{close}{}", self.host, self.port_suffix())
    }
}

const fn usual_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

/// Whether something stands where the port should be.
fn has_bad_port(authority: &http::uri::Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_stays_on_this_machine_without_tls() {
        for url in [
            "http://localhost:8080",
            "http://admin.localhost:8080/",
            "http://ADMIN.LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.8.9.1",
            "http://[::1]:8080",
            "https://example.com",
            "https://10.0.0.1:8443",
        ] {
            assert!(NodeAddress::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://example.com",
            "http://localhost.example.com",
            "http://notlocalhost",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]:80",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "http://localhost:80@example.com",
        ] {
            assert!(NodeAddress::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_says_why() {
        for (url, words) in [
            ("admin.example.com", "with its scheme"),
            ("ftp://localhost", "starts with ftp"),
            ("http://localhost/api", "has a path"),
            ("https://example.com?x", "has a path"),
            ("https://example.com:99999", "port"),
            ("https://example.com:0", "port 0"),
            ("https://u:p@example.com", "a password"),
        ] {
            let error = NodeAddress::parse(url).unwrap_err();
            assert!(error.message().contains(words), "{url}: {error}");
        }
    }

    #[test]
    fn the_nodes_address_leads_to_its_admin_surface() {
        for (url, host, shown) in [
            ("http://localhost:8080", "admin.localhost", "http://localhost:8080"),
            ("http://admin.localhost:8080/", "admin.localhost", "http://admin.localhost:8080"),
            ("https://Node.Example:443", "admin.node.example", "https://node.example"),
            ("http://127.0.0.1:1", "admin.localhost", "http://127.0.0.1:1"),
            ("http://[::1]:1", "admin.localhost", "http://[::1]:1"),
        ] {
            let address = NodeAddress::parse(url).unwrap();
            assert_eq!((address.admin_host().as_str(), &*address.to_string()), (host, shown));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in "https?://[a-z0-9.\\[\\]:@/-]{0,24}") {
            if let Ok(address) = NodeAddress::parse(&text) {
                prop_assert_eq!(NodeAddress::parse(&address.to_string()).unwrap(), address);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            drop(NodeAddress::parse(&text));
        }
    }
}
