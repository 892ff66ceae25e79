//! Content on its way into the cartridge.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RResult, RVec};
use bytes::Bytes;
use fazt_abi::FfiFuture;
use fazt_abi::bytes::RawBytes;
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::host::{RawUpload, Upload};
use fazt_sdk::{Error, Result};
use tokio::sync::oneshot;

use super::{ready, to_raw};
use crate::Core;
use crate::cartridge::{
    AppKey, BlobHash, BlobUpload, Cartridge, CartridgeError, HashedContent, Owner, TxError,
};
use crate::registry::contained::stopped;
use crate::registry::service::Consumer;

/// The most that one batch of contents may hold together.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Contents of fewer bytes together are hashed on the calling thread: that takes less than waiting for
/// another one.
const HASHED_HERE_MAX: usize = 64 * 1024;

pub(super) fn put_blobs(
    core: &Core,
    owner: &Owner,
    app: Option<AppKey>,
    contents: Vec<Bytes>,
) -> FfiFuture<RResult<RVec<u8>, RawError>> {
    let bytes = contents.iter().map(Bytes::len).sum::<usize>();
    if bytes > BATCH_BYTES_MAX {
        return ready(Err(Error::too_large(format!(
            "a batch of contents holds more than {BATCH_BYTES_MAX} bytes; upload large ones by themselves"
        ))));
    }
    let (cartridge, owner) = (core.cartridge.clone(), owner.clone());
    if bytes <= HASHED_HERE_MAX {
        let contents = contents.into_iter().map(HashedContent::new).collect();
        let stored = store(&cartridge, &owner, app, contents);
        return guarded(async move { to_raw(stored.await) });
    }
    let (told, hashed) = oneshot::channel();
    let hashing = core.aside.blocking(move || {
        // Nobody is there any more who would store them.
        drop(told.send(contents.into_iter().map(HashedContent::new).collect()));
    });
    guarded(async move {
        let stored = async {
            hashing.await?;
            let contents = hashed.await.map_err(|_| Error::internal("hashing panicked"))?;
            store(&cartridge, &owner, app, contents).await
        };
        to_raw(stored.await)
    })
}

/// Stores contents in one write; returns their hashes, one after the other.
fn store(
    cartridge: &Cartridge,
    owner: &Owner,
    app: Option<AppKey>,
    contents: Vec<HashedContent>,
) -> impl Future<Output = Result<RVec<u8>>> + Send + use<> {
    let hashes: Vec<u8> = contents.iter().flat_map(|content| content.hash().0).collect();
    let written = cartridge.write(
        owner,
        app,
        Box::new(move |tx| {
            for content in &contents {
                tx.put_blob(content)?;
            }
            Ok(())
        }),
    );
    async move { written.await.map(|()| RVec::from(hashes)).map_err(Error::from) }
}

pub(super) fn begin(
    cartridge: &Cartridge,
    owner: &Owner,
    app: Option<AppKey>,
    consumer: Consumer,
) -> RawUpload {
    let upload = Mutex::new(Some(cartridge.upload_blob(owner, app)));
    RawUpload::new(Arc::new(Arriving { upload, consumer }))
}

/// The upload is taken out while a part is stored, so that no lock is held across an await. A part
/// whose future was dropped takes the upload with it.
struct Arriving {
    upload: Mutex<Option<BlobUpload>>,
    consumer: Consumer,
}

impl Arriving {
    fn take(&self) -> Result<BlobUpload> {
        if !self.consumer.alive.load(Ordering::Acquire) {
            return Err(stopped());
        }
        let taken = self.upload.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| {
            Error::conflict(
                "the upload is over: a part of it failed, was abandoned, or it was finished",
            )
        })
    }
}

impl Upload for Arriving {
    fn push(self: &Arc<Self>, content: RawBytes) -> FfiFuture<RResult<(), RawError>> {
        let this = Arc::clone(self);
        guarded(async move {
            let pushed = async {
                let mut upload = this.take()?;
                upload.push(content.as_slice()).await?;
                *this.upload.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
                Ok(())
            };
            to_raw(pushed.await)
        })
    }

    fn finish(self: &Arc<Self>) -> FfiFuture<RResult<RVec<u8>, RawError>> {
        let this = Arc::clone(self);
        guarded(async move {
            let finished = async { Ok(this.take()?.finish(None).await?) };
            to_raw(finished.await.map(|hash| RVec::from(hash.0.to_vec())))
        })
    }

    fn finish_as(self: &Arc<Self>, hash: &[u8; 32]) -> FfiFuture<RResult<(), RawError>> {
        let (this, hash) = (Arc::clone(self), BlobHash(*hash));
        guarded(async move {
            let finished = async {
                match this.take()?.finish(Some(hash)).await {
                    Err(CartridgeError::Tx(TxError::Aborted(why))) => {
                        Err(Error::invalid(why).with_code("HASH_MISMATCH"))
                    }
                    other => Ok(other.map(drop)?),
                }
            };
            to_raw(finished.await)
        })
    }
}
