//! Whose address a request counts as: the socket's peer, or what a trusted proxy says.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use fazt_sdk::{Error, Result};

/// A range of addresses, such as `10.0.0.0/8` or `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: u128,
    mask: u128,
}

impl Range {
    /// Whether `address` lies in the range. IPv4 and IPv4-mapped IPv6 addresses are the same.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        mapped(address) & self.mask == self.first
    }
}

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "`{text}` is not a range of addresses; one looks like 10.0.0.0/8 or fd00::/8"
            ))
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (own, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(own);
        if bits > own {
            return Err(wrong());
        }
        let mask = u128::MAX.checked_shl(128 - before - bits).unwrap_or(0);
        Ok(Self { first: mapped(address) & mask, mask })
    }
}

/// The address as 128 bits, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2).
fn mapped(address: IpAddr) -> u128 {
    u128::from(to_v6(address))
}

/// The address as IPv6, IPv4 mapped.
pub(super) fn to_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// What one sender holds: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender(u128);

impl Sender {
    pub(super) fn of(address: IpAddr) -> Self {
        let bits = mapped(address);
        match address.to_canonical() {
            IpAddr::V4(_) => Self(bits),
            IpAddr::V6(_) => Self(bits & !u128::from(u64::MAX)),
        }
    }
}

/// The client behind `peer`: the right-most address of `X-Forwarded-For` that no trusted proxy
/// holds, when `peer` itself is one; else `peer`.
///
/// `fields` are the values of `X-Forwarded-For` in the order sent. What cannot be read ends the
/// walk, because nothing to its left was said by somebody trusted.
#[must_use]
pub fn client<'a>(
    peer: IpAddr,
    fields: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[Range],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    for value in fields.rev() {
        for part in value.rsplit(|byte| *byte == b',') {
            let Some(address) = forwarded(part) else { return client };
            client = address;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// One address of `X-Forwarded-For`, with or without a port.
fn forwarded(part: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(part).ok()?.trim_matches([' ', '\t']);
    let address = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok()?,
        None => match text.parse() {
            Ok(address) => address,
            Err(_) => IpAddr::V4(text.rsplit_once(':')?.0.parse().ok()?),
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn seen(peer: &str, fields: &[&str], trusted: &[&str]) -> String {
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        client(peer.parse().unwrap(), fields.into_iter(), &ranges(trusted)).to_string()
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, address, held) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "1.2.3.4", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
        ] {
            let parsed: Range = range.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), held, "{range} {address}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "a/8", "10/8", "10.0.0.0/x", "10.0.0.0/-1"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_is_believed_unless_configured() {
        assert_eq!(seen("9.9.9.9", &["1.1.1.1"], &[]), "9.9.9.9");
        assert_eq!(seen("9.9.9.9", &["1.1.1.1"], &["10.0.0.0/8"]), "9.9.9.9");
    }

    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        let trusted = &["10.0.0.0/8", "::1"];
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 2.2.2.2"], trusted), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 2.2.2.2, 10.0.0.2"], trusted), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "2.2.2.2"], trusted), "2.2.2.2");
        assert_eq!(seen("::1", &["[2001:db8::1]:443"], trusted), "2001:db8::1");
        assert_eq!(seen("::ffff:10.0.0.1", &["2.2.2.2:80"], trusted), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["2.2.2.2, unknown, 10.0.0.3"], trusted), "10.0.0.3");
        assert_eq!(seen("10.0.0.1", &[], trusted), "10.0.0.1");
    }

    #[test]
    fn a_network_of_64_bits_is_one_sender() {
        let sender = |text: &str| Sender::of(text.parse().unwrap());
        assert_eq!(sender("2001:db8:0:1::1"), sender("2001:db8:0:1:ffff::"));
        assert_ne!(sender("2001:db8:0:1::1"), sender("2001:db8:0:2::1"));
        assert_ne!(sender("1.2.3.4"), sender("1.2.3.5"));
        assert_eq!(sender("1.2.3.4"), sender("::ffff:1.2.3.4"));
    }
}
