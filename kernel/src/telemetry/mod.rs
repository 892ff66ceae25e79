//! The node's own log and counters.
//!
//! A record is one line of JSON on standard error, or one plain line on a terminal. Records are
//! cut at 8 KiB, and control characters are escaped, so that no input can forge a line.

mod access_log;
pub(crate) mod metrics;

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fazt_sdk::Error;

use crate::clock::Clock;
use crate::edge::Figures;
use access_log::AccessLog;

/// How urgent a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed that somebody should look at.
    Error = 1,
    /// Odd but handled.
    Warn = 2,
    /// An owner wants to know.
    Info = 3,
    /// For whoever looks for a fault.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

impl Level {
    /// The level of that number; out of range is the nearest.
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 | 1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The longest record, in bytes.
const RECORD_BYTES_MAX: usize = 8 * 1024;

/// The code of an error that was a panic.
const PANIC_CODE: &str = "PANIC";

/// The classes of statuses (RFC 9110 §15).
pub(crate) const RESPONSE_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters that only go up.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests that were answered, by the class of the status: as in [`RESPONSE_CLASSES`].
    pub(crate) responses: [AtomicU64; RESPONSE_CLASSES.len()],
    /// Lines of the access log that were dropped because its queue was full.
    pub(crate) access_dropped: AtomicU64,
    /// Panics that were caught anywhere. A healthy node shows 0.
    pub(crate) panics: AtomicU64,
    /// Events that were dropped because a listener's queue was full.
    pub(crate) events_dropped: AtomicU64,
}

impl Counters {
    /// Counts an answer.
    pub(crate) fn count_response(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.responses.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests that were answered.
    pub(crate) fn requests(&self) -> u64 {
        self.responses.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// Asks the edge what happened so far; nothing when it is gone.
type EdgeFigures = Box<dyn Fn() -> Option<Figures> + Send + Sync>;

/// Log and counters of one node.
pub(crate) struct Telemetry {
    clock: Arc<dyn Clock>,
    least_urgent: Level,
    terminal: bool,
    /// The counters.
    pub(crate) counters: Counters,
    /// One line for each request, if the owner wants that.
    pub(crate) access_log: AccessLog,
    edge: OnceLock<EdgeFigures>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Telemetry")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Logs records up to `least_urgent` to standard error.
    #[must_use]
    pub(crate) fn new(clock: Arc<dyn Clock>, least_urgent: Level) -> Self {
        Self {
            clock,
            least_urgent,
            terminal: std::io::stderr().is_terminal(),
            counters: Counters::default(),
            access_log: AccessLog::default(),
            edge: OnceLock::new(),
        }
    }

    /// From now on figures of the edge are `figures`. The first edge of a node is the one.
    pub(crate) fn watch_edge(&self, figures: impl Fn() -> Option<Figures> + Send + Sync + 'static) {
        drop(self.edge.set(Box::new(figures)));
    }

    /// Figures of the edge; nothing while the node does not listen.
    pub(crate) fn edge_figures(&self) -> Option<Figures> {
        self.edge.get()?()
    }

    /// Writes down a failure, and counts it when it is a panic that was caught.
    pub(crate) fn failure(&self, source: &str, message: &str, error: &Error, fields: &str) {
        if error.code() == PANIC_CODE {
            self.counters.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.log(Level::Error, source, message, fields);
    }

    /// Writes one record. `fields` is a JSON object or empty. Blocks for one write to standard error.
    pub(crate) fn log(&self, level: Level, source: &str, message: &str, fields: &str) {
        if level > self.least_urgent {
            return;
        }
        let mut line = if self.terminal {
            format!("{:5} {source}: {} {fields}", level.name(), message.escape_debug())
        } else {
            let mut record = serde_json::json!({
                "at_ms": self.clock.unix_ms(),
                "level": level.name(),
                "source": source,
                "message": message,
            });
            if let (Some(record), Ok(fields)) =
                (record.as_object_mut(), serde_json::from_str::<serde_json::Value>(fields))
            {
                record.insert("fields".to_owned(), fields);
            }
            record.to_string()
        };
        if line.len() > RECORD_BYTES_MAX {
            let cut =
                (0..=RECORD_BYTES_MAX).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(cut);
        }
        line.push('\n');
        // A log that cannot be written has nowhere to say so.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}
