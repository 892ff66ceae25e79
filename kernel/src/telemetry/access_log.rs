//! One line of JSON on standard output for each request that was answered.
//!
//! A request hands its record to a queue and goes on; a thread of its own writes. Past the queue's
//! bound records are dropped and counted, so that a slow reader of the log slows nobody else.

use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use fazt_sdk::{Error, Result};

use super::Telemetry;

/// Records that wait to be written.
const QUEUE_RECORDS: usize = 4_096;
/// The longest record, in bytes.
const RECORD_BYTES_MAX: usize = 8 * 1024;

/// The log; closed until it is opened.
#[derive(Debug, Default)]
pub(crate) struct AccessLog(OnceLock<SyncSender<String>>);

impl AccessLog {
    /// Whether records are wanted.
    pub(crate) fn is_open(&self) -> bool {
        self.0.get().is_some()
    }

    /// Starts to write. The thread ends with the log.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no thread.
    pub(crate) fn open(&self) -> Result<()> {
        let (sender, receiver) = sync_channel(QUEUE_RECORDS);
        std::thread::Builder::new()
            .name("fazt-access-log".to_owned())
            .spawn(move || write(&receiver))
            .map_err(|error| Error::unavailable(format!("start the access log: {error}")))?;
        // Opened twice is open.
        drop(self.0.set(sender));
        Ok(())
    }

    /// Queues a record, a JSON object. Never waits.
    pub(crate) fn record(&self, telemetry: &Arc<Telemetry>, record: &serde_json::Value) {
        let Some(sender) = self.0.get() else { return };
        let mut line = record.to_string();
        if line.len() > RECORD_BYTES_MAX {
            line = serde_json::json!({
                "at_ms": record["at_ms"],
                "status": record["status"],
                "request_id": record["request_id"],
                "cut": true,
            })
            .to_string();
        }
        line.push('\n');
        if sender.try_send(line).is_err() {
            telemetry.counters.access_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Writes what is there in one go.
fn write(receiver: &Receiver<String>) {
    while let Ok(mut lines) = receiver.recv() {
        while lines.len() < 64 * RECORD_BYTES_MAX
            && let Ok(line) = receiver.try_recv()
        {
            lines.push_str(&line);
        }
        let mut output = std::io::stdout().lock();
        // Standard output that is closed takes no records; the node goes on.
        drop(output.write_all(lines.as_bytes()).and_then(|()| output.flush()));
    }
}
