//! A deploy by hashes: say what the site holds, send what the node lacks, make it live.
//!
//! What was sent stays on the node for a while, so a deploy that broke off goes on where it stopped
//! when it is started again. Nothing is live before the last step, which is one.

mod parcel;
mod retry;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fazt_sdk::http::Method;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::invoke::encoded;
use crate::output::Progress;
use crate::site::{Content, SiteFile};
use crate::transport::{self, Request, Transport};
use parcel::Parcel;
use retry::patiently;

/// What is deployed.
pub(crate) struct Deploy<'a> {
    /// The app's name.
    pub(crate) app: &'a str,
    /// The files of the site.
    pub(crate) files: &'a [SiteFile],
    /// What they hold, in the same order.
    pub(crate) contents: &'a [Content],
    /// What else the node is told, by field.
    pub(crate) options: Map<String, Value>,
}

/// How far a deploy is. Shared with whoever shows it, or says how it ended.
#[derive(Default)]
pub(crate) struct Meter {
    sent_bytes: AtomicU64,
    sent_files: AtomicUsize,
    is_activating: AtomicBool,
    progress: Mutex<Option<Progress>>,
}

impl Meter {
    /// Shows `progress` from now on.
    pub(crate) fn shows(&self, progress: Option<Progress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Whether the last step has begun: whether it took effect is for the node to say.
    pub(crate) fn is_activating(&self) -> bool {
        self.is_activating.load(Ordering::Relaxed)
    }

    /// How many bytes arrived.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    fn arrived(&self, files: usize, bytes: u64) {
        self.sent_files.fetch_add(files, Ordering::Relaxed);
        let done = self.sent_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = &mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            progress.at(done);
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Deployed {
    /// What the node answered.
    pub(crate) data: Value,
    /// How many files hold something that the node did not have.
    pub(crate) new_files: usize,
}

impl Deploy<'_> {
    /// Deploys. `begins` is told, before anything is sent, how many files of how many bytes it is.
    pub(crate) async fn run(
        &self,
        node: &dyn Transport,
        meter: &Meter,
        begins: impl FnOnce(usize, u64),
    ) -> Result<Deployed, Failure> {
        let declared = transport::ask(node, self.declaration()).await.map_err(too_old)?.data;
        let id = declared.get("deployment_id").and_then(Value::as_str).ok_or_else(|| {
            Failure::failed(format!("{} names no deployment: a defect", node.place()))
        })?;
        let mut missing = hashes(declared.get("missing"));
        let new_files =
            self.contents.iter().filter(|content| missing.contains(&content.hex())).count();
        let parcels = self.parcels(&missing);
        begins(
            parcels.iter().map(Parcel::files).sum(),
            parcels.iter().map(Parcel::size_bytes).sum(),
        );
        self.send(node, meter, parcels).await?;
        for _ in 0..ACTIVATIONS_MAX {
            meter.is_activating.store(true, Ordering::Relaxed);
            let target = format!("/api/deployments/{}/activate", encoded(id));
            let activated = patiently(async || {
                transport::ask(node, Request::new(Method::Post, target.clone())).await
            });
            match activated.await {
                Ok(answer) => return Ok(Deployed { data: answer.data, new_files }),
                // Content went away since it was asked for: the last deployment that held it did.
                Err(failure) if failure.code.as_deref() == Some("CONTENT_MISSING") => {
                    missing =
                        hashes(failure.details.as_ref().and_then(|details| details.get("missing")));
                    meter.is_activating.store(false, Ordering::Relaxed);
                    self.send(node, meter, self.parcels(&missing)).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::failed("content goes away on the node as fast as it is sent")
            .hint("try again when no other deploys run"))
    }

    fn declaration(&self) -> Request {
        let files = self.files.iter().zip(self.contents).map(|(file, content)| {
            json!({"path": file.path, "sha256": content.hex(), "size": content.size_bytes})
        });
        let mut document = self.options.clone();
        document.insert("files".to_owned(), files.collect());
        let target = format!("/api/apps/{}/deployments", encoded(self.app));
        Request::new(Method::Post, target).json(&Value::Object(document))
    }

    /// What is missing, each content once, small ones together.
    fn parcels(&self, missing: &HashSet<String>) -> Vec<Parcel> {
        let mut wanted = HashMap::new();
        for (file, content) in self.files.iter().zip(self.contents) {
            if missing.contains(&content.hex()) {
                wanted.entry(content.sha256).or_insert((file, content));
            }
        }
        let mut wanted: Vec<_> = wanted.into_values().collect();
        wanted.sort_by(|(left, _), (right, _)| left.path.cmp(&right.path));
        Parcel::all(wanted.into_iter().map(|(file, content)| (file.clone(), *content)))
    }

    async fn send(
        &self,
        node: &dyn Transport,
        meter: &Meter,
        parcels: Vec<Parcel>,
    ) -> Result<(), Failure> {
        let sending = parcels.into_iter().map(|parcel| async move {
            patiently(async || {
                let request = parcel.request().await?;
                transport::ask(node, request).await.map_err(|failure| parcel.why(failure))
            })
            .await?;
            meter.arrived(parcel.files(), parcel.size_bytes());
            Ok(())
        });
        futures_util::stream::iter(sending)
            .buffer_unordered(PARCELS_AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }
}

fn hashes(list: Option<&Value>) -> HashSet<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|hash| hash.as_str().map(str::to_owned)).collect()
}

/// A node from before deploys by hashes knows archives only.
fn too_old(failure: Failure) -> Failure {
    let is_unknown =
        matches!(failure.code.as_deref(), Some("NO_SUCH_OPERATION" | "METHOD_NOT_ALLOWED"));
    if !is_unknown {
        return failure;
    }
    Failure { message: "the node does not know deploys by hashes".to_owned(), ..failure }
        .hint("does it run the plugin hosting, and this version of fazt? A .zip file works with older ones")
}

/// How many parcels are on their way at a time.
const PARCELS_AT_ONCE: usize = 4;
/// How often content may go away before the deploy gives up.
const ACTIVATIONS_MAX: usize = 4;
