//! `hosting.code-check/1`: what is wrong with the code of a deployment, told to whoever deploys.

use std::sync::Arc;

use fazt_sdk::call::Call;
use fazt_sdk::services::CodeCheck;
use fazt_sdk::{AppId, Result};

use crate::cells::check::check;
use crate::cells::pool::Pool;
use crate::code::Codes;

/// The contributor.
pub(crate) struct Checks {
    pub(crate) codes: Arc<Codes>,
    pub(crate) pool: Arc<Pool>,
}

impl CodeCheck for Checks {
    async fn check(&self, call: &Call, app: AppId, preview: Option<String>) -> Result<Vec<String>> {
        match self.codes.find(call, app, preview.as_deref()).await? {
            Some(code) => check(&self.pool, call, &code).await,
            None => Ok(Vec::new()),
        }
    }
}
