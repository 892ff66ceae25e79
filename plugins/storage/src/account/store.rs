//! `storage_app`: one row for each app that keeps something.

use fazt_sdk::cartridge::Query;
use fazt_sdk::prelude::{Error, Transaction};
use fazt_sdk::services::app_data::Usage;
use fazt_sdk::{Result, params};

use super::{Counted, Delta, Limits};

const KV: &str = "INSERT INTO storage_app (app, version, kv_count, kv_bytes) VALUES (?1, 1, ?2, ?3) \
     ON CONFLICT (app) DO UPDATE SET version = version + 1, kv_count = kv_count + ?2, \
     kv_bytes = kv_bytes + ?3 RETURNING version, kv_count, kv_bytes";
const DOCUMENTS: &str = "INSERT INTO storage_app (app, version, document_count, document_bytes) VALUES (?1, 1, ?2, ?3) \
     ON CONFLICT (app) DO UPDATE SET version = version + 1, document_count = document_count + ?2, \
     document_bytes = document_bytes + ?3 RETURNING version, document_count, document_bytes";
const OBJECTS: &str = "INSERT INTO storage_app (app, version, object_count, object_bytes) VALUES (?1, 1, ?2, ?3) \
     ON CONFLICT (app) DO UPDATE SET version = version + 1, object_count = object_count + ?2, \
     object_bytes = object_bytes + ?3 RETURNING version, object_count, object_bytes";

/// Books `delta` on the app and returns the version of this write.
pub(crate) fn charge(
    transaction: &Transaction<'_>,
    app: &str,
    counted: Counted,
    delta: Delta,
    limits: &Limits,
) -> Result<u64> {
    let sql = match counted {
        Counted::Kv => KV,
        Counted::Documents => DOCUMENTS,
        Counted::Objects => OBJECTS,
    };
    let booked = transaction
        .first(sql, params![app, delta.count, delta.bytes], |row| row.read::<(u64, i64, i64)>())?;
    let (version, count, bytes) =
        booked.ok_or_else(|| Error::internal("booking a write returned no row"))?;
    limits.quota(counted).check(delta, count, bytes)?;
    Ok(version)
}

/// What the app keeps.
pub(crate) fn usage(reader: &impl Query, app: &str) -> Result<Vec<Usage>> {
    let counts = reader.first(
        "SELECT kv_count, kv_bytes, document_count, document_bytes, object_count, object_bytes \
         FROM storage_app WHERE app = ?1",
        params![app],
        |row| row.read::<(u64, u64, u64, u64, u64, u64)>(),
    )?;
    let (keys, key_bytes, documents, document_bytes, objects, object_bytes) =
        counts.unwrap_or_default();
    let usage = |what: &str, count, bytes| Usage { what: what.to_owned(), count, bytes };
    Ok(vec![
        usage("keys", keys, key_bytes),
        usage("documents", documents, document_bytes),
        usage("objects", objects, object_bytes),
    ])
}

/// Forgets an app whose data is gone.
pub(crate) fn forget(transaction: &Transaction<'_>, app: &str) -> Result<()> {
    transaction.execute("DELETE FROM storage_app WHERE app = ?1", params![app]).map(drop)
}

/// Notes that the data of `app` is to be removed.
pub(crate) fn condemn(transaction: &Transaction<'_>, app: &str) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO storage_removal (app) VALUES (?1) ON CONFLICT DO NOTHING",
            params![app],
        )
        .map(drop)
}

/// Apps whose data is to be removed.
pub(crate) fn condemned(reader: &impl Query) -> Result<Vec<String>> {
    reader.all("SELECT app FROM storage_removal LIMIT 100", &[], |row| row.get(0))
}

/// The data of `app` is gone.
pub(crate) fn removed(transaction: &Transaction<'_>, app: &str) -> Result<()> {
    forget(transaction, app)?;
    transaction.execute("DELETE FROM storage_removal WHERE app = ?1", params![app]).map(drop)
}
