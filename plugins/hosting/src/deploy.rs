//! Deploying and rolling back: the rules.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use fazt_sdk::cartridge::Transaction;
use fazt_sdk::host::Host;
use fazt_sdk::prelude::{Call, Principal, Scope};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{App, Apps as _, AppsApi};
use fazt_sdk::services::sites::DeploymentActivated;
use fazt_sdk::{AppId, Error, Result};
use futures_util::lock::Mutex;
use serde::Serialize;

use crate::archive::{ArchiveLimits, ArchivePlan, Warning, inspect};
use crate::index::{Index, Indexes};
use crate::intake::{self, Buffered};
use crate::model::{DeploymentId, PreviewLabel, StoredDeployment, StoredFile};
use crate::removals::{Mark, Removals};
use crate::store;

/// What to deploy, besides the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The app: its id, an alias of it, or the name of one that is to be made.
    pub(crate) site: String,
    /// Whether `index.html` answers paths that have no file; the root manifest decides when nobody
    /// says.
    pub(crate) spa: Option<bool>,
    /// Where the files came from, in the client's words.
    pub(crate) source: BTreeMap<String, String>,
}

/// What a deploy answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Deployed {
    /// The name that the client gave.
    pub(crate) site: String,
    pub(crate) app_id: AppId,
    pub(crate) deployment_id: String,
    pub(crate) version: u64,
    /// Where it is served; empty while the app has no alias.
    pub(crate) url: String,
    pub(crate) file_count: u64,
    pub(crate) size_bytes: u64,
    /// Files whose content was not stored before.
    pub(crate) new_files: u64,
    pub(crate) warnings: Vec<String>,
    pub(crate) message: String,
}

/// Deploys and rolls back.
pub(crate) struct Deploys {
    pub(crate) host: Host,
    pub(crate) apps: Service<AppsApi>,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) removals: Arc<Removals>,
    /// How many deployments an app keeps, the active one included.
    pub(crate) keep: u64,
    pub(crate) limits: ArchiveLimits,
    /// One archive is unpacked at a time: that is what bounds the memory and the time of a processor
    /// that deploys take.
    pub(crate) turn: Mutex<()>,
}

impl std::fmt::Debug for Deploys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deploys").field("keep", &self.keep).finish_non_exhaustive()
    }
}

/// The code of an activation whose content may have gone away since it was looked up.
const CONTENT_GONE: &str = "CONTENT_GONE";

impl Deploys {
    /// Refuses callers who may not deploy to `site`. Cheap: to be asked before an upload is read.
    ///
    /// # Errors
    /// `Denied` without the scope `deploy`, or when the key is for another app.
    pub(crate) async fn permit(&self, call: &Call, site: &str) -> Result<Option<App>> {
        check_scope(call)?;
        let app = self.apps.find(call, site).await?;
        match (&app, call.limited_to()) {
            (Some(app), _) => call.check_app(app.id)?,
            (None, Some(only)) => {
                return Err(Error::denied(format!(
                    "this key is for the app {only} and cannot create the app `{site}`"
                )));
            }
            (None, None) => {}
        }
        Ok(app)
    }

    /// Makes `archive` what the app serves: all of it, or nothing changes.
    ///
    /// When this is ready with `Ok`, it survives a loss of power and is what requests are answered
    /// from. Waits for deploys that came before. Blocks for the central directory of the archive
    /// (about 1 ms for a thousand files), otherwise for a chunk of 256 KiB at a time.
    ///
    /// # Errors
    /// `Denied`; the refusal of the archive, with its code and entry; `Invalid` or `Conflict` for a
    /// name that no app can have; what the cartridge says.
    pub(crate) async fn deploy<R>(
        &self,
        call: &Call,
        upload: &Upload,
        archive: R,
    ) -> Result<Deployed>
    where
        R: Read + Seek + Send,
    {
        let app = self.permit(call, &upload.site).await?;
        let _turn = self.turn.lock().await;
        let mut archive = Buffered::new(archive);
        let plan = inspect(&mut archive, &self.limits).map_err(intake::refused)?;
        let checked = intake::check(&plan, &mut archive).await?;

        let app = match app {
            Some(app) => app,
            None if upload.site.starts_with(AppId::PREFIX) => {
                return Err(Error::not_found(format!("there is no app {}", upload.site)));
            }
            None => self.apps.ensure(call, &upload.site).await?,
        };
        let cartridge = self.host.cartridge();
        let mark = self.removals.mark();
        let unknown = intake::unknown(&cartridge, &checked.files).await?;
        intake::store_content(&cartridge, app.id, &plan, &checked, &mut archive, &unknown).await?;

        let deployment = self.describe(call, upload, app.id, &plan, checked.manifest.is_spa)?;
        let files = Arc::new(checked.files.clone());
        let deployment = match self.activate(&deployment, &files, Some(mark)).await {
            Err(error) if error.code() == CONTENT_GONE => {
                let all: Vec<usize> = (0..files.len()).collect();
                intake::store_content(&cartridge, app.id, &plan, &checked, &mut archive, &all)
                    .await?;
                self.activate(&deployment, &files, None).await?
            }
            other => other?,
        };
        // Whoever follows the removal of the app may have done so before this deployment existed.
        if self.apps.find(call, &app.id.to_string()).await?.is_none() {
            self.clear(app.id).await?;
            return Err(Error::conflict("the app was removed while it was deployed to"));
        }
        Ok(answer(upload, &app, &deployment, &plan, unknown.len()))
    }

    fn describe(
        &self,
        call: &Call,
        upload: &Upload,
        app: AppId,
        plan: &ArchivePlan,
        is_spa: bool,
    ) -> Result<StoredDeployment> {
        let source = if upload.source.is_empty() {
            None
        } else {
            Some(serde_json::to_string(&upload.source).map_err(|error| {
                Error::internal(format!("the source has no JSON form: {error}"))
            })?)
        };
        Ok(StoredDeployment {
            id: self.new_id()?,
            app,
            version: 0,
            created_at_ms: self.host.clock().unix_ms(),
            file_count: plan.entries().len() as u64,
            size_bytes: plan.total_bytes(),
            is_spa: upload.spa.unwrap_or(is_spa),
            source,
            principal: principal(call),
            preview: self.new_label()?,
            activated_at_ms: None,
        })
    }

    fn new_label(&self) -> Result<PreviewLabel> {
        PreviewLabel::from_random(&self.host.random(64))
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    fn new_id(&self) -> Result<DeploymentId> {
        DeploymentId::from_random(&self.host.random(64))
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    /// The one write: deployment, files, activation, event. The number is given here.
    ///
    /// Content that others stored is safe as long as they refer to it: with `mark`, the activation is
    /// refused when a deployment was removed since.
    async fn activate(
        &self,
        deployment: &StoredDeployment,
        files: &Arc<Vec<StoredFile>>,
        mark: Option<Mark>,
    ) -> Result<StoredDeployment> {
        let index = Index::new(deployment.id.clone(), deployment.is_spa, files.to_vec());
        let (index, indexes) = (Arc::new(index), Arc::clone(&self.indexes));
        let (deployment, files, keep) = (deployment.clone(), Arc::clone(files), self.keep);
        let (app, removals) = (deployment.app, Arc::clone(&self.removals));
        self.host
            .cartridge()
            .write(Some(app), move |transaction| {
                if mark.is_some_and(|mark| removals.mark() != mark) {
                    return Err(Error::conflict("content went away").with_code(CONTENT_GONE));
                }
                let version = store::newest_version(transaction, app)? + 1;
                let deployment = StoredDeployment { version, ..deployment.clone() };
                store::insert(transaction, &deployment)?;
                store::insert_files(transaction, &deployment.id, &files)?;
                switch(transaction, &deployment, deployment.created_at_ms)?;
                if store::prune(transaction, app, keep)? > 0 {
                    removals.record();
                }
                let (indexes, index) = (Arc::clone(&indexes), Arc::clone(&index));
                transaction.on_commit(move || indexes.activate(app, index))?;
                Ok(deployment)
            })
            .await
    }

    async fn clear(&self, app: AppId) -> Result<()> {
        let (indexes, removals) = (Arc::clone(&self.indexes), Arc::clone(&self.removals));
        self.host
            .cartridge()
            .write(Some(app), move |transaction| {
                removals.record();
                store::delete_app(transaction, app)?;
                let indexes = Arc::clone(&indexes);
                transaction.on_commit(move || indexes.forget(app))
            })
            .await
    }

    /// Makes an older deployment what the app serves: number `to`, or the one before the active.
    ///
    /// # Errors
    /// `Denied`; `NotFound` when there is no such deployment any more, `Conflict` when the app serves
    /// it already.
    pub(crate) async fn roll_back(
        &self,
        call: &Call,
        app: AppId,
        to: Option<u64>,
    ) -> Result<StoredDeployment> {
        check_scope(call)?;
        call.check_app(app)?;
        let (indexes, at_ms) = (Arc::clone(&self.indexes), self.host.clock().unix_ms());
        self.host
            .cartridge()
            .write(Some(app), move |transaction| {
                let target = rollback_target(transaction, app, to)?;
                switch(transaction, &target, at_ms)?;
                let indexes = Arc::clone(&indexes);
                transaction.on_commit(move || indexes.forget(app))?;
                Ok(target)
            })
            .await
    }
}

fn rollback_target(
    transaction: &Transaction<'_>,
    app: AppId,
    to: Option<u64>,
) -> Result<StoredDeployment> {
    let active = store::active(transaction, app)?.ok_or_else(|| {
        Error::not_found("the app has no deployment; make one with `fazt app deploy`")
    })?;
    let found = match to {
        Some(version) if version == active.version => {
            return Err(Error::conflict(format!("the app serves version {version} already")));
        }
        Some(version) => store::find_version(transaction, app, version)?,
        None => store::find_before(transaction, app, active.version)?,
    };
    found.ok_or_else(|| {
        Error::not_found(match to {
            Some(version) => format!(
                "the app has no version {version} any more; `fazt app deployments` lists what it has"
            ),
            None => format!("there is no version before {}, which the app serves", active.version),
        })
    })
}

/// Points the app at `to` and tells who listens, unless it is what the app serves.
pub(crate) fn switch(
    transaction: &Transaction<'_>,
    to: &StoredDeployment,
    at_ms: u64,
) -> Result<()> {
    let previous = store::active(transaction, to.app)?.map(|active| active.id);
    if previous.as_ref() == Some(&to.id) {
        return Ok(());
    }
    let previous = previous.map(|previous| previous.to_string());
    store::activate(transaction, to.app, &to.id, at_ms)?;
    transaction.emit(&DeploymentActivated {
        app: to.app,
        deployment: to.id.to_string(),
        version: to.version,
        previous,
        at_ms,
    })
}

pub(crate) fn check_scope(call: &Call) -> Result<()> {
    if call.has(Scope::Deploy) {
        return Ok(());
    }
    Err(Error::denied(
        "deploying needs the scope `deploy`; create a key with `fazt server create-key --scopes deploy`",
    ))
}

fn principal(call: &Call) -> String {
    match call.principal() {
        Principal::Owner => "owner".to_owned(),
        Principal::Key(id) => format!("key:{}", id.as_str()),
        Principal::User(id) => format!("user:{}", id.as_str()),
        Principal::System => "system".to_owned(),
        _ => "anonymous".to_owned(),
    }
}

fn answer(
    upload: &Upload,
    app: &App,
    deployment: &StoredDeployment,
    plan: &ArchivePlan,
    new_files: usize,
) -> Deployed {
    let url = app.urls.first().cloned().unwrap_or_default();
    let files = match deployment.file_count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    Deployed {
        site: upload.site.clone(),
        app_id: app.id,
        deployment_id: deployment.id.to_string(),
        version: deployment.version,
        message: format!("deployed {files} as version {} of {}", deployment.version, app.name),
        url,
        file_count: deployment.file_count,
        size_bytes: deployment.size_bytes,
        new_files: new_files as u64,
        warnings: warnings(plan),
    }
}

fn warnings(plan: &ArchivePlan) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let paths = || plan.entries().iter().map(crate::archive::PlannedEntry::path);
    if !paths().any(|path| path == "index.html") {
        let folder = paths().next().and_then(|path| path.split_once('/')).map(|(folder, _)| folder);
        let is_in = |path: &str| path.split_once('/').map(|(first, _)| first) == folder;
        warnings.push(match folder {
            Some(folder) if paths().all(is_in) => format!(
                "there is no index.html at the root: everything is in `{folder}/`; deploy what is \
                 in that folder instead"
            ),
            _ => "there is no index.html at the root: / answers 404".to_owned(),
        });
    }
    warnings.extend(plan.warnings().iter().map(|warning| match warning {
        Warning::CaseCollision { first, second } => {
            format!("`{first}` and `{second}` differ only by case and are two files")
        }
    }));
    warnings
}
