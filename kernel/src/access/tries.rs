//! Tries of the password: few from one network, and a bound on all together.
//!
//! There is one account, so a bound on all tries alone would let strangers lock its owner out. A
//! network from which the owner signed in is free of that bound, and sign-in links know no tries.

use std::collections::HashMap;
use std::time::Duration;

use fazt_sdk::{Error, Result};

/// Counts over windows of this length.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Tries from one network in one window.
const FROM_ONE_MAX: u32 = 10;

/// Tries from all networks that are not known, in one window. Also bounds the table.
const FROM_STRANGERS_MAX: u32 = 1_000;

/// Networks that are remembered because the owner signed in from there.
const KNOWN_MAX: usize = 32;

/// An address as 16 bytes of IPv6, IPv4 mapped.
pub(crate) type Client = [u8; 16];

/// The part of an address that one household has: an IPv4 address, an IPv6 /64.
type Network = [u8; 16];

/// What was tried lately.
#[derive(Debug, Default)]
pub(super) struct Tries {
    networks: HashMap<Network, Window>,
    strangers: Window,
    /// The latest last.
    known: Vec<Network>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    began: Duration,
    tries: u32,
}

impl Window {
    fn is_over(self, now: Duration) -> bool {
        self.tries == 0 || now.saturating_sub(self.began) >= WINDOW
    }

    /// Counts one more, unless there were `max` already.
    fn count(&mut self, now: Duration, max: u32) -> bool {
        if self.is_over(now) {
            *self = Self { began: now, tries: 0 };
        }
        let more = self.tries < max;
        self.tries += u32::from(more);
        more
    }
}

impl Tries {
    /// Counts a try at the monotonic time `now`.
    ///
    /// # Errors
    /// `Busy` when there were too many.
    pub(super) fn count(&mut self, client: Client, now: Duration) -> Result<()> {
        let network = network(client);
        self.networks.retain(|_, window| !window.is_over(now));
        let too_many = || {
            Error::busy("too many tries; wait a quarter of an hour, or sign in with `fazt server login-link`").with_code("TOO_MANY_TRIES")
        };
        if self.networks.get(&network).is_some_and(|window| window.tries >= FROM_ONE_MAX) {
            return Err(too_many());
        }
        if !self.known.contains(&network) && !self.strangers.count(now, FROM_STRANGERS_MAX) {
            return Err(too_many());
        }
        self.networks.entry(network).or_default().count(now, FROM_ONE_MAX);
        Ok(())
    }

    /// The owner signed in from there.
    pub(super) fn succeeded(&mut self, client: Client) {
        let network = network(client);
        self.networks.remove(&network);
        self.known.retain(|known| *known != network);
        self.known.push(network);
        if self.known.len() > KNOWN_MAX {
            self.known.remove(0);
        }
    }
}

fn network(mut client: Client) -> Network {
    const IPV4_MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    if !client.starts_with(&IPV4_MAPPED) {
        client[8..].fill(0);
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Client {
        match text.parse().unwrap() {
            std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(ip) => ip.octets(),
        }
    }

    fn stranger(number: u32) -> Client {
        std::net::Ipv4Addr::from(0x0a00_0000 + number).to_ipv6_mapped().octets()
    }

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn one_network_has_ten_tries_in_a_quarter_of_an_hour() {
        let mut tries = Tries::default();
        for number in 0..10 {
            let from = address(&format!("2001:db8::{number}"));
            assert!(tries.count(from, NOW).is_ok());
        }
        let error = tries.count(address("2001:db8::ffff"), NOW).unwrap_err();
        assert_eq!(error.code(), "TOO_MANY_TRIES");
        assert!(tries.count(address("2001:db8:0:1::1"), NOW).is_ok());
        assert!(tries.count(address("2001:db8::1"), NOW + WINDOW).is_ok());
    }

    #[test]
    fn strangers_do_not_lock_out_whoever_signed_in_before() {
        let (mut tries, home) = (Tries::default(), address("192.0.2.1"));
        tries.count(home, NOW).unwrap();
        tries.succeeded(home);
        let passed = (0..5_000).filter(|from| tries.count(stranger(*from), NOW).is_ok()).count();
        assert!((990..=1_000).contains(&passed), "{passed}");
        assert!(tries.count(address("192.0.2.2"), NOW).is_err());
        assert!(tries.count(home, NOW).is_ok());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut tries = Tries::default();
        for round in 0..5_u32 {
            let now = NOW + WINDOW * round;
            for from in 0..5_000 {
                drop(tries.count(stranger(round * 5_000 + from), now));
            }
            assert!(tries.networks.len() <= 2_000, "{}", tries.networks.len());
        }
        for from in 0..100 {
            tries.succeeded(stranger(from));
        }
        assert_eq!(tries.known.len(), KNOWN_MAX);
    }
}
