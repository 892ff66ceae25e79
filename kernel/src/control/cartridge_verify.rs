//! `POST /api/system/cartridge/verify`, `fazt cartridge verify`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct VerifyCartridge(Node);

/// What a verification found.
#[derive(Serialize, JsonSchema)]
struct Verified {
    sound: bool,
    problems: Vec<String>,
    blobs: u64,
    blob_bytes: u64,
}

impl Operate for VerifyCartridge {
    type Input = NoInput;
    type Output = Verified;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Verified> {
        let found = self.0.core()?.cartridge.verify().await?;
        if !found.problems.is_empty() {
            let message = format!(
                "the cartridge is damaged: {}; restore a backup with `fazt cartridge restore`",
                found.problems.join("; ")
            );
            return Err(Error::internal(message.clone())
                .with_code("CARTRIDGE_DAMAGED")
                .with_details(serde_json::json!({ "problems": found.problems })));
        }
        Ok(Verified {
            sound: true,
            problems: found.problems,
            blobs: found.blobs,
            blob_bytes: found.blob_bytes,
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = VerifyCartridge(parts.node());
    parts
        .operation(
            Operation::post::<VerifyCartridge>("/api/system/cartridge/verify").unhurried().summary("Checks every page, reference and content hash of the cartridge").error("CARTRIDGE_DAMAGED"),
            run,
        )
        .command(
            Command::new("cartridge verify")
                .about("Check every page, reference and content hash")
                .calls("POST /api/system/cartridge/verify")
                .says("the cartridge is sound: {blobs} contents, {blob_bytes} bytes, all as their hashes say"),
        )
}
