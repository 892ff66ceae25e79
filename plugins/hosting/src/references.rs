//! `fazt.blob-refs/1`: the content that deployments refer to.

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::Call;
use fazt_sdk::services::BlobRefs;

use crate::store;

/// The contributor. Deployments that wait for their content count as well.
#[derive(Debug)]
pub(crate) struct References {
    pub(crate) cartridge: Cartridge,
}

impl BlobRefs for References {
    async fn in_use(&self, _: &Call, hashes: &[[u8; 32]]) -> Result<Vec<bool>> {
        let hashes = hashes.to_vec();
        let used = store::read(&self.cartridge, move |reader| {
            let used = hashes.iter().map(|hash| {
                Ok(store::is_content_used(reader, hash)? || store::is_variant(reader, hash)?)
            });
            used.collect::<Result<Vec<bool>>>()
        });
        used.await
    }
}
