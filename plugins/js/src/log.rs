//! The logs of apps: lines are collected and written together, best effort.
//!
//! A line that is lost with the node's power is not worth a sync of its own. What comes faster than it
//! can be kept is dropped and counted.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fazt_js_engine::protocol::Level;
use fazt_sdk::host::Host;
use fazt_sdk::{AppId, Result};
use futures_channel::mpsc;
use futures_util::StreamExt as _;

use crate::store::Store;

/// Lines that may wait to be written, of all apps together.
const WAITING_MAX: usize = 20_000;

/// Bytes of a line's text; what is longer is cut.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// How long lines are collected.
const COLLECT: Duration = Duration::from_millis(200);

/// A line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) app: AppId,
    pub(crate) at_ms: u64,
    pub(crate) level: Level,
    /// Empty when it belongs to none.
    pub(crate) request_id: String,
    pub(crate) text: String,
}

/// Where lines go.
pub(crate) struct LogSink {
    waiting: Mutex<Waiting>,
    filled: mpsc::UnboundedSender<()>,
    listening: futures_util::lock::Mutex<mpsc::UnboundedReceiver<()>>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<Line>,
    dropped: u64,
}

impl LogSink {
    pub(crate) fn new() -> Self {
        let (filled, listening) = mpsc::unbounded();
        Self {
            waiting: Mutex::default(),
            filled,
            listening: futures_util::lock::Mutex::new(listening),
        }
    }

    /// Takes a line; never waits.
    pub(crate) fn add(&self, mut line: Line) {
        cut(&mut line.text);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() >= WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.push(line);
        drop(waiting);
        if is_first {
            drop(self.filled.unbounded_send(()));
        }
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what was collected, for ever.
    ///
    /// # Errors
    /// What the cartridge says; the lines at hand are lost then.
    pub(crate) async fn run(
        &self,
        host: &Host,
        store: &Store,
        rows: u64,
        bytes: u64,
    ) -> Result<()> {
        let mut listening = self.listening.lock().await;
        while listening.next().await.is_some() {
            host.clock().sleep(COLLECT).await;
            self.write(host, store, rows, bytes).await?;
        }
        Ok(())
    }

    /// Writes what is there.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn write(
        &self,
        host: &Host,
        store: &Store,
        rows: u64,
        bytes: u64,
    ) -> Result<()> {
        let Waiting { lines, dropped } = self.take();
        if dropped > 0 {
            let message = format!("{dropped} log lines of apps were dropped: they came too fast");
            host.log().warn(&message, fazt_sdk::Json::Null);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let apps: BTreeSet<AppId> = lines.iter().map(|line| line.app).collect();
        store.add_lines(lines).await?;
        for app in apps {
            store.prune_log(app, rows, bytes).await?;
        }
        Ok(())
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        let mut text = "é".repeat(TEXT_BYTES_MAX);
        cut(&mut text);
        assert!(text.len() <= TEXT_BYTES_MAX + '…'.len_utf8());
        assert!(text.ends_with('…'));
    }
}
