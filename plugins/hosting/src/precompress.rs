//! Compresses what apps serve, in the background.
//!
//! What is to be done follows from the tables: a content of an active deployment or of a preview that
//! has no rows in `hosting_variant`. So a node that stops goes on where it was, and what is in memory
//! is only a hint where to look. One content after another, one encoding at a time, on the thread that
//! gets the processor when nobody else wants it; and not while something is being uploaded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fazt_sdk::host::Host;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{AppId, Error, ErrorKind, Result};
use serde_json::json;

use crate::admission::Admission;
use crate::compress::compress;
use crate::index::Indexes;
use crate::model::{DeploymentId, Encoding, Variant, hex};
use crate::store::{self, Uncompressed};

/// How often it is looked whether there is something to do; nothing is read for that.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often all is looked at, also when nobody said that something is new: what is known about contents
/// that are gone goes then.
const EVERYWHERE_EVERY: Duration = Duration::from_secs(3_600);

/// How long a deployment is left alone at first: whoever deploys often deploys again.
const SETTLE: Duration = Duration::from_secs(2);

/// How long an upload can hold one content up.
const GIVE_WAY_MAX: Duration = Duration::from_secs(10);

/// How often the apps that are served get to know the new forms while there is more to do.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// The most deployments that are remembered; past it, all are looked at.
const WANTED_MAX: usize = 1_024;

/// The most bytes that one write stores.
const PUT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of content that one read brings.
const READ_BYTES: u64 = 1024 * 1024;

/// Compresses.
#[derive(Debug)]
pub(crate) struct Precompress {
    pub(crate) host: Host,
    pub(crate) indexes: Arc<Indexes>,
    /// Uploads that it gives way to.
    pub(crate) uploads: Vec<Admission>,
    /// The largest content that is compressed, in bytes; 0 for none.
    pub(crate) bytes_max: u64,
    pub(crate) wanted: Arc<Wanted>,
}

/// Where there may be something to do.
#[derive(Debug)]
pub(crate) struct Wanted(Mutex<Looking>);

#[derive(Debug)]
struct Looking {
    everywhere: bool,
    deployments: VecDeque<DeploymentId>,
}

impl Default for Wanted {
    /// At the start nobody knows.
    fn default() -> Self {
        Self(Mutex::new(Looking { everywhere: true, deployments: VecDeque::new() }))
    }
}

impl Wanted {
    /// Something new is in this deployment.
    pub(crate) fn add(&self, id: DeploymentId) {
        let mut looking = self.lock();
        if looking.deployments.len() >= WANTED_MAX {
            looking.deployments.clear();
            looking.everywhere = true;
        } else {
            looking.deployments.push_back(id);
        }
    }

    /// Something new is somewhere.
    pub(crate) fn add_all(&self) {
        self.lock().everywhere = true;
    }

    fn lock(&self) -> MutexGuard<'_, Looking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Precompress {
    /// Looks for something to do, for ever.
    ///
    /// # Errors
    /// What the cartridge says. It is started again, and looks everywhere.
    pub(crate) async fn run(&self) -> Result<()> {
        if self.bytes_max == 0 {
            return Ok(());
        }
        self.wanted.add_all();
        let clock = self.host.clock();
        let mut everywhere_at = clock.monotonic();
        loop {
            clock.sleep(LOOK_EVERY).await;
            if clock.monotonic().saturating_sub(everywhere_at) > EVERYWHERE_EVERY {
                self.wanted.add_all();
            }
            let (everywhere, next) = {
                let mut looking = self.wanted.lock();
                (std::mem::take(&mut looking.everywhere), looking.deployments.pop_front())
            };
            if everywhere {
                self.everywhere().await?;
                everywhere_at = clock.monotonic();
            }
            if let Some(id) = next {
                clock.sleep(SETTLE).await;
                self.deployment(&id).await?;
            }
        }
    }

    async fn everywhere(&self) -> Result<()> {
        let cartridge = self.host.cartridge();
        self.forget_stale().await?;
        let mut after = String::new();
        loop {
            let from = after.clone();
            let next = store::read(&cartridge, move |reader| store::served_after(reader, &from));
            let Some(id) = next.await? else { return Ok(()) };
            self.deployment(&id).await?;
            id.as_str().clone_into(&mut after);
        }
    }

    /// Removes what is known about contents that no deployment has any more, so that their compressed
    /// forms can be deleted.
    async fn forget_stale(&self) -> Result<()> {
        let cartridge = self.host.cartridge();
        let mut after = [0; 32];
        loop {
            let from = after;
            let page = cartridge.scan(move |reader| store::stale_variants(reader, &from)).await?;
            if !page.stale.is_empty() {
                let stale = page.stale;
                cartridge
                    .write(None, move |transaction| store::forget_variants(transaction, &stale))
                    .await?;
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<()> {
        let (cartridge, clock) = (self.host.cartridge(), self.host.clock());
        let (wanted, bytes_max) = (id.clone(), self.bytes_max);
        let todo = cartridge.scan(move |reader| store::uncompressed(reader, &wanted, bytes_max));
        let (mut apps, mut told) = (BTreeSet::new(), clock.monotonic());
        for content in todo.await? {
            self.give_way().await;
            apps.extend(self.content(content).await?);
            if clock.monotonic().saturating_sub(told) > REFRESH_EVERY {
                self.refresh(&mut apps).await?;
                told = clock.monotonic();
            }
        }
        self.refresh(&mut apps).await
    }

    async fn refresh(&self, apps: &mut BTreeSet<AppId>) -> Result<()> {
        for app in std::mem::take(apps) {
            self.indexes.refresh(app).await?;
        }
        Ok(())
    }

    /// Waits while something is being uploaded.
    async fn give_way(&self) {
        let clock = self.host.clock();
        let until = clock.monotonic() + GIVE_WAY_MAX;
        while clock.monotonic() < until && self.uploads.iter().any(|uploads| !uploads.is_idle()) {
            clock.sleep(LOOK_EVERY / 10).await;
        }
    }

    /// Compresses one content; returns the apps that serve it, when there is something new for them.
    async fn content(&self, content: Uncompressed) -> Result<Vec<AppId>> {
        let Some(bytes) = self.read(content).await? else { return Ok(Vec::new()) };
        let mut forms = Vec::with_capacity(Encoding::ALL.len());
        for encoding in Encoding::ALL {
            let bytes = bytes.clone();
            let compressed = self.host.idle(move || compress(encoding, &bytes)).await?;
            let compressed = compressed.unwrap_or_else(|error| {
                // It is sent as it is, and not tried again.
                let fields = json!({ "sha256": hex(&content.hash), "encoding": encoding.as_str() });
                self.host.log().warn(&format!("a content cannot be compressed: {error}"), fields);
                None
            });
            let form = match compressed {
                Some(compressed) => Some(self.put(compressed).await?),
                None => None,
            };
            forms.push((encoding, form));
        }
        let is_new = forms.iter().any(|(_, form)| form.is_some());
        let cartridge = self.host.cartridge();
        let hash = content.hash;
        let apps = cartridge.write(None, move |transaction| {
            store::insert_variants(transaction, &hash, &forms)?;
            if is_new { store::apps_that_serve(transaction, &hash) } else { Ok(Vec::new()) }
        });
        apps.await
    }

    /// The whole content; nothing when it is gone.
    async fn read(&self, Uncompressed { hash, size }: Uncompressed) -> Result<Option<Bytes>> {
        let cartridge = self.host.cartridge();
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while (bytes.len() as u64) < size {
            let at = bytes.len() as u64;
            let part = cartridge.scan(move |reader| {
                reader.blob(&hash, at, READ_BYTES.min(size - at), <[u8]>::to_vec)
            });
            match part.await {
                Ok(part) if !part.is_empty() => bytes.extend_from_slice(&part),
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(bytes.into()))
    }

    async fn put(&self, compressed: Vec<u8>) -> Result<Variant> {
        let (cartridge, size) = (self.host.cartridge(), compressed.len() as u64);
        if compressed.len() <= PUT_BYTES_MAX {
            let hashes = cartridge.put_blobs(None, vec![compressed.into()]).await?;
            let hash = hashes.first().copied();
            let hash = hash.ok_or_else(|| Error::internal("the kernel answered with no hash"))?;
            return Ok(Variant { hash, size });
        }
        let mut upload = cartridge.upload(None)?;
        let compressed = Bytes::from(compressed);
        for start in (0..compressed.len()).step_by(PUT_BYTES_MAX) {
            let end = (start + PUT_BYTES_MAX).min(compressed.len());
            upload.push(compressed.slice(start..end)).await?;
        }
        Ok(Variant { hash: upload.finish().await?, size })
    }
}
