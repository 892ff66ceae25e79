//! `GET /api/system/cartridge`, `fazt cartridge info`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::garbage;

struct CartridgeInfo(Node);

/// What takes up the space.
#[derive(Serialize, JsonSchema)]
struct Info {
    path: String,
    file_bytes: u64,
    wal_bytes: u64,
    free_bytes: u64,
    /// Number of the kernel's schema.
    schema: u32,
    blobs: u64,
    blob_bytes: u64,
    events: u64,
    /// Contents that nobody refers to.
    garbage: GarbageInfo,
    tables: Vec<TableRow>,
}

/// How contents are deleted that nobody refers to.
#[derive(Serialize, JsonSchema)]
struct GarbageInfo {
    /// When all content was last looked at, in milliseconds since 1970; nothing while a round runs and
    /// before the first.
    finished_at_ms: Option<u64>,
    /// How many contents that round looked at.
    seen: u64,
    /// How many it deleted.
    deleted: u64,
    /// Bytes of those.
    deleted_bytes: u64,
    /// Plugins that store content and do not run, so that nobody knows what they refer to: nothing is
    /// deleted.
    blocked_by: Vec<String>,
}

/// A table.
#[derive(Serialize, JsonSchema)]
struct TableRow {
    owner: String,
    name: String,
    rows: u64,
    bytes: u64,
}

impl Operate for CartridgeInfo {
    type Input = NoInput;
    type Output = Info;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Info> {
        let core = self.0.core()?;
        let info = core.cartridge.info().await?;
        let progress = garbage::progress(&core).await?;
        let blocked_by = garbage::missing_referrers(&core).await?;
        let tables = info.owners.iter().flat_map(|(owner, tables)| {
            tables.iter().map(|table| TableRow {
                owner: owner.clone(),
                name: table.name.clone(),
                rows: table.rows,
                bytes: table.bytes,
            })
        });
        Ok(Info {
            garbage: GarbageInfo {
                finished_at_ms: Some(progress.finished_at_ms).filter(|at| *at != 0),
                seen: progress.seen,
                deleted: progress.deleted,
                deleted_bytes: progress.deleted_bytes,
                blocked_by,
            },
            path: core.cartridge.path().display().to_string(),
            file_bytes: info.file_bytes,
            wal_bytes: info.wal_bytes,
            free_bytes: info.free_bytes,
            schema: info.schema,
            blobs: info.blobs,
            blob_bytes: info.blob_bytes,
            events: info.events,
            tables: tables.collect(),
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    use fazt_sdk::command::Format;
    let run = CartridgeInfo(parts.node());
    parts
        .operation(
            Operation::get::<CartridgeInfo>("/api/system/cartridge")
                .summary("What takes up the space of the cartridge"),
            run,
        )
        .command(
            Command::new("cartridge info")
                .about("Show what takes up the space of the cartridge")
                .calls("GET /api/system/cartridge")
                .column("PATH", "path")
                .column_as("FILE", "file_bytes", Format::Bytes)
                .column_as("LOG", "wal_bytes", Format::Bytes)
                .column_as("FREE", "free_bytes", Format::Bytes)
                .column("SCHEMA", "schema")
                .column("BLOBS", "blobs")
                .column_as("CONTENT", "blob_bytes", Format::Bytes)
                .column("EVENTS", "events"),
        )
}
