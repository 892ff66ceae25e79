//! Removing what has expired, in batches that hold up no other write for long.

use fazt_sdk::Result;

use super::{Values, store};

/// Values that one write removes.
const BATCH_ROWS: u32 = 500;

impl Values {
    /// Removes everything that has expired by now.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let (now_ms, limits) = (self.clock.unix_ms(), self.limits);
        loop {
            let removed = self.cartridge.write(None, move |transaction| {
                store::remove_expired(transaction, now_ms, BATCH_ROWS, &limits)
            });
            if removed.await? < BATCH_ROWS as usize {
                return Ok(());
            }
        }
    }
}
