//! Which addresses are public, and which are the machine's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Addresses of IPv4 that are not somebody's public server (RFC 6890 and its registry): first
/// address and length of the prefix.
const NOT_PUBLIC_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The part of IPv6 that is given out at all (RFC 4291 §2.4).
const PUBLIC_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of it is none the less no public server: tunnels that carry an IPv4 address inside, tests,
/// documentation.
const NOT_PUBLIC_V6: [([u16; 8], u32); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// Whether the address is one of the public Internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|(first, prefix)| {
            let distance = u32::from(address) ^ u32::from(Ipv4Addr::from(*first));
            distance.leading_zeros() >= *prefix
        }),
        IpAddr::V6(address) => {
            let within = |(first, prefix): &([u16; 8], u32)| {
                let distance = u128::from(address) ^ u128::from(Ipv6Addr::from(*first));
                distance.leading_zeros() >= *prefix
            };
            within(&PUBLIC_V6) && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

/// Whether the address is one of this machine. Sends nothing: a socket that is told to talk to an
/// address of its own machine gets that address itself.
pub(crate) fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() {
        return false;
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, DISCARD_PORT))?;
        Ok(socket.local_addr()?.ip())
    };
    own().is_ok_and(|own| own == address)
}

/// Any port will do: nothing is sent (RFC 863).
const DISCARD_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00::1",
            "2001:200::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn everything_else_is_not_however_it_is_written() {
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "203.0.113.9",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "100::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        for other in ["192.0.2.7", "0.0.0.0", "224.0.0.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_the_standard_library_calls_special_is_never_public(bits: u32, wide: u128) {
            let short = Ipv4Addr::from(bits);
            let special = short.is_private() || short.is_loopback() || short.is_link_local()
                || short.is_broadcast() || short.is_documentation() || short.is_unspecified()
                || short.is_multicast();
            prop_assert!(!(special && is_public(short.into())), "{}", short);
            prop_assert_eq!(is_public(short.into()), is_public(short.to_ipv6_mapped().into()));
            let long = Ipv6Addr::from(wide);
            let special = long.is_loopback() || long.is_multicast() || long.is_unique_local()
                || long.is_unicast_link_local() || long.is_unspecified();
            prop_assert!(!(special && is_public(long.into())), "{}", long);
        }
    }
}
