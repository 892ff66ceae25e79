//! Deletes content that nobody refers to any more.
//!
//! A round walks over the blobs in the order in which they came, some at a time, asks the kernel's own
//! tables and every plugin that contributes `fazt.blob-refs`, and deletes what all of them do not
//! know, each blob in a short write of its own. Where the walk stands is in the cartridge, so a node
//! that is stopped or killed goes on there.
//!
//! A plugin that is left out, disabled or broken cannot say what it refers to. Who stores content is
//! written down when it does, and while one of them does not answer, nothing is deleted.

mod store;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::call::{Call, CallBuilder, Principal};
use fazt_sdk::service::{InterfaceId, Service};
use fazt_sdk::services::blob_refs::{BlobRefs as _, BlobRefsApi, HASHES_MAX};
use fazt_sdk::{Error, Result};
use tokio::sync::Mutex;

pub(crate) use store::Progress;

use crate::cartridge::{BlobHash, BlobInfo, Owner};
use crate::core::Core;
use crate::registry::service::Consumer;

/// How long after a start the first round begins: starting is busy enough.
const FIRST_AFTER: Duration = Duration::from_secs(300);

/// How long after a round the next one begins.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// The pause after each portion of a round that nobody waits for.
const PAUSE: Duration = Duration::from_millis(50);

/// Content younger than this is not looked at; as long as the cartridge spares it.
const SPARED: Duration = Duration::from_secs(3_600);

/// Collects garbage, one round at a time.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    turn: Mutex<()>,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It saw all content.
    Finished(Progress),
    /// Its time was over; the next one goes on there.
    Interrupted(Progress),
    /// These plugins store content and cannot say what they refer to.
    Blocked(Vec<String>),
}

/// Starts the rounds.
///
/// # Errors
/// When the kernel has too many tasks.
pub(crate) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.spawn("garbage", move || rounds(node.clone()))
}

async fn rounds(node: Weak<Core>) -> Result<()> {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        let Some(core) = node.upgrade() else { return Ok(()) };
        collect(&core, None).await?;
        drop(core);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Goes on with the round, to its end or for `time`. Without `time` it pauses now and then, because
/// nobody waits for it.
///
/// # Errors
/// What the cartridge or a plugin says; what was deleted until then is gone, and nothing else.
pub(crate) async fn collect(core: &Core, time: Option<Duration>) -> Result<Outcome> {
    let _turn = core.garbage.turn.lock().await;
    let end_ns = time.map(|time| {
        core.monotonic_ns().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    });
    let mut progress = store::progress(&core.cartridge).await?;
    if progress.is_finished() {
        progress = Progress::beginning(core.now_ms());
    }
    loop {
        let referrers = Referrers::of(core).await?;
        if !referrers.missing.is_empty() {
            return Ok(Outcome::Blocked(referrers.missing));
        }
        let portion = portion(core, progress.after_id).await?;
        let unused = referrers.unused(core, &portion).await?;
        for blob in &unused {
            if delete(core, blob.hash).await? {
                progress.deleted += 1;
                progress.deleted_bytes += blob.size;
            }
        }
        progress.seen += portion.len() as u64;
        let is_last = portion.len() < HASHES_MAX;
        match portion.last() {
            Some(last) if !is_last => progress.after_id = last.id(),
            _ => progress.finished_at_ms = core.now_ms(),
        }
        store::keep(&core.cartridge, progress).await?;
        if is_last {
            if progress.deleted > 0 {
                crate::maintenance::sweep_uploads(core).await?;
            }
            return Ok(Outcome::Finished(progress));
        }
        match end_ns {
            Some(end_ns) if core.monotonic_ns() >= end_ns => {
                return Ok(Outcome::Interrupted(progress));
            }
            Some(_) => tokio::task::yield_now().await,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// How far the round came that runs, or the last one.
///
/// # Errors
/// What the cartridge says.
pub(crate) async fn progress(core: &Core) -> Result<Progress> {
    store::progress(&core.cartridge).await
}

/// The plugins that store content and cannot say now what they refer to.
///
/// # Errors
/// What the cartridge says.
pub(crate) async fn missing_referrers(core: &Core) -> Result<Vec<String>> {
    Ok(Referrers::of(core).await?.missing)
}

/// The next blobs that are old enough.
async fn portion(core: &Core, after_id: i64) -> Result<Vec<BlobInfo>> {
    let spared_ms = u64::try_from(SPARED.as_millis()).unwrap_or(u64::MAX);
    let before_ms = i64::try_from(core.now_ms().saturating_sub(spared_ms)).unwrap_or(i64::MAX);
    let limit = u32::try_from(HASHES_MAX).unwrap_or(u32::MAX);
    let blobs = core.cartridge.scan_value(&Owner::kernel(), move |reader| {
        let mut blobs = Vec::new();
        reader.blobs_after_id(after_id, before_ms, limit, &mut |blob| blobs.push(*blob))?;
        Ok(blobs)
    });
    Ok(blobs.await?)
}

async fn delete(core: &Core, hash: BlobHash) -> Result<bool> {
    let deleted =
        core.cartridge.write_value(&Owner::kernel(), None, move |tx| Ok(tx.delete_blob(hash)?));
    Ok(deleted.await?)
}

/// Everybody who may refer to content.
struct Referrers {
    plugins: Vec<Service<BlobRefsApi>>,
    /// Those who store content and are not among them.
    missing: Vec<String>,
    call: Call,
}

impl Referrers {
    async fn of(core: &Core) -> Result<Self> {
        let id = InterfaceId::of::<BlobRefsApi>();
        let plugins: Vec<_> = core
            .services
            .contributions(&Consumer::kernel(), &id.name, id.major, &id.methods)?
            .into_iter()
            .map(Service::<BlobRefsApi>::from_raw)
            .collect();
        let names: BTreeSet<String> = plugins.iter().map(Service::provider).collect();
        let storing = store::storing_owners(&core.cartridge).await?;
        let missing = storing.into_iter().filter(|owner| !names.contains(owner)).collect();
        let call = CallBuilder::new(Principal::System, 0).deadline_ns(u64::MAX).build();
        Ok(Self { plugins, missing, call })
    }

    /// Those of `portion` that nobody refers to.
    async fn unused(&self, core: &Core, portion: &[BlobInfo]) -> Result<Vec<BlobInfo>> {
        if portion.is_empty() {
            return Ok(Vec::new());
        }
        let mut unused = portion.to_vec();
        let libraries = store::libraries(&core.cartridge).await?;
        unused.retain(|blob| !libraries.contains(&blob.hash.0));
        for plugin in &self.plugins {
            if unused.is_empty() {
                break;
            }
            let hashes: Vec<[u8; 32]> = unused.iter().map(|blob| blob.hash.0).collect();
            let used = plugin.in_use(&self.call, &hashes).await?;
            if used.len() != hashes.len() {
                return Err(Error::internal(format!(
                    "the plugin {} answered for {} of {} contents; nothing is deleted",
                    plugin.provider(),
                    used.len(),
                    hashes.len()
                )));
            }
            let mut used = used.into_iter();
            unused.retain(|_| !used.next().unwrap_or(true));
        }
        Ok(unused)
    }
}
