//! The SQL of the settings.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use fazt_sdk::{Error, Result};
use serde_json::Value as Json;

use crate::cartridge::{Cartridge, Owner, Value};

/// All stored settings.
pub(super) async fn all(cartridge: &Cartridge) -> Result<BTreeMap<String, Json>> {
    let rows = cartridge.scan_value(&Owner::kernel(), |reader| {
        let mut rows = Vec::new();
        reader.query("SELECT name, value FROM setting", &[], &mut |row| {
            if let (Ok(name), Ok(value)) = (row.text(0), row.text(1)) {
                rows.push((name.to_owned(), value.to_owned()));
            }
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    });
    let rows = rows.await?;
    rows.into_iter()
        .map(|(name, value)| {
            let json = serde_json::from_str(&value).map_err(|error| {
                Error::internal(format!("the setting {name} is stored as `{value}`: {error}"))
            })?;
            Ok((name, json))
        })
        .collect()
}

/// Stores one setting; `committed` runs after the sync, in the order of the commits.
pub(super) async fn put(
    cartridge: &Cartridge,
    name: &str,
    value: &Json,
    committed: impl Fn() + Send + Sync + 'static,
) -> Result<()> {
    let (name, value, committed) = (name.to_owned(), value.to_string(), Arc::new(committed));
    let stored = cartridge.write_value(&Owner::kernel(), None, move |tx| {
        tx.execute(
            "INSERT INTO setting (name, value, changed_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET value = ?2, changed_at = ?3",
            &[Value::Text(&name), Value::Text(&value), Value::Integer(tx.now_ms())],
        )?;
        let committed = Arc::clone(&committed);
        tx.on_commit(Box::new(move || committed()));
        Ok(())
    });
    stored.await.map_err(Error::from)
}
