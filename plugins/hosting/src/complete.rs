//! The end of a deployment: is all content here, what is each file, and the one write.

use std::collections::HashSet;
use std::sync::Arc;

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::host::Host;
use fazt_sdk::services::CodeCheckApi;
use fazt_sdk::{Error, Result};
use serde_json::json;

use crate::app_manifest::{AppManifest, MANIFEST_BYTES_MAX};
use crate::begin::check_size;
use crate::deploy::Deploys;
use crate::index::Index;
use crate::model::{Entry, PendingDeployment, StoredDeployment, StoredFile, hex};
use crate::ready::content;
use crate::rollback::switch;
use crate::site_rules::{RuleFiles, SiteRules};
use crate::store;
use crate::visibility::{Layout, Visibility};
use crate::warnings::warnings;

/// The most contents that are looked up in one scan.
const FILES_PER_SCAN: usize = 5_000;

/// The most missing contents that an error names.
const MISSING_MAX: usize = 10_000;

/// A pending deployment that was found complete.
#[derive(Debug)]
pub(crate) struct Complete {
    /// In the order of their paths.
    files: Vec<StoredFile>,
    /// Those whose visibility is not what their path alone says.
    changed: Arc<Vec<StoredFile>>,
    /// What the site's own files say about redirects and headers.
    rules: Arc<SiteRules>,
    pub(crate) manifest: AppManifest,
    pub(crate) warnings: Vec<String>,
}

impl Complete {
    /// Checks that all content is here. It stays: pending deployments refer to what they list.
    ///
    /// # Errors
    /// `Conflict` with the code `CONTENT_MISSING`; `Invalid` for a size that is not the content's, and
    /// for redirects that lead round in circles.
    pub(crate) async fn check(host: &Host, pending: &PendingDeployment) -> Result<Self> {
        let cartridge = host.cartridge();
        let id = pending.id.clone();
        let mut files = cartridge.scan(move |reader| store::files(reader, &id)).await?;
        if files.len() as u64 != pending.file_count {
            return Err(Error::conflict("the list of files did not arrive whole; begin again"));
        }
        let mut seen = HashSet::new();
        let distinct: Vec<usize> =
            (0..files.len()).filter(|at| seen.insert(files[*at].entry.hash)).collect();
        drop(seen);
        let mut missing = Vec::new();
        for some in distinct.chunks(FILES_PER_SCAN) {
            let hashes: Vec<_> = some.iter().map(|at| files[*at].entry.hash).collect();
            let sizes = cartridge.scan(move |reader| reader.blob_sizes(&hashes)).await?;
            for (at, size) in some.iter().zip(sizes) {
                match size {
                    None => missing.push(&files[*at]),
                    Some(size) => check_size(&files[*at], size)?,
                }
            }
        }
        if !missing.is_empty() {
            return Err(content_missing(&missing));
        }
        let manifest = read_manifest(host, &files).await?;
        let changed = lay_out(&mut files, manifest.layout);
        let runs_code = host.contributions::<CodeCheckApi>().is_ok_and(|found| !found.is_empty());
        let mut warnings = warnings(pending, &files, runs_code);
        let (rule_files, files) = read_rules(&cartridge, files).await?;
        warnings.extend(rule_files.check(&files)?);
        let rules = Arc::new(rule_files.rules());
        Ok(Self { files, rules, changed: Arc::new(changed), manifest, warnings })
    }

    /// The one write: the deployment, its activation, the event. The number is given here.
    ///
    /// # Errors
    /// `Conflict` when it was completed or given up in the meantime; what the cartridge says.
    pub(crate) async fn store(
        &self,
        deploys: &Deploys,
        deployment: StoredDeployment,
        is_preview: bool,
    ) -> Result<StoredDeployment> {
        let (id, files) = (deployment.id.clone(), self.files.clone());
        let index = Index::new(id, deployment.is_spa, files, Arc::clone(&self.rules));
        let (index, indexes) = (Arc::new(index), Arc::clone(&deploys.indexes));
        let (changed, retention) = (Arc::clone(&self.changed), deploys.retention);
        let wanted = Arc::clone(&deploys.wanted);
        let app = deployment.app;
        let cartridge = deploys.host.cartridge();
        let stored = cartridge.write(Some(app), move |transaction| {
            if !store::delete_pending_row(transaction, &deployment.id)? {
                return Err(Error::conflict(
                    "the deployment was activated or thrown away in the meantime",
                ));
            }
            let version = store::newest_version(transaction, app)? + 1;
            let deployment = StoredDeployment { version, ..deployment.clone() };
            store::insert(transaction, &deployment)?;
            store::set_visibility(transaction, &deployment.id, &changed)?;
            if !is_preview {
                switch(transaction, &deployment, deployment.created_at_ms)?;
                let (indexes, index) = (Arc::clone(&indexes), Arc::clone(&index));
                transaction.on_commit(move || indexes.activate(app, index))?;
            }
            store::prune(transaction, app, retention, deployment.created_at_ms)?;
            let (wanted, id) = (Arc::clone(&wanted), deployment.id.clone());
            transaction.on_commit(move || wanted.add(id))?;
            Ok(deployment)
        });
        stored.await
    }
}

async fn read_rules(
    cartridge: &Cartridge,
    files: Vec<StoredFile>,
) -> Result<(RuleFiles, Vec<StoredFile>)> {
    let files = Arc::new(files);
    let listed = Arc::clone(&files);
    let read = store::read(cartridge, move |reader| RuleFiles::read(reader, &listed)).await?;
    Ok((read, Arc::unwrap_or_clone(files)))
}

async fn read_manifest(host: &Host, files: &[StoredFile]) -> Result<AppManifest> {
    let at = files.binary_search_by(|file| (*file.path).cmp("manifest.json"));
    let Ok(at) = at else { return Ok(AppManifest::default()) };
    let Entry { hash, size, .. } = files[at].entry;
    if size > MANIFEST_BYTES_MAX {
        return Ok(AppManifest::of_website());
    }
    let read = move |reader: &fazt_sdk::cartridge::Reader<'_>| content(reader, &hash, size);
    Ok(AppManifest::read(&store::read(&host.cartridge(), read).await?))
}

/// Decides anew who may fetch the files that the app's manifest is about; returns those that changed.
fn lay_out(files: &mut [StoredFile], layout: Layout) -> Vec<StoredFile> {
    let mut changed = Vec::new();
    for file in files {
        let visibility = Visibility::of(&file.path, layout);
        if visibility != file.entry.visibility {
            file.entry = Entry::new(&file.path, file.entry.hash, file.entry.size, visibility);
            changed.push(file.clone());
        }
    }
    changed
}

fn content_missing(missing: &[&StoredFile]) -> Error {
    let hashes: Vec<_> =
        missing.iter().take(MISSING_MAX).map(|file| hex(&file.entry.hash)).collect();
    let first = missing.first().map_or("", |file| &*file.path);
    Error::conflict(format!(
        "the content of {} is not here yet, `{first}` among them; send it with PUT /api/blobs/SHA256",
        match missing.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        }
    ))
    .with_code("CONTENT_MISSING")
    .with_details(json!({ "missing": hashes }))
}
