//! What can be set when a cartridge is opened.

use std::{sync::Arc, time::Duration};

use crate::clock::{Clock, SystemClock};

/// Why a cartridge is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To serve: brings the kernel's schema up to date.
    Serve,
    /// For one command while no server runs: attaches, migrates nothing, and waits up to five seconds
    /// for another command to finish.
    Command,
}

/// Limits and choices of one open cartridge. Every bound has a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Leaves all checkpoints to a replicating tool such as Litestream. Default: no.
    pub external_checkpoint: bool,
    /// Length of the log at which new writes are refused, in bytes. Default: 256 MiB.
    pub wal_budget_bytes: u64,
    /// Largest size of the cartridge, in bytes; beyond it writes fail as on a full disk. Default: none.
    pub size_max_bytes: Option<u64>,
    /// Writes that may wait. Default: 4,096 closures.
    pub write_queue_closures: usize,
    /// Writes of one app that may wait. Default: 1,024 closures.
    pub write_queue_closures_per_app: usize,
    /// Closures that share one commit at most. Default: 256.
    pub batch_max_closures: usize,
    /// How long a read may take. Default: 5 ms.
    pub read_limit: Duration,
    /// How long a scan may take. Default: 5 s.
    pub scan_limit: Duration,
    /// Scans that may wait. Default: 64.
    pub scan_queue_scans: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            external_checkpoint: false,
            wal_budget_bytes: 256 * 1024 * 1024,
            size_max_bytes: None,
            write_queue_closures: 4_096,
            write_queue_closures_per_app: 1_024,
            batch_max_closures: 256,
            read_limit: Duration::from_millis(5),
            scan_limit: Duration::from_secs(5),
            scan_queue_scans: 64,
        }
    }
}
