//! `hosting.sites/1`: what other plugins learn about the sites of apps.

use std::sync::Arc;

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::prelude::{Bytes, Call};
use fazt_sdk::services::sites::{
    CODE_ENDINGS, CONTENT_BYTES_MAX, CodeFile, Deployment, FileVisibility, SiteCode, SiteFile,
    Sites,
};
use fazt_sdk::{AppId, Result};

use crate::index::{File, Index, Indexes};
use crate::ready::content;
use crate::store;
use crate::visibility::Visibility;

/// The provider.
#[derive(Debug, Clone)]
pub(crate) struct Provide {
    pub(crate) cartridge: Cartridge,
    pub(crate) indexes: Arc<Indexes>,
}

impl Provide {
    async fn index(&self, app: AppId, preview: Option<String>) -> Result<Option<Arc<Index>>> {
        match preview {
            Some(label) => self.indexes.preview(app, &label).await,
            None => self.indexes.load(app).await,
        }
    }

    pub(crate) async fn content(&self, hash: [u8; 32], size: u64) -> Result<Bytes> {
        store::read(&self.cartridge, move |reader| content(reader, &hash, size)).await
    }
}

impl Sites for Provide {
    async fn active(&self, _: &Call, app: AppId) -> Result<Option<Deployment>> {
        let active = store::read(&self.cartridge, move |reader| store::active(reader, app)).await?;
        Ok(active.map(|active| active.public()))
    }

    async fn file(&self, _: &Call, app: AppId, path: &str) -> Result<Option<SiteFile>> {
        let Some(index) = self.indexes.load(app).await? else { return Ok(None) };
        let Some((_, File { entry, .. })) = index.get(path) else { return Ok(None) };
        let content = if entry.size <= CONTENT_BYTES_MAX {
            Some(self.content(entry.hash, entry.size).await?)
        } else {
            None
        };
        Ok(Some(SiteFile {
            deployment: index.deployment.to_string(),
            hash: entry.hash,
            size: entry.size,
            content_type: entry.content_type.to_owned(),
            visibility: told(entry.visibility),
            content,
        }))
    }

    async fn current(
        &self,
        _: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<Option<String>> {
        Ok(self.index(app, preview).await?.map(|index| index.deployment.to_string()))
    }

    async fn code(
        &self,
        _: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<Option<SiteCode>> {
        let Some(index) = self.index(app, preview).await? else { return Ok(None) };
        let may_be_code = |path: &str| CODE_ENDINGS.iter().any(|ending| path.ends_with(ending));
        let files = index.files().filter(|(path, _)| may_be_code(path));
        let mut files: Vec<_> = files
            .map(|(path, File { entry, .. })| CodeFile {
                path: path.to_owned(),
                hash: entry.hash,
                size: entry.size,
                visibility: told(entry.visibility),
            })
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Some(SiteCode { deployment: index.deployment.to_string(), files }))
    }
}

fn told(visibility: Visibility) -> FileVisibility {
    match visibility {
        Visibility::Public => FileVisibility::Public,
        Visibility::Private => FileVisibility::Private,
        Visibility::Server => FileVisibility::Server,
    }
}
