//! Deploying: the rules, for every way in.
//!
//! A deployment is begun with the list of its files, gets the content that is not here yet, and is
//! completed in one short write. An archive goes the same way as a list of hashes; it only brings its
//! content along. What a list refers to stays in the cartridge while the deployment is pending, so
//! content that was found once is still there at the end.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use fazt_sdk::host::Host;
use fazt_sdk::prelude::{Call, Principal, Scope};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{App, Apps as _, AppsApi};
use fazt_sdk::services::{CodeCheck as _, CodeCheckApi};
use fazt_sdk::{AppId, Error, Result};
use futures_util::lock::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::archive::ArchiveLimits;
use crate::begin::Bounds;
use crate::complete::Complete;
use crate::index::Indexes;
use crate::intake::Intake;
use crate::model::{DeploymentId, PreviewLabel, StoredDeployment};
use crate::precompress::Wanted;
use crate::store::{self, Retention};

/// What to deploy, besides the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The app: its id, an alias of it, or the name of one that is to be made.
    pub(crate) site: String,
    /// Whether `index.html` answers paths that have no file; the root manifest decides when nobody
    /// says.
    pub(crate) spa: Option<bool>,
    /// Store it without activating it.
    pub(crate) preview: bool,
    /// Files below `private/` are meant to be deployed.
    pub(crate) include_private: bool,
    /// Where the files came from, in the client's words.
    pub(crate) source: BTreeMap<String, String>,
}

/// What a deploy answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Deployed {
    /// The name that the client gave, as it is kept.
    pub(crate) site: String,
    /// The app.
    pub(crate) app_id: AppId,
    /// `dep_` and 12 characters of base 62.
    pub(crate) deployment_id: String,
    /// Counts from 1 in each app.
    pub(crate) version: u64,
    /// Whether the app serves it.
    pub(crate) active: bool,
    /// Where the app is served; empty while it has no alias.
    pub(crate) url: String,
    /// Where this deployment is served, whatever the app serves later; empty while the app has no
    /// alias.
    pub(crate) preview_url: String,
    /// How many files it has.
    pub(crate) file_count: u64,
    /// Bytes of all files together.
    pub(crate) size_bytes: u64,
    /// Contents that were not stored before.
    pub(crate) new_files: u64,
    /// What the person who deploys should know.
    pub(crate) warnings: Vec<String>,
    /// One sentence.
    pub(crate) message: String,
}

/// Deploys and rolls back.
pub(crate) struct Deploys {
    pub(crate) host: Host,
    pub(crate) apps: Service<AppsApi>,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) retention: Retention,
    /// Whoever compresses is told what is new.
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) limits: ArchiveLimits,
    pub(crate) bounds: Bounds,
    /// The most that the contents of one app may take together, in bytes; 0 for no limit.
    pub(crate) app_bytes_max: u64,
    /// One archive is unpacked at a time: that is what bounds the memory and the time of a processor
    /// that deploys take.
    pub(crate) turn: Mutex<()>,
}

impl std::fmt::Debug for Deploys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deploys").field("retention", &self.retention).finish_non_exhaustive()
    }
}

impl Deploys {
    /// Refuses callers who may not deploy to `site`. Cheap: to be asked before an upload is read.
    ///
    /// # Errors
    /// `Denied` without the scope `deploy`, or when the key is for another app; `NotFound` for an id
    /// that no app has; `Invalid` or `Conflict` for a name that no app can get.
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
            (None, None) if site.starts_with(AppId::PREFIX) => {
                return Err(Error::not_found(format!("there is no app {site}")));
            }
            (None, None) => drop(self.apps.name_of_new(call, site).await?),
        }
        Ok(app)
    }

    /// Makes `archive` what the app serves: all of it, or nothing changes.
    ///
    /// When this is ready with `Ok`, it survives a loss of power and is what requests are answered
    /// from. Waits for deploys that came before.
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
        R: Read + Seek + Send + 'static,
    {
        let app = self.permit(call, &upload.site).await?.map(|app| app.id);
        let _turn = self.turn.lock().await;
        let mut intake = Intake::check(&self.host, archive, self.limits).await?;
        let begun = self.begin(upload, app, intake.files(), Bounds::NONE).await?;
        let id = begun.id.clone();
        let stored = async {
            intake.store(app, &begun.missing).await?;
            self.complete(call, &id).await
        };
        match stored.await {
            Ok(deployed) => Ok(deployed),
            Err(error) => {
                // What it was refused for is the answer, whether or not this works; the hour ends it.
                drop(self.throw_away(&id).await);
                Err(error)
            }
        }
    }

    /// Makes a pending deployment a deployment, and what the app serves unless it is a preview: all of
    /// it, or nothing changes.
    ///
    /// # Errors
    /// `Denied`; `NotFound` when it is not pending, `Conflict` with the code `CONTENT_MISSING` and the
    /// missing hashes; `Invalid` when content has another size than the list says; what a name that no
    /// app can have is refused for.
    pub(crate) async fn complete(&self, call: &Call, id: &DeploymentId) -> Result<Deployed> {
        check_scope(call)?;
        let pending = self.pending(call, id).await?;
        let complete = Complete::check(&self.host, &pending).await?;
        let app = match self.apps.find(call, &pending.app).await? {
            Some(app) => app,
            None if pending.app.starts_with(AppId::PREFIX) => return Err(removed()),
            None => self.apps.ensure(call, &pending.app).await?,
        };
        call.check_app(app.id)?;
        let deployment = StoredDeployment {
            id: id.clone(),
            app: app.id,
            version: 0,
            created_at_ms: self.host.clock().unix_ms(),
            file_count: pending.file_count,
            size_bytes: pending.size_bytes,
            is_spa: pending.spa.unwrap_or(complete.manifest.is_spa),
            source: pending.source.clone(),
            principal: principal(call),
            preview: self.new_label()?,
            activated_at_ms: None,
        };
        let deployment = complete.store(self, deployment, pending.is_preview).await?;
        // Whoever follows the removal of the app may have done so before this deployment existed.
        if self.apps.find(call, &app.id.to_string()).await?.is_none() {
            self.clear(app.id).await?;
            return Err(removed());
        }
        let mut warnings = complete.warnings;
        let label = pending.is_preview.then(|| deployment.preview.as_str().to_owned());
        warnings.extend(self.code_problems(call, app.id, label).await);
        Ok(answer(&pending, &app, &deployment, warnings))
    }

    /// What whoever runs code says of the code that was deployed. It is stored and served all the same:
    /// files do not depend on code.
    async fn code_problems(&self, call: &Call, app: AppId, preview: Option<String>) -> Vec<String> {
        let mut problems = Vec::new();
        for checker in self.host.contributions::<CodeCheckApi>().unwrap_or_default() {
            match checker.check(call, app, preview.clone()).await {
                Ok(found) => problems.extend(found),
                Err(error) => {
                    problems.push(format!("the app's code was not checked: {}", error.message()));
                }
            }
        }
        problems
    }

    pub(crate) fn new_id(&self) -> Result<DeploymentId> {
        DeploymentId::from_random(&self.host.random(64))
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    fn new_label(&self) -> Result<PreviewLabel> {
        PreviewLabel::from_random(&self.host.random(64))
            .ok_or_else(|| Error::internal("the system gave no random bytes"))
    }

    async fn clear(&self, app: AppId) -> Result<()> {
        let indexes = Arc::clone(&self.indexes);
        self.host
            .cartridge()
            .write(Some(app), move |transaction| {
                store::delete_app(transaction, app)?;
                let indexes = Arc::clone(&indexes);
                transaction.on_commit(move || indexes.forget(app))
            })
            .await
    }
}

pub(crate) fn check_scope(call: &Call) -> Result<()> {
    if call.has(Scope::Deploy) {
        return Ok(());
    }
    Err(Error::denied(
        "deploying needs the scope `deploy`; create a key with `fazt server create-key --scopes deploy`",
    ))
}

fn removed() -> Error {
    Error::conflict("the app was removed while it was deployed to")
}

/// Where the deployment with this label is served: the app's first address with the label before it.
pub(crate) fn preview_url(urls: &[String], label: &PreviewLabel) -> String {
    let parts = urls.first().and_then(|url| url.split_once("://"));
    parts
        .map_or_else(String::new, |(scheme, rest)| format!("{scheme}://{}--{rest}", label.as_str()))
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

/// The alias that the client meant by what it said, which may be a whole host and in capitals; what it
/// said when that was the app's id.
fn site(app: &App, said: &str) -> String {
    let label = said.split('.').next().unwrap_or(said);
    let meant = app.aliases.iter().find(|alias| alias.eq_ignore_ascii_case(label));
    meant.map_or(said, |alias| alias.as_str()).to_owned()
}

fn answer(
    pending: &crate::model::PendingDeployment,
    app: &App,
    deployment: &StoredDeployment,
    warnings: Vec<String>,
) -> Deployed {
    let message = match pending.is_preview {
        true => "Preview stored; the app serves what it served",
        // Scripts look for these two words, which are older than this program.
        false => "Deployment successful",
    };
    Deployed {
        site: site(app, &pending.site),
        app_id: app.id,
        deployment_id: deployment.id.to_string(),
        version: deployment.version,
        active: !pending.is_preview,
        url: app.urls.first().cloned().unwrap_or_default(),
        preview_url: preview_url(&app.urls, &deployment.preview),
        file_count: deployment.file_count,
        size_bytes: deployment.size_bytes,
        new_files: pending.new_files,
        warnings,
        message: message.to_owned(),
    }
}
