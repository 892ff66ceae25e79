//! The SQL of the sealing key.

use std::ops::ControlFlow;

use fazt_sdk::{Error, Result};

use crate::cartridge::{Cartridge, Owner, TxError, Value};

/// The sealing key of this cartridge; `fresh` becomes it when there is none yet.
pub(super) async fn sealing_key(cartridge: &Cartridge, fresh: [u8; 32]) -> Result<[u8; 32]> {
    let read = cartridge.write_value(&Owner::kernel(), None, move |tx| {
        tx.execute(
            "INSERT INTO meta (key, value) VALUES ('sealing_key', ?1) ON CONFLICT (key) DO NOTHING",
            &[Value::Blob(&fresh)],
        )?;
        let mut key = None;
        tx.query("SELECT value FROM meta WHERE key = 'sealing_key'", &[], &mut |row| {
            key = row.blob(0).ok().and_then(|bytes| bytes.try_into().ok());
            ControlFlow::Break(())
        })?;
        key.ok_or_else(|| {
            TxError::Aborted(
                "the sealing key in the cartridge is damaged; restore a backup".to_owned(),
            )
        })
    });
    read.await.map_err(Error::from)
}
