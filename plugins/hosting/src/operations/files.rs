//! `GET /api/apps/{app}/files`: the files that an app serves, page by page.

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::command::Format;
use fazt_sdk::prelude::{Argument, Call, Command, List, Operate, Operation};
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::AppsApi;
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::find_app;
use crate::model::{StoredFile, hex};
use crate::store;

/// Lists files.
#[derive(Debug)]
pub(crate) struct ListFiles {
    pub(crate) cartridge: Cartridge,
    pub(crate) apps: Service<AppsApi>,
}

/// The most files of one page.
const LIMIT_MAX: u32 = 1000;

pub(super) fn limit_default() -> u32 {
    200
}

/// Which files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The app: its id or an alias.
    app: String,
    /// Only paths that start with this.
    #[serde(default)]
    prefix: String,
    /// How many, from 1 to 1000.
    #[serde(default = "limit_default")]
    limit: u32,
    /// Where the page before ended.
    #[serde(default)]
    cursor: String,
}

/// A file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileView {
    /// Relative, with `/` between segments.
    path: String,
    /// Bytes.
    size_bytes: u64,
    /// What it is served as.
    content_type: &'static str,
    /// Who may fetch it: public, private or server.
    visibility: &'static str,
    /// SHA-256 of the content, in hexadecimal digits.
    sha256: String,
}

impl FileView {
    pub(super) fn new(file: StoredFile) -> Self {
        Self {
            path: file.path.into(),
            size_bytes: file.entry.size,
            content_type: file.entry.content_type,
            visibility: file.entry.visibility.as_str(),
            sha256: hex(&file.entry.hash),
        }
    }
}

impl ListFiles {
    pub(crate) const KEY: &str = "GET /api/apps/{app}/files";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/apps/{app}/files")
            .paginated()
            .summary("The files of the deployment that an app serves")
            .example(serde_json::json!({ "app": "blog", "prefix": "assets/", "limit": 100 }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app files")
            .about("List the files that an app serves")
            .example("app files blog --prefix assets/")
            .argument(Argument::required("app", "The app: its id or an alias"))
            .argument(Argument::option("prefix", "Only paths that start with this"))
            .argument(Argument::option("limit", "How many, from 1 to 1000"))
            .argument(Argument::option("cursor", "Where the page before ended"))
            .calls(Self::KEY)
            .column("PATH", "path")
            .column_as("SIZE", "size_bytes", Format::Bytes)
            .column("TYPE", "content_type")
            .column("VISIBILITY", "visibility")
    }
}

impl Operate for ListFiles {
    type Input = Input;
    type Output = List<FileView>;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let app = find_app(&self.apps, call, &input.app).await?.id;
        let Input { prefix, cursor, limit, .. } = input;
        let limit = checked(limit)?;
        let files = store::read(&self.cartridge, move |reader| match store::active(reader, app)? {
            // One more than asked for shows whether there are more.
            Some(active) => store::files_after(reader, &active.id, &prefix, &cursor, limit + 1),
            None => Ok(Vec::new()),
        });
        Ok(page(files.await?, limit))
    }
}

/// The limit, if it is one.
pub(super) fn checked(limit: u32) -> Result<u32> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::invalid(format!("`limit` is from 1 to {LIMIT_MAX}")))
}

/// A page out of one file more than it may have.
pub(super) fn page(mut files: Vec<StoredFile>, limit: u32) -> List<FileView> {
    let limit = limit as usize;
    let has_more = files.len() > limit;
    files.truncate(limit);
    let next = files.last().filter(|_| has_more).map(|last| last.path.to_string());
    List { items: files.into_iter().map(FileView::new).collect(), next }
}
