//! `GET /api/deployments/{id}/content/{path...}`: a file of a deployment as it is, for whoever
//! manages the app.

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::prelude::Call;
use fazt_sdk::{Error, Result};

use crate::model::{DeploymentId, hex};
use crate::store;

/// Hands out content.
#[derive(Debug)]
pub(crate) struct SendContent {
    pub(crate) cartridge: Cartridge,
}

impl Handler for SendContent {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let (id, path) = (request.capture(0).to_owned(), request.capture(1).to_owned());
        let unknown = || Error::not_found(format!("there is no deployment `{id}`"));
        let wanted = DeploymentId::parse(&id).ok_or_else(unknown)?;
        let of = path.clone();
        let found = store::read(&self.cartridge, move |reader| {
            let Some(deployment) = store::find(reader, &wanted)? else { return Ok(None) };
            Ok(Some((deployment, store::file_at(reader, &wanted, &of)?)))
        });
        let (deployment, file) = found.await?.ok_or_else(unknown)?;
        // A key of another app learns nothing, not even that the deployment exists.
        call.check_app(deployment.app).map_err(|_| unknown())?;
        let file = file.ok_or_else(|| {
            Error::not_found(format!(
                "version {} has no file `{path}`; GET /api/deployments/{id}/files lists them",
                deployment.version
            ))
        })?;
        // Never as what it is: this is the host of the owner, and the content is an app's.
        Ok(Response::new(200)
            .header("content-type", "application/octet-stream")
            .header("content-disposition", "attachment")
            .header("content-security-policy", "sandbox; default-src 'none'")
            .header("x-content-type-options", "nosniff")
            .header("cache-control", "private, no-cache")
            .header("etag", format!("\"{}\"", hex(&file.entry.hash)))
            .blob(file.entry.hash, 0, file.entry.size))
    }
}
