//! `fazt.blob-refs/1`: the content that objects have.

use fazt_sdk::Result;
use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::services::BlobRefs;

use super::store;
use crate::reading;

/// The contributor.
#[derive(Debug)]
pub(crate) struct References {
    pub(crate) cartridge: Cartridge,
}

impl BlobRefs for References {
    async fn in_use(&self, _: &Call, hashes: &[[u8; 32]]) -> Result<Vec<bool>> {
        let hashes = hashes.to_vec();
        reading::read(&self.cartridge, move |reader| {
            hashes.iter().map(|hash| store::refers_to(reader, hash)).collect()
        })
        .await
    }
}
