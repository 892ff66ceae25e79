//! `hosting.code-check/1`: what is wrong with the code of a deployment, told to whoever deploys.

use std::sync::Arc;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::services::CodeCheck;
use fazt_sdk::{AppId, Result};

use crate::background::declared::Declarations;
use crate::cells::check::check;
use crate::cells::pool::Pool;
use crate::code::Codes;
use crate::stripped;

/// The contributor.
pub(crate) struct Checks {
    pub(crate) cartridge: Cartridge,
    pub(crate) codes: Arc<Codes>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) declarations: Arc<Declarations>,
}

impl CodeCheck for Checks {
    async fn check(&self, call: &Call, app: AppId, preview: Option<String>) -> Result<Vec<String>> {
        // First: schedules count whatever becomes of the code.
        let mut problems = match preview.clone() {
            None => self.declarations.apply(call, app).await?,
            preview => self.declarations.check(call, app, preview).await?,
        };
        if let Some(code) = self.codes.find(call, app, preview.as_deref()).await? {
            let checked = check(&self.pool, call, &code).await?;
            problems.extend(checked.problems);
            let made = code.learn_stripped(checked.stripped);
            if !made.is_empty() {
                let now_ms = self.pool.around.host.clock().unix_ms();
                stripped::store::keep(&self.cartridge, made, now_ms).await?;
            }
        }
        Ok(problems)
    }
}
