//! The SQL of the plugin table.

use std::ops::ControlFlow;

use fazt_sdk::{Error, Result};

use crate::cartridge::{Cartridge, Owner, TxError, Value, WriteTx};

/// One row: a choice about a built-in plugin, or a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PluginRow {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) library: Option<LibraryRow>,
}

/// A library in the cartridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LibraryRow {
    pub(super) manifest: String,
    pub(super) hash: [u8; 32],
    pub(super) target: String,
}

/// All rows.
pub(super) async fn all(cartridge: &Cartridge) -> Result<Vec<PluginRow>> {
    let rows = cartridge.scan_value(&Owner::kernel(), |reader| {
        let mut rows = Ok(Vec::new());
        reader.query(
            "SELECT name, enabled, manifest, library, target FROM plugin ORDER BY name",
            &[],
            &mut |row| {
                let read = || -> Result<PluginRow, TxError> {
                    let library = if row.is_null(3) {
                        None
                    } else {
                        let hash = row.blob(3)?.try_into().map_err(|_| {
                            TxError::Aborted("the table plugin holds a damaged hash".to_owned())
                        })?;
                        Some(LibraryRow {
                            manifest: row.text(2)?.to_owned(),
                            hash,
                            target: row.text(4)?.to_owned(),
                        })
                    };
                    Ok(PluginRow {
                        name: row.text(0)?.to_owned(),
                        enabled: row.integer(1)? == 1,
                        library,
                    })
                };
                match (&mut rows, read()) {
                    (Ok(rows), Ok(row)) => rows.push(row),
                    (_, Err(error)) => {
                        rows = Err(error);
                        return ControlFlow::Break(());
                    }
                    (Err(_), Ok(_)) => {}
                }
                ControlFlow::Continue(())
            },
        )?;
        rows
    });
    rows.await.map_err(Error::from)
}

/// Remembers whether a plugin is enabled.
pub(super) fn set_enabled(tx: &WriteTx<'_>, name: &str, enabled: bool) -> Result<(), TxError> {
    tx.execute(
        "INSERT INTO plugin (name, enabled, changed_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET enabled = ?2, changed_at = ?3",
        &[Value::Text(name), Value::Integer(i64::from(enabled)), Value::Integer(tx.now_ms())],
    )?;
    Ok(())
}

/// Remembers a library.
pub(super) fn put_library(
    tx: &WriteTx<'_>,
    name: &str,
    library: &LibraryRow,
) -> Result<(), TxError> {
    tx.execute(
        "INSERT INTO plugin (name, enabled, manifest, library, target, changed_at) VALUES (?1, 1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (name) DO UPDATE SET enabled = 1, manifest = ?2, library = ?3, target = ?4, changed_at = ?5",
        &[Value::Text(name), Value::Text(&library.manifest), Value::Blob(&library.hash), Value::Text(&library.target), Value::Integer(tx.now_ms())],
    )?;
    Ok(())
}

/// Forgets a plugin. Whether it was known.
pub(super) fn delete(tx: &WriteTx<'_>, name: &str) -> Result<bool, TxError> {
    Ok(tx.execute("DELETE FROM plugin WHERE name = ?1", &[Value::Text(name)])? > 0)
}
