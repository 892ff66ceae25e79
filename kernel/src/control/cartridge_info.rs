//! `GET /api/system/cartridge`, `fazt cartridge info`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

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
    tables: Vec<TableRow>,
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
        let tables = info.owners.iter().flat_map(|(owner, tables)| {
            tables.iter().map(|table| TableRow {
                owner: owner.clone(),
                name: table.name.clone(),
                rows: table.rows,
                bytes: table.bytes,
            })
        });
        Ok(Info {
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
