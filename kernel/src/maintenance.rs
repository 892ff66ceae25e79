//! What the node does for its cartridge now and then: forget what nobody needs any more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::Result;

use crate::cartridge::Owner;
use crate::core::Core;

/// How often.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// How often uploads are looked for that broke off: a client that left has its space given back.
const UPLOADS_INTERVAL: Duration = Duration::from_secs(5);

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
    let uploads = node.clone();
    core.tasks.every("uploads", UPLOADS_INTERVAL, move || give_up_uploads(uploads.clone()))?;
    core.tasks.every("maintenance", INTERVAL, move || round(node.clone()))
}

/// Deletes what arrived of uploads that were dropped.
async fn give_up_uploads(node: Weak<Core>) -> Result<()> {
    let Some(core) = node.upgrade() else { return Ok(()) };
    let dropped = core.cartridge.dropped_uploads();
    if dropped.is_empty() {
        return Ok(());
    }
    let marked = core.cartridge.write_value(&Owner::kernel(), None, move |tx| {
        dropped.iter().try_for_each(|id| tx.abandon_upload(*id))?;
        Ok(())
    });
    marked.await?;
    sweep_uploads(&core).await
}

/// Deletes abandoned uploads, one short write at a time.
///
/// # Errors
/// What the cartridge says.
pub(crate) async fn sweep_uploads(core: &Core) -> Result<()> {
    loop {
        let swept = core.cartridge.write_value(&Owner::kernel(), None, |tx| {
            Ok(tx.delete_abandoned_uploads(ROWS_PER_ROUND)?)
        });
        if !swept.await?.more {
            return Ok(());
        }
    }
}

async fn round(node: Weak<Core>) -> Result<()> {
    let Some(core) = node.upgrade() else { return Ok(()) };
    let before_ms =
        core.now_ms().saturating_sub(u64::try_from(EVENTS_KEPT.as_millis()).unwrap_or(u64::MAX));
    let before_ms = i64::try_from(before_ms).unwrap_or(i64::MAX);
    let removed = core.cartridge.write_value(&Owner::kernel(), None, move |tx| {
        tx.prune_events(before_ms, ROWS_PER_ROUND)?;
        Ok(())
    });
    removed.await?;
    crate::jobs::prune(&core, ROWS_PER_ROUND).await?;
    sweep_uploads(&core).await
}
