//! Objects: `fazt.objects/1`. Content lies in the cartridge's blobs, shared by whoever has the same.

mod download;
mod read;
mod references;
mod sign;
pub(crate) mod store;
mod upload;
mod write;

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::host::{Clock, Host};
use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::prelude::Bytes;
use fazt_sdk::service::Service;
use fazt_sdk::services::Space;
use fazt_sdk::services::apps::AppsApi;
use fazt_sdk::services::objects::{Object, ObjectPage, ObjectPart, Objects, PATH_BYTES_MAX};
use fazt_sdk::{Error, Result};

use self::sign::Signer;
use self::upload::Uploads;
use crate::account::Limits;
use crate::operations::{find_app, query_of, space};
use crate::place::Place;

pub(crate) use download::SendSigned;
pub(crate) use references::References;

/// `GET` and `PUT /api/storage/{app}/blobs/{path...}`: content for those who manage the app.
#[derive(Debug)]
pub(crate) struct AnswerObject {
    pub(crate) store: Store,
    pub(crate) apps: Service<AppsApi>,
}

impl Handler for AnswerObject {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let call = find_app(&self.apps, call, request.capture(0)).await?;
        let place = Place::of(&call, &space(query_of(&request, "user")))?;
        if request.method() == "PUT" {
            upload::take(&self.store, place, request).await
        } else {
            download::send(&self.store, place, &request).await
        }
    }
}

/// The provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) cartridge: Cartridge,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    signer: Arc<Signer>,
    uploads: Arc<Uploads>,
}

impl Store {
    pub(crate) fn new(host: &Host, limits: Limits) -> Self {
        Self {
            cartridge: host.cartridge(),
            clock: host.clock(),
            limits,
            signer: Arc::new(Signer::new(host)),
            uploads: Arc::default(),
        }
    }
}

/// A path, if it is one that stands in an address as it is.
pub(crate) fn checked_path(path: &str) -> Result<&str> {
    let is_path = (1..=PATH_BYTES_MAX).contains(&path.len())
        && !path.chars().any(|c| c == '\\' || c.is_control())
        && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if is_path {
        return Ok(path);
    }
    let shown: String = path.chars().take(60).collect();
    Err(Error::invalid(format!(
        "`{shown}` is no path: 1 to {PATH_BYTES_MAX} bytes, segments with `/` between them, none of \
         them empty, `.` or `..`"
    ))
    .with_code("INVALID_PATH"))
}

/// A media type, if it can stand in a header.
pub(crate) fn checked_type(content_type: &str) -> Result<&str> {
    let content_type = content_type.trim();
    let fits = content_type.len() <= TYPE_BYTES_MAX
        && content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match (fits, content_type) {
        (false, _) => {
            Err(Error::invalid("the content type is no media type").with_code("INVALID_TYPE"))
        }
        (true, "") => Ok("application/octet-stream"),
        (true, content_type) => Ok(content_type),
    }
}

const TYPE_BYTES_MAX: usize = 200;

impl Objects for Store {
    async fn put(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        content: Bytes,
        content_type: &str,
    ) -> Result<Object> {
        self.put_whole(Place::of(call, space)?, path, content, content_type).await
    }

    async fn head(&self, call: &Call, space: &Space, path: &str) -> Result<Option<Object>> {
        self.find(Place::of(call, space)?, path).await
    }

    async fn read(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        offset: u64,
        len: u64,
    ) -> Result<Option<ObjectPart>> {
        self.read_part(Place::of(call, space)?, path, offset, len).await
    }

    async fn delete(&self, call: &Call, space: &Space, path: &str) -> Result<bool> {
        self.remove(Place::of(call, space)?, path).await
    }

    async fn list(
        &self,
        call: &Call,
        space: &Space,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<ObjectPage> {
        self.read_page(Place::of(call, space)?, prefix, limit, cursor).await
    }

    async fn begin(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        content_type: &str,
    ) -> Result<u64> {
        self.begin_upload(Place::of(call, space)?, path, content_type)
    }

    async fn append(&self, call: &Call, upload: u64, content: Bytes) -> Result<()> {
        self.append_part(crate::place::app_of(call)?, upload, content).await
    }

    async fn finish(&self, call: &Call, upload: u64) -> Result<Object> {
        self.finish_upload(crate::place::app_of(call)?, upload).await
    }

    async fn sign(
        &self,
        call: &Call,
        space: &Space,
        path: &str,
        valid: Duration,
    ) -> Result<String> {
        self.signed(&Place::of(call, space)?, path, valid).await
    }
}
