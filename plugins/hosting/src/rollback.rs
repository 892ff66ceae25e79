//! Serving an older deployment again, and removing one: moves of pointers.

use std::sync::Arc;

use fazt_sdk::cartridge::Transaction;
use fazt_sdk::prelude::Call;
use fazt_sdk::services::sites::DeploymentActivated;
use fazt_sdk::{AppId, Error, Result};

use crate::deploy::{Deploys, check_scope};
use crate::model::{DeploymentId, StoredDeployment};
use crate::store;

impl Deploys {
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
        let wanted = Arc::clone(&self.wanted);
        self.host
            .cartridge()
            .write(Some(app), move |transaction| {
                let target = rollback_target(transaction, app, to)?;
                switch(transaction, &target, at_ms)?;
                let (indexes, wanted) = (Arc::clone(&indexes), Arc::clone(&wanted));
                let id = target.id.clone();
                transaction.on_commit(move || {
                    indexes.forget(app);
                    wanted.add(id);
                })?;
                Ok(target)
            })
            .await
    }

    /// Removes a deployment that the app does not serve.
    ///
    /// # Errors
    /// `Denied`; `NotFound` when there is none; `Conflict` for the active one.
    pub(crate) async fn remove(&self, call: &Call, id: DeploymentId) -> Result<StoredDeployment> {
        check_scope(call)?;
        let cartridge = self.host.cartridge();
        let wanted = id.clone();
        let found = store::read(&cartridge, move |reader| store::find(reader, &wanted)).await?;
        let unknown = || Error::not_found(format!("there is no deployment `{id}`"));
        let found = found.ok_or_else(unknown)?;
        // A key of another app learns nothing, not even that the deployment exists.
        call.check_app(found.app).map_err(|_| unknown())?;
        let (app, indexes) = (found.app, Arc::clone(&self.indexes));
        let removed = cartridge.write(Some(app), move |transaction| {
            if store::active(transaction, app)?.is_some_and(|active| active.id == found.id) {
                return Err(Error::conflict(format!(
                    "version {} is what the app serves; roll back or deploy first, then remove it",
                    found.version
                ))
                .with_code("DEPLOYMENT_ACTIVE"));
            }
            store::delete(transaction, &found.id)?;
            // What its preview host shows is kept under the app.
            let indexes = Arc::clone(&indexes);
            transaction.on_commit(move || indexes.forget(app))?;
            Ok(found.clone())
        });
        removed.await
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
