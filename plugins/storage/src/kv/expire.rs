//! Removing what has expired, in batches that hold up no other write for long.

use fazt_sdk::Result;

use super::{Values, store};
use crate::pace::Pace;

impl Values {
    /// Removes everything that has expired by now.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let (now_ms, limits) = (self.clock.unix_ms(), self.limits);
        let mut pace = Pace::new(&self.clock);
        loop {
            let rows = pace.rows();
            let removed = self.cartridge.write(None, move |transaction| {
                store::remove_expired(transaction, now_ms, rows, &limits)
            });
            if pace.take(removed).await? < u64::from(rows) {
                return Ok(());
            }
        }
    }
}
