//! The limits of the edge: one number each, with a name, a unit, a default and a sentence.
//!
//! The kernel turns [`Limits::TABLE`] into the settings `edge.*`; each limit is broken by a client
//! in the tests. All are plain numbers, so that the table can read and write them by name.

use fazt_sdk::{Error, Result};

/// The unit of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// A number of things.
    Count,
}

/// One limit: all that a setting needs.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The name; the setting is `edge.` and this.
    pub name: &'static str,
    /// The unit of the number.
    pub unit: Unit,
    /// The default.
    pub default: u64,
    /// The smallest value that is accepted.
    pub min: u64,
    /// The largest value that is accepted.
    pub max: u64,
    /// One sentence.
    pub doc: &'static str,
    read: fn(&Limits) -> u64,
    write: fn(&mut Limits, u64),
}

macro_rules! limits {
    ($( $doc:literal $name:ident: $unit:ident = $default:expr, $min:expr => $max:expr; )*) => {
        /// The limits of the edge.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $( #[doc = $doc] pub $name: u64, )*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }

        impl Limits {
            /// All limits, in the order of documentation.
            pub const TABLE: &'static [Limit] = &[
                $( Limit {
                    name: stringify!($name),
                    unit: Unit::$unit,
                    default: $default,
                    min: $min,
                    max: $max,
                    doc: $doc,
                    read: |limits| limits.$name,
                    write: |limits, value| limits.$name = value,
                }, )*
            ];
        }
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

limits! {
    "Largest head of a request: request line and header fields together; 431 above."
    header_bytes: Bytes = 32 * KIB, 8 * KIB => MIB;
    "Most header fields of a request; 431 above."
    header_fields: Count = 100, 8 => 1_000;
    "Longest request target; 414 above."
    uri_bytes: Bytes = 8 * KIB, 256 => 64_000;
    "Largest request body where a route says nothing else; 413 above."
    body_bytes: Bytes = MIB, 0 => 64 * GIB;
    "Time from the first byte of a request, or from the accepted connection, to the end of its head."
    header_ms: Milliseconds = 10 * SECOND, 100 => HOUR;
    "Time that a connection may stay open between two requests."
    idle_ms: Milliseconds = 60 * SECOND, 100 => 24 * HOUR;
    "Least that a request body must bring per second, measured over `body_window_ms` of waiting."
    body_rate: BytesPerSecond = KIB, 0 => GIB;
    "Time spent waiting for a request body over which its rate is measured."
    body_window_ms: Milliseconds = 10 * SECOND, 100 => HOUR;
    "Time without progress after which a response that the client does not read is given up."
    write_ms: Milliseconds = 30 * SECOND, 100 => HOUR;
    "Least that a client must take of a response per second, measured over `write_window_ms` of waiting."
    write_rate: BytesPerSecond = KIB, 0 => GIB;
    "Time spent waiting for a client to take a response over which its rate is measured."
    write_window_ms: Milliseconds = 30 * SECOND, 100 => HOUR;
    "Time until the head of the response must be there, not counting time spent waiting for the client; 504 after."
    request_ms: Milliseconds = 30 * SECOND, 10 => 24 * HOUR;
    "Open connections of one address (IPv4 /32, IPv6 /64); further ones are closed."
    connections_per_address: Count = 256, 1 => 1_000_000;
    "Open connections in all; 0 derives it from the process's limit of open files."
    connections: Count = 0, 0 => 10_000_000;
    "Requests per second of one address (IPv4 /32, IPv6 /64) over time; 429 above. 0 limits nothing."
    requests_per_second: Count = 0, 0 => 1_000_000;
    "Requests that one address may make at once before `requests_per_second` holds."
    request_burst: Count = 200, 1 => 1_000_000;
    "Largest WebSocket message, in either direction; the connection is closed with 1009 above."
    socket_message_bytes: Bytes = MIB, 125 => GIB;
    "Bytes queued towards one WebSocket client; the connection is closed with 1013 above."
    socket_buffer_bytes: Bytes = MIB, 125 => GIB;
    "Time between two pings of a WebSocket; two unanswered ones close it."
    socket_ping_ms: Milliseconds = 30 * SECOND, 50 => HOUR;
    "Time that running requests get when the server stops."
    drain_ms: Milliseconds = 10 * SECOND, 0 => HOUR;
}

/// Open files that are not connections: the cartridge, listeners, libraries, outbound requests.
const FILES_KEPT: u64 = 256;

impl Limits {
    /// Sets the limit called `name`.
    ///
    /// # Errors
    /// `NotFound` for an unknown name, `Invalid` for a value out of bounds; both name the remedy.
    pub fn set(&mut self, name: &str, value: u64) -> Result<()> {
        let limit = Self::TABLE
            .iter()
            .find(|limit| limit.name == name)
            .ok_or_else(|| Error::not_found(format!("the edge has no limit `{name}`")))?;
        if !(limit.min..=limit.max).contains(&value) {
            return Err(Error::invalid(format!(
                "edge.{name} is {value}; it must lie between {} and {}",
                limit.min, limit.max
            )));
        }
        (limit.write)(self, value);
        Ok(())
    }

    /// The value of the limit called `name`; nothing when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        Self::TABLE.iter().find(|limit| limit.name == name).map(|limit| (limit.read)(self))
    }

    /// Most open connections, with 0 replaced by what the process's limit of open files leaves.
    #[must_use]
    pub fn connections_allowed(&self) -> usize {
        let allowed = if self.connections == 0 {
            let files = rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .current
                .unwrap_or(u64::MAX);
            // A tiny limit still leaves half for connections, or nothing could be served at all.
            files.saturating_sub(FILES_KEPT).max(files / 2).clamp(1, 1_000_000)
        } else {
            self.connections
        };
        usize::try_from(allowed).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_within_its_bounds_and_is_reached_by_name() {
        let mut limits = Limits::default();
        for limit in Limits::TABLE {
            assert!((limit.min..=limit.max).contains(&limit.default), "{}", limit.name);
            assert_eq!(limits.get(limit.name), Some(limit.default));
            limits.set(limit.name, limit.max).unwrap();
            assert_eq!(limits.get(limit.name), Some(limit.max), "{}", limit.name);
            assert!(limits.set(limit.name, limit.max + 1).is_err(), "{}", limit.name);
            assert!(limit.doc.ends_with('.'), "{}", limit.name);
        }
    }

    /// The figures are those that the tests cannot wait for; that the limits hold, they see.
    #[test]
    fn the_defaults_end_slow_clients_as_early_as_is_promised() {
        let limits = Limits::default();
        let sweep = 2 * SECOND;
        assert!(limits.header_ms + sweep <= 15 * SECOND, "a head that trickles");
        // What came before pays for one window; the next one is measured.
        assert!(2 * limits.body_window_ms + sweep <= 30 * SECOND, "a body that trickles");
        assert!(2 * limits.write_window_ms.max(limits.write_ms) + sweep <= 75 * SECOND, "reading");
        assert!(limits.idle_ms + sweep <= 75 * SECOND, "an idle connection");
        assert!(limits.body_rate > 1 && limits.write_rate > 1);
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        assert!(Limits::default().set("heder_bytes", 1).is_err());
        assert_eq!(Limits::default().get("heder_bytes"), None);
    }

    #[test]
    fn the_number_of_connections_is_never_zero() {
        let mut limits = Limits::default();
        assert!(limits.connections_allowed() > 0);
        limits.connections = 7;
        assert_eq!(limits.connections_allowed(), 7);
    }
}
