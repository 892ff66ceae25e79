//! `fazt.app.s3` and `fazt.app.user.s3`, which `script.js` also calls `blobs`.

use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::services::objects::{OBJECTS_MAX, Object, Objects as _, PART_BYTES_MAX};
use fazt_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, Paging, missing};
use super::{Form, Given, Listed, base64};
use crate::hex;
use crate::objects::Store;

functions! {
    Store;
    "s3.put", ["path", "data", "mime"], put =>
        "Puts text or bytes under a path";
    "s3.get", ["path"], get =>
        "What is under a path, its data in base64; or null";
    "s3.head", ["path"], head =>
        "What is under a path, without its data; or null";
    "s3.delete", ["path"], delete =>
        "Removes what is under a path";
    "s3.list", ["prefix", "options"], list =>
        "What is below a prefix; options: limit, cursor";
    "s3.url", ["path", "options"], url =>
        "An address that anybody may use for a while; options: expiresIn, in seconds";
}

/// Text, or bytes as bindings carry them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Data {
    Text(String),
    Bytes {
        #[serde(rename = "$bytes")]
        base64: String,
    },
}

/// An object, as JavaScript sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    mime: String,
    size: u64,
    hash: String,
    updated_at: u64,
}

impl View {
    fn new(object: Object, content: Option<&Bytes>) -> Self {
        Self {
            path: object.path,
            data: content.map(|content| base64::encode(content)),
            mime: object.content_type,
            size: object.size,
            hash: hex::encode(&object.hash),
            updated_at: object.updated_at_ms,
        }
    }
}

async fn put(given: &Given<'_, Store>) -> Result<View> {
    let path = given.arguments.text(0, "s3.put requires a path")?;
    let requirement = "s3.put data must be string or ArrayBuffer";
    let data = given.arguments.json(1).ok_or_else(|| missing(requirement))?;
    let data = serde_json::from_str(data).map_err(|_| missing(requirement))?;
    let content = match data {
        Data::Text(text) => Bytes::from(text),
        Data::Bytes { base64 } => Bytes::from(base64::decode(&base64)?),
    };
    let mime = given.arguments.optional::<String>(2, "s3.put: mime")?.unwrap_or_default();
    let object = given.store.put(given.call, given.space, &path, content, &mime).await?;
    Ok(View::new(object, None))
}

async fn get(given: &Given<'_, Store>) -> Result<Option<View>> {
    let path = given.arguments.text(0, "s3.get requires a path")?;
    let found = given.store.read(given.call, given.space, &path, 0, PART_BYTES_MAX as u64).await?;
    let Some(found) = found else { return Ok(None) };
    if found.object.size > found.content.len() as u64 {
        return Err(Error::too_large(format!(
            "`{path}` has more than {PART_BYTES_MAX} bytes; lead to it with s3.url"
        ))
        .with_code("OBJECT_TOO_LARGE"));
    }
    Ok(Some(View::new(found.object, Some(&found.content))))
}

async fn head(given: &Given<'_, Store>) -> Result<Option<View>> {
    let path = given.arguments.text(0, "s3.head requires a path")?;
    let found = given.store.head(given.call, given.space, &path).await?;
    Ok(found.map(|object| View::new(object, None)))
}

async fn delete(given: &Given<'_, Store>) -> Result<bool> {
    given
        .store
        .delete(given.call, given.space, &given.arguments.text(0, "s3.delete requires a path")?)
        .await
}

async fn list(given: &Given<'_, Store>) -> Result<Listed<View>> {
    let prefix =
        given.arguments.optional::<String>(0, "s3.list takes a prefix")?.unwrap_or_default();
    let paging = given.arguments.optional::<Paging>(1, "s3.list takes limit and cursor")?;
    let Paging { limit, cursor } = paging.unwrap_or_default();
    let page = given
        .store
        .list(given.call, given.space, &prefix, limit.unwrap_or(OBJECTS_MAX), cursor)
        .await?;
    let items = page.objects.into_iter().map(|object| View::new(object, None)).collect();
    Ok(Listed { items, cursor: page.next })
}

/// Options of `s3.url`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UrlOptions {
    expires_in: Option<u64>,
}

async fn url(given: &Given<'_, Store>) -> Result<String> {
    let path = given.arguments.text(0, "s3.url requires a path")?;
    let options = given.arguments.optional::<UrlOptions>(1, "s3.url: options")?.unwrap_or_default();
    let valid = Duration::from_secs(options.expires_in.unwrap_or(VALID_S));
    given.store.sign(given.call, given.space, &path, valid).await
}

/// How long an address is valid unless something else is said, in seconds.
const VALID_S: u64 = 3_600;
