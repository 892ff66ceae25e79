//! The beginning of a deployment: the list of its files, and which contents are not here yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::prelude::Call;
use fazt_sdk::{AppId, Error, Result};
use serde_json::json;

use crate::archive::{ArchiveError, check_list};
use crate::deploy::{Deploys, Upload};
use crate::intake;
use crate::model::{DeploymentId, PendingDeployment, StoredFile, hex};
use crate::store;

/// How long the content of a deployment may take to arrive.
pub(crate) const PENDING_FOR: Duration = Duration::from_secs(3_600);

/// The most files that one write takes in: it shares the writer with everybody.
const FILES_PER_WRITE: usize = 2_000;

/// What may be pending at a time for one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// How many deployments.
    pub(crate) deployments_max: u64,
    /// Bytes of all their files together.
    pub(crate) bytes_max: u64,
}

impl Bounds {
    /// For what is bounded otherwise: archives wait for their turn.
    pub(crate) const NONE: Self = Self { deployments_max: u64::MAX, bytes_max: u64::MAX };
}

/// A deployment that waits for its content.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) id: DeploymentId,
    /// The files whose content is not here: positions, each content once.
    pub(crate) missing: Vec<usize>,
    pub(crate) expires_at_ms: u64,
}

impl Deploys {
    /// Takes in the list of the files of a deployment.
    ///
    /// `app` is whom [`Self::permit`] let the caller deploy to. Contents that are here stay here from
    /// now on, until the deployment is completed or given up.
    ///
    /// # Errors
    /// The refusal of the list, with the file; `Invalid` when the list gives content another
    /// size than it has; `Busy` and `TooLarge` past `bounds`; what the cartridge says.
    pub(crate) async fn begin(
        &self,
        upload: &Upload,
        app: Option<AppId>,
        files: &[StoredFile],
        bounds: Bounds,
    ) -> Result<Begun> {
        let listed: Vec<_> = files.iter().map(|file| (&*file.path, file.entry.size)).collect();
        let size_bytes = check_list(&listed, &self.limits).map_err(refused)?;
        drop(listed);
        self.check_quota(app, files).await?;
        // What expired a moment ago is in nobody's way.
        self.sweep().await?;
        let pending = PendingDeployment {
            id: self.new_id()?,
            app: app.map_or_else(|| upload.site.clone(), |app| app.to_string()),
            site: upload.site.clone(),
            expires_at_ms: self.host.clock().unix_ms() + millis(PENDING_FOR),
            file_count: files.len() as u64,
            size_bytes,
            new_files: 0,
            spa: upload.spa,
            is_preview: upload.preview,
            includes_private: upload.include_private,
            source: source(upload)?,
        };
        let (id, expires_at_ms) = (pending.id.clone(), pending.expires_at_ms);
        match self.insert(app, pending, files, bounds).await {
            Ok(missing) => Ok(Begun { id, missing, expires_at_ms }),
            Err(error) => {
                // The refusal is the answer, whether or not this works; the hour ends it otherwise.
                drop(self.throw_away(&id).await);
                Err(error)
            }
        }
    }

    /// Refuses what would take the app over its quota: contents count once, however many deployments
    /// of the app have them.
    async fn check_quota(&self, app: Option<AppId>, files: &[StoredFile]) -> Result<()> {
        let quota = self.app_bytes_max;
        if quota == 0 {
            return Ok(());
        }
        let contents: HashMap<_, _> =
            files.iter().map(|file| (file.entry.hash, file.entry.size)).collect();
        let cartridge = self.host.cartridge();
        let sizes = cartridge.scan(move |reader| {
            let Some(app) = app else { return Ok((0, contents.values().sum())) };
            let (_, _, used) = store::usage(reader, app)?;
            let mut new: u64 = 0;
            for (hash, size) in contents {
                if !store::is_content_of(reader, app, &hash)? {
                    new += size;
                }
            }
            Ok((used, new))
        });
        let (used, new) = sizes.await?;
        if used.saturating_add(new) <= quota {
            return Ok(());
        }
        Err(Error::too_large(format!(
            "the deployments of the app take {used} bytes and this one {new} more, but \
             `hosting.app_bytes_max` is {quota}; remove deployments that are not needed, or raise it"
        ))
        .with_code("QUOTA_EXCEEDED"))
    }

    /// Writes the list down, some files at a time, and finds what is missing on the way.
    async fn insert(
        &self,
        turn: Option<AppId>,
        pending: PendingDeployment,
        files: &[StoredFile],
        bounds: Bounds,
    ) -> Result<Vec<usize>> {
        let cartridge = self.host.cartridge();
        let mut missing = Vec::new();
        let mut seen = HashMap::new();
        let parts = files.len().div_ceil(FILES_PER_WRITE);
        let pending = Arc::new(pending);
        for (part, some) in files.chunks(FILES_PER_WRITE).enumerate() {
            let first = part * FILES_PER_WRITE;
            let mut distinct = Vec::new();
            for (at, file) in some.iter().enumerate() {
                match seen.insert(file.entry.hash, file.entry.size) {
                    None => distinct.push(at),
                    Some(size) => check_size(file, size)?,
                }
            }
            let hashes: Vec<_> = distinct.iter().map(|at| some[*at].entry.hash).collect();
            let (pending, some_files) = (Arc::clone(&pending), some.to_vec());
            let (is_last, missing_before) = (part + 1 == parts, missing.len());
            let sizes = cartridge.write(turn, move |transaction| {
                if part == 0 {
                    check_bounds(
                        store::pending_of_app(transaction, &pending.app)?,
                        &pending,
                        bounds,
                    )?;
                    store::insert_pending(transaction, &pending)?;
                }
                store::insert_files(transaction, &pending.id, &some_files)?;
                let sizes = transaction.touch_blobs(&hashes)?;
                if is_last {
                    let here = sizes.iter().filter(|size| size.is_none()).count();
                    let new_files = (missing_before + here) as u64;
                    store::set_new_files(transaction, &pending.id, new_files)?;
                }
                Ok(sizes)
            });
            for (at, size) in distinct.into_iter().zip(sizes.await?) {
                match size {
                    None => missing.push(first + at),
                    Some(size) => check_size(&some[at], size)?,
                }
            }
        }
        Ok(missing)
    }

    /// The pending deployment `id`, if the caller may touch it.
    ///
    /// # Errors
    /// `NotFound` when there is none, it expired, or it is another app's; `Conflict` when it was
    /// completed already.
    pub(crate) async fn pending(
        &self,
        call: &Call,
        id: &DeploymentId,
    ) -> Result<PendingDeployment> {
        let (cartridge, wanted) = (self.host.cartridge(), id.clone());
        let found = store::read(&cartridge, move |reader| {
            Ok((store::find_pending(reader, &wanted)?, store::find(reader, &wanted)?))
        });
        let unknown = || {
            Error::not_found(format!(
                "there is no pending deployment `{id}`; one that is not activated within an hour is \
                 thrown away: begin again"
            ))
        };
        let pending = match found.await? {
            (Some(pending), _) => pending,
            (None, Some(deployment)) => {
                call.check_app(deployment.app).map_err(|_| unknown())?;
                return Err(Error::conflict(format!(
                    "the deployment `{id}` was activated already, as version {}",
                    deployment.version
                )));
            }
            (None, None) => return Err(unknown()),
        };
        let is_other = call.limited_to().is_some_and(|only| only.to_string() != pending.app);
        if is_other || pending.expires_at_ms < self.host.clock().unix_ms() {
            return Err(unknown());
        }
        Ok(pending)
    }

    /// Gives a pending deployment up and removes its files.
    ///
    /// # Errors
    /// What the cartridge says; the rest then goes in the next round of [`Self::sweep`].
    pub(crate) async fn throw_away(&self, id: &DeploymentId) -> Result<()> {
        let cartridge = self.host.cartridge();
        let given_up = id.clone();
        cartridge.write(None, move |transaction| store::abandon(transaction, &given_up)).await?;
        loop {
            let id = id.clone();
            let limit = u32::try_from(FILES_PER_WRITE).unwrap_or(u32::MAX);
            let deleted = cartridge
                .write(None, move |transaction| {
                    store::delete_pending_files(transaction, &id, limit)
                })
                .await?;
            if deleted {
                return Ok(());
            }
        }
    }

    /// Removes pending deployments that expired.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn sweep(&self) -> Result<()> {
        const PER_ROUND: u32 = 100;
        let (cartridge, now_ms) = (self.host.cartridge(), self.host.clock().unix_ms());
        let expired = store::read(&cartridge, move |reader| {
            store::expired_pending(reader, now_ms, PER_ROUND)
        });
        for id in expired.await? {
            self.throw_away(&id).await?;
        }
        Ok(())
    }
}

fn check_bounds(
    (count, bytes): (u64, u64),
    pending: &PendingDeployment,
    bounds: Bounds,
) -> Result<()> {
    if count >= bounds.deployments_max {
        return Err(Error::busy(format!(
            "{count} deployments of this app wait for their content, the limit \
             `hosting.pending_deployments`; activate them, or wait an hour"
        ))
        .with_code("TOO_MANY_PENDING"));
    }
    if bytes.saturating_add(pending.size_bytes) > bounds.bytes_max {
        return Err(Error::too_large(format!(
            "the deployments of this app that wait for their content would take more than {} bytes, \
             the limit `hosting.pending_bytes_max`",
            bounds.bytes_max
        ))
        .with_code("PENDING_TOO_LARGE"));
    }
    Ok(())
}

/// Refuses a list that gives content another size than it has.
pub(crate) fn check_size(file: &StoredFile, size: u64) -> Result<()> {
    if file.entry.size == size {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the list gives `{}` {} bytes, but the content with the hash {} has {size}",
        file.path,
        file.entry.size,
        hex(&file.entry.hash)
    ))
    .with_code("SIZE_MISMATCH")
    .with_details(json!({ "path": file.path })))
}

fn source(upload: &Upload) -> Result<Option<String>> {
    if upload.source.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&upload.source);
    text.map(Some).map_err(|error| Error::internal(format!("the source has no JSON form: {error}")))
}

/// The refusal of a list, in the words of a list.
fn refused(error: ArchiveError) -> Error {
    let ArchiveError::Refused(refusal) = &error else { return intake::refused(error) };
    let advice = refusal.kind().advice();
    let message = match refusal.entry_name() {
        Some(name) => format!("the list is refused: `{name}` {}; {advice}", refusal.detail()),
        None => format!("the list is refused: it {}; {advice}", refusal.detail()),
    };
    let details = refusal.entry_name().map(|name| json!({ "path": name }));
    let refused = intake::refused(error);
    let refused = Error::new(refused.kind(), message).with_code(refused.code().to_owned());
    match details {
        Some(details) => refused.with_details(details),
        None => refused,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
