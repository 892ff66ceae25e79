//! The plugin's operations and commands, one file each.

mod env_list;
mod env_remove;
mod env_set;
mod logs;
mod secret_list;
mod secret_remove;
mod secret_set;

use fazt_sdk::AppId;
use fazt_sdk::call::Call;
use fazt_sdk::service::Service;
use fazt_sdk::services::{Apps as _, AppsApi};
use fazt_sdk::{Error, Result};

pub(crate) use env_list::ListEnv;
pub(crate) use env_remove::RemoveEnv;
pub(crate) use env_set::SetEnv;
pub(crate) use logs::Logs;
pub(crate) use secret_list::ListSecrets;
pub(crate) use secret_remove::RemoveSecret;
pub(crate) use secret_set::SetSecret;

/// The app that `reference` names, if the caller may touch it.
async fn app(apps: &Service<AppsApi>, call: &Call, reference: &str) -> Result<AppId> {
    let app = apps.find(call, reference).await?.ok_or_else(|| {
        Error::not_found(format!(
            "there is no app `{reference}`; `fazt app list` shows those that are there"
        ))
        .with_code("NO_SUCH_APP")
    })?;
    call.check_app(app.id)?;
    Ok(app.id)
}
