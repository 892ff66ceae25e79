//! `POST /api/system/cartridge/vacuum`, `fazt cartridge vacuum`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct VacuumCartridge(Node);

/// The file before and after.
#[derive(Serialize, JsonSchema)]
struct Vacuumed {
    bytes_before: u64,
    bytes_after: u64,
}

impl Operate for VacuumCartridge {
    type Input = NoInput;
    type Output = Vacuumed;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vacuumed> {
        let core = self.0.core()?;
        let bytes_before = core.cartridge.info().await?.file_bytes;
        core.cartridge.vacuum().await?;
        let bytes_after = core.cartridge.info().await?.file_bytes;
        Ok(Vacuumed { bytes_before, bytes_after })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = VacuumCartridge(parts.node());
    let operation = Operation::post::<VacuumCartridge>("/api/system/cartridge/vacuum").unhurried();
    parts
        .operation(operation.summary("Gives free space in the cartridge back to the disk"), run)
        .command(
            Command::new("cartridge vacuum")
                .about("Give free space in the cartridge back to the disk; writes wait meanwhile")
                .calls("POST /api/system/cartridge/vacuum")
                .says("the file had {bytes_before} bytes and has {bytes_after} now"),
        )
}
