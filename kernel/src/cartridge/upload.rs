//! Content that arrives bit by bit, and content that is sent bit by bit.

use sha2::{Digest as _, Sha256};

use super::{
    AppKey, Cartridge,
    blobs::{BlobHash, BlobInfo, CHUNK_BYTES, read_at},
    collect::BlobPin,
    error::{CartridgeError, SqlError, SqlErrorKind, TxError},
    owner::Owner,
};

/// Content on its way in. Holds at most one chunk in memory and commits each chunk by itself, so that
/// a large file neither fills the log nor holds up other writers.
///
/// Nothing is visible before [`BlobUpload::finish`]. An upload that is dropped leaves parts behind;
/// [`Cartridge::dropped_uploads`] names it to whoever removes them.
#[derive(Debug)]
pub struct BlobUpload {
    cartridge: Cartridge,
    owner: Owner,
    app: Option<AppKey>,
    hasher: Sha256,
    id: Option<i64>,
    chunks: u64,
    size: u64,
    buffer: Vec<u8>,
    /// A chunk is on its way; stays set when the future that waited for it was dropped.
    unsure: bool,
}

impl Cartridge {
    /// Begins an upload of content whose length and hash need not be known.
    #[must_use]
    pub fn upload_blob(&self, owner: &Owner, app: Option<AppKey>) -> BlobUpload {
        BlobUpload {
            cartridge: self.clone(),
            owner: owner.clone(),
            app,
            hasher: Sha256::new(),
            id: None,
            chunks: 0,
            size: 0,
            buffer: Vec::new(),
            unsure: false,
        }
    }

    /// Opens content for reading in parts; nothing when it is not there. It is not deleted while it is
    /// open, and for two minutes after it was opened: a response opens it again for each part.
    ///
    /// # Errors
    /// As [`Cartridge::read`].
    pub fn open_blob(&self, hash: BlobHash) -> Result<Option<BlobReader>, CartridgeError> {
        let pin = BlobPin::new(&self.shared().pins, hash);
        self.shared().pins.note_read(hash, self.clock().monotonic());
        let mut info = None;
        self.shared().reads.read_part(&Owner::kernel(), &mut |reader| {
            info = reader.blob(hash)?;
            Ok(())
        })?;
        Ok(info.map(|info| BlobReader { cartridge: self.clone(), info, _pin: pin }))
    }

    /// Keeps the content from being deleted for as long as the pin is held, whether it is there or not.
    #[must_use]
    pub fn pin_blob(&self, hash: BlobHash) -> BlobPin {
        BlobPin::new(&self.shared().pins, hash)
    }
}

impl BlobUpload {
    /// Adds the next bytes. Waits for a commit when a chunk is full.
    ///
    /// # Errors
    /// As [`Cartridge::write`]; the upload is then over.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), CartridgeError> {
        while !bytes.is_empty() {
            // One more byte than a chunk shows that the content does not fit in one row.
            if self.buffer.len() == CHUNK_BYTES {
                self.flush().await?;
            }
            let n = bytes.len().min(CHUNK_BYTES - self.buffer.len());
            let (now, later) = bytes.split_at(n);
            self.hasher.update(now);
            self.buffer.extend_from_slice(now);
            self.size += n as u64;
            bytes = later;
        }
        Ok(())
    }

    /// How many bytes arrived so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Publishes the content under its hash, and returns that.
    ///
    /// # Errors
    /// [`CartridgeError::Tx`] when the content does not have the hash that was `expected`; what
    /// arrived is then removed. Otherwise as [`Cartridge::write`].
    pub async fn finish(mut self, expected: Option<BlobHash>) -> Result<BlobHash, CartridgeError> {
        self.sure()?;
        let hash = BlobHash(std::mem::take(&mut self.hasher).finalize().into());
        if let Some(expected) = expected.filter(|expected| *expected != hash) {
            self.discard().await?;
            return Err(TxError::Aborted(format!(
                "the content has the hash {hash}, not {expected} as announced"
            ))
            .into());
        }
        let size = self.size;
        let inline = if self.chunks == 0 {
            Some(std::mem::take(&mut self.buffer))
        } else {
            self.flush().await?;
            None
        };
        let known = self.id;
        self.cartridge
            .write_value(&self.owner, self.app, move |tx| {
                let id = match known {
                    Some(id) => id,
                    None => tx.begin_upload()?,
                };
                tx.publish_upload(id, hash, size, inline.as_deref())?;
                Ok(())
            })
            .await?;
        self.id = None;
        Ok(hash)
    }

    /// Removes what arrived.
    ///
    /// # Errors
    /// As [`Cartridge::write`].
    pub async fn discard(self) -> Result<(), CartridgeError> {
        let Some(id) = self.id else { return Ok(()) };
        let discarded = self.cartridge.write_value(&self.owner, self.app, move |tx| {
            tx.abandon_upload(id)?;
            tx.delete_abandoned_uploads(1)?;
            Ok(())
        });
        discarded.await
    }

    async fn flush(&mut self) -> Result<(), CartridgeError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.sure()?;
        self.unsure = true;
        let data = std::mem::take(&mut self.buffer);
        let (known, n) = (self.id, self.chunks);
        let id = self
            .cartridge
            .write_value(&self.owner, self.app, move |tx| {
                let id = match known {
                    Some(id) => tx.continue_upload(id)?,
                    None => tx.begin_upload()?,
                };
                tx.put_chunk(id, n, &data)?;
                Ok(id)
            })
            .await?;
        self.id = Some(id);
        self.chunks += 1;
        self.unsure = false;
        Ok(())
    }

    fn sure(&self) -> Result<(), CartridgeError> {
        if self.unsure {
            return Err(TxError::Aborted("the upload was interrupted".to_owned()).into());
        }
        Ok(())
    }
}

impl Drop for BlobUpload {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.cartridge.shared().dropped_uploads.add(id);
        }
    }
}

/// Content on its way out. Every call is a short read of its own.
#[derive(Debug)]
pub struct BlobReader {
    cartridge: Cartridge,
    info: BlobInfo,
    _pin: BlobPin,
}

impl BlobReader {
    /// What is known about the content.
    #[must_use]
    pub fn info(&self) -> &BlobInfo {
        &self.info
    }

    /// Fills `into` from `offset` on, at most to the end of a 256 KiB chunk; returns how many bytes, 0
    /// at the end. Blocks for one short read.
    ///
    /// # Errors
    /// As [`Cartridge::read`]; [`CartridgeError::Corrupt`] when a part is missing.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, CartridgeError> {
        if offset >= self.info.size || into.is_empty() {
            return Ok(0);
        }
        let mut read = 0;
        let result = self.cartridge.shared().reads.read_part(&Owner::kernel(), &mut |reader| {
            read = read_at(reader.session(), &self.info, offset, into)?;
            Ok(())
        });
        match result.map(|()| read) {
            Ok(0) => Err(CartridgeError::Corrupt(format!(
                "blob {} was deleted while it was read",
                self.info.hash
            ))),
            Err(CartridgeError::Tx(TxError::Sql(SqlError {
                kind: SqlErrorKind::Corrupt,
                message,
                ..
            }))) => Err(CartridgeError::Corrupt(message)),
            other => other,
        }
    }
}
