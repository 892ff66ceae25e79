//! `fazt.egress/1`: the way out as a service to plugins, and as `fazt.net.fetch` to apps.

use std::sync::{Arc, Weak};

use fazt_sdk::call::Call;
use fazt_sdk::services::Egress;
use fazt_sdk::services::egress::{OutboundRequest, OutboundResponse};
use fazt_sdk::{Error, Result};
use serde_json::Value;

use super::{fetch, script};
use crate::Core;

/// The provider. Holds the kernel weakly: the kernel holds its services.
#[derive(Clone)]
pub(crate) struct EgressService(pub(crate) Weak<Core>);

impl EgressService {
    fn core(&self) -> Result<Arc<Core>> {
        let core = self.0.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))?;
        if core.is_command() {
            return Err(Error::unavailable("the node does not run, so nothing is asked of others"));
        }
        Ok(core)
    }

    /// What `fazt.net.fetch` does with the list of its arguments.
    ///
    /// # Errors
    /// As `fazt.egress/1` says.
    pub(crate) async fn script(&self, call: &Call, arguments: Value) -> Result<Value> {
        let core = self.core()?;
        let request = script::request(arguments)?;
        fetch::fetch(&core, call, &request).await.map(script::response)
    }
}

impl Egress for EgressService {
    async fn fetch(&self, call: &Call, request: &OutboundRequest) -> Result<OutboundResponse> {
        fetch::fetch(&self.core()?, call, request).await
    }

    async fn fetch_json(&self, call: &Call, arguments: &str) -> Result<String> {
        let arguments = serde_json::from_str(arguments)
            .map_err(|error| Error::invalid(format!("fazt.net.fetch: {error}")))?;
        Ok(self.script(call, arguments).await?.to_string())
    }
}
