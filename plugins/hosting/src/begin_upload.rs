//! `POST /api/apps/{app}/deployments`: a list of files, answered with the contents that are missing.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use fazt_sdk::host::Host;
use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::prelude::Call;
use fazt_sdk::{Error, Result};
use serde::Deserialize;
use serde_json::json;

use crate::admission::Admission;
use crate::deploy::{Deploys, Upload};
use crate::model::{Entry, StoredFile, from_hex, hex};
use crate::upload::{SOURCE_BYTES_MAX, spooled};
use crate::visibility::{Layout, Visibility};

/// The longest list, in bytes: some 300 for each of the most files that any setting allows would be
/// more, but nobody writes such paths.
pub(crate) const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Takes in lists of files.
#[derive(Debug)]
pub(crate) struct TakeList {
    pub(crate) host: Host,
    pub(crate) deploys: Arc<Deploys>,
    /// Each list has a scratch file until it is its turn.
    pub(crate) admission: Admission,
}

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    files: Vec<ListedFile>,
    #[serde(default)]
    spa: Option<bool>,
    #[serde(default)]
    preview: bool,
    #[serde(default)]
    include_private: bool,
    #[serde(default)]
    source: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedFile {
    path: String,
    sha256: String,
    size: u64,
}

impl Handler for TakeList {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        if !request.query().is_empty() {
            return Err(Error::invalid("the list is the body; there are no parameters"));
        }
        let site = request.capture(0).to_owned();
        let app = self.deploys.permit(call, &site).await?.map(|app| app.id);
        let _permit = self.admission.admit()?;
        let spool = spooled(&self.host, request.into_body(), LIST_BYTES_MAX).await?;
        // One list is taken apart at a time: that bounds the memory that they take.
        let begun = {
            let _turn = self.deploys.turn.lock().await;
            let (upload, files) = read(site, spool)?;
            let begun = self.deploys.begin(&upload, app, &files, self.deploys.bounds).await?;
            let missing = begun.missing.iter().map(|at| hex(&files[*at].entry.hash));
            json!({
                "deployment_id": begun.id.as_str(),
                "missing": missing.collect::<Vec<_>>(),
                "expires_at_ms": begun.expires_at_ms,
            })
        };
        Response::json(&json!({ "data": begun }))
    }
}

fn read(site: String, mut spool: fazt_sdk::spool::Spool) -> Result<(Upload, Vec<StoredFile>)> {
    let mut text = Vec::with_capacity(usize::try_from(spool.size()).unwrap_or(0));
    spool
        .read_to_end(&mut text)
        .map_err(|error| Error::internal(format!("read a list of files: {error}")))?;
    let list: List = serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("the list of files cannot be read: {error}")))?;
    drop(text);
    let List { files, spa, preview, include_private, source } = list;
    if source.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > SOURCE_BYTES_MAX
    {
        return Err(Error::too_large(format!(
            "`source` is longer than {SOURCE_BYTES_MAX} bytes together"
        )));
    }
    let files = files.into_iter().map(|ListedFile { path, sha256, size }| {
        let hash = from_hex(&sha256).ok_or_else(|| {
            Error::invalid(format!(
                "`sha256` of `{}` is not a SHA-256: 64 digits of 0-9a-f",
                path.escape_debug()
            ))
            .with_details(json!({ "path": path }))
        })?;
        // What the app's manifest changes about it is decided at the end of every deploy.
        let visibility = Visibility::of(&path, Layout::default());
        Ok(StoredFile::new(&path, Entry::new(&path, hash, size, visibility)))
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    Ok((Upload { site, spa, preview, include_private, source }, files))
}
