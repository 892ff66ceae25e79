//! `fazt.apps/1`: the directory as a service to plugins.

use std::sync::{Arc, Weak};

use fazt_sdk::call::Call;
use fazt_sdk::services::Apps;
use fazt_sdk::services::apps::App;
use fazt_sdk::{Error, Result};

use crate::Core;

/// The provider. Holds the kernel weakly: the kernel holds its services.
pub(crate) struct AppsService(pub(crate) Weak<Core>);

impl AppsService {
    fn core(&self) -> Result<Arc<Core>> {
        self.0.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }
}

impl Apps for AppsService {
    async fn find(&self, _call: &Call, reference: &str) -> Result<Option<App>> {
        let core = self.core()?;
        let directory = core.directory.now();
        Ok(directory.find(&core.label(reference)).map(|app| core.app_record(&directory, app)))
    }

    async fn list(&self, call: &Call) -> Result<Vec<App>> {
        let core = self.core()?;
        let directory = core.directory.now();
        let apps = directory.apps.values().map(|app| &**app);
        Ok(core.app_records(&directory, apps.filter(|app| call.check_app(app.id).is_ok())))
    }

    async fn ensure(&self, call: &Call, name: &str) -> Result<App> {
        let core = self.core()?;
        // By id or alias only: whoever deploys to a name that leads nowhere means a new app, not the
        // one that was once called so.
        let name = &*core.label(name);
        let existing = core.directory.now().find_exactly(name).cloned();
        let app = match existing {
            Some(app) => app,
            None if call.limited_to().is_some() => {
                return Err(Error::denied(format!(
                    "this key is for one app only and cannot create {name}"
                )));
            }
            None => core.directory.ensure(name, core.new_app_id()?).await?,
        };
        call.check_app(app.id)?;
        let directory = core.directory.now();
        Ok(core.app_record(&directory, &app))
    }

    async fn name_of_new(&self, _call: &Call, name: &str) -> Result<String> {
        let core = self.core()?;
        let name = core.label(name);
        core.directory.check_ensure(&name)?;
        Ok(name)
    }
}
