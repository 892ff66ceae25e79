//! What the node does for its cartridge now and then: forget what nobody needs any more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::Result;

use crate::cartridge::Owner;
use crate::core::Core;

/// How often.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Events that every subscriber has dealt with are kept this long, for people.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The most rows of one kind that one round removes: it shares the writer with everybody.
const ROWS_PER_ROUND: u32 = 500;

/// Starts the rounds.
///
/// # Errors
/// When the kernel has too many tasks.
pub(crate) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.every("maintenance", INTERVAL, move || round(node.clone()))
}

async fn round(node: Weak<Core>) -> Result<()> {
    let Some(core) = node.upgrade() else { return Ok(()) };
    let before_ms =
        core.now_ms().saturating_sub(u64::try_from(EVENTS_KEPT.as_millis()).unwrap_or(u64::MAX));
    let before_ms = i64::try_from(before_ms).unwrap_or(i64::MAX);
    let removed = core.cartridge.write_value(&Owner::kernel(), None, move |tx| {
        tx.prune_events(before_ms, ROWS_PER_ROUND)?;
        tx.delete_abandoned_uploads(ROWS_PER_ROUND)?;
        Ok(())
    });
    Ok(removed.await?)
}
