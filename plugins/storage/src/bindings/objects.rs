//! `fazt.app.s3` and `fazt.app.user.s3`, which `script.js` also calls `blobs`.

use std::time::Duration;

use fazt_sdk::call::Call;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::plugin::Started;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::services::Space;
use fazt_sdk::services::objects::{OBJECTS_MAX, Object, Objects as _, PART_BYTES_MAX};
use fazt_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, Paging, missing};
use super::{Form, Listed, base64};
use crate::hex;
use crate::objects::Store;

/// Name, arguments and what it does.
const FUNCTIONS: [(&str, &[&str], &str); 6] = [
    ("s3.put", &["path", "data", "mime"], "Puts text or bytes under a path"),
    ("s3.get", &["path"], "What is under a path, its data in base64; or null"),
    ("s3.head", &["path"], "What is under a path, without its data; or null"),
    ("s3.delete", &["path"], "Removes what is under a path"),
    ("s3.list", &["prefix", "options"], "What is below a prefix; options: limit, cursor"),
    (
        "s3.url",
        &["path", "options"],
        "An address that anybody may use for a while; options: expiresIn, in seconds",
    ),
];

pub(super) fn declare(mut manifest: Manifest) -> Manifest {
    for form in Form::BOTH {
        for (name, arguments, about) in FUNCTIONS {
            let mut binding = Binding::new(&form.name(name)).about(about);
            binding.arguments = arguments.iter().map(|name| (*name).to_owned()).collect();
            manifest = manifest.binding(binding);
        }
    }
    manifest
}

pub(super) fn bind(mut started: Started, store: &Store) -> Started {
    for form in Form::BOTH {
        started = bind_form(started, store, form);
    }
    started
}

/// Hands over one function of one form.
macro_rules! function {
    ($started:ident, $store:ident, $form:ident, $name:literal, $run:path) => {
        let store = $store.clone();
        $started = $started.bind(&$form.name($name), move |call: Call, arguments: Arguments| {
            let store = store.clone();
            async move {
                let space = $form.space(&call, $name)?;
                $run(&store, &call, &space, &arguments).await
            }
        });
    };
}

fn bind_form(mut started: Started, store: &Store, form: Form) -> Started {
    function!(started, store, form, "s3.put", put);
    function!(started, store, form, "s3.get", get);
    function!(started, store, form, "s3.head", head);
    function!(started, store, form, "s3.delete", delete);
    function!(started, store, form, "s3.list", list);
    function!(started, store, form, "s3.url", url);
    started
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

async fn put(store: &Store, call: &Call, space: &Space, arguments: &Arguments) -> Result<View> {
    let path = arguments.text(0, "s3.put requires a path")?;
    let requirement = "s3.put data must be string or ArrayBuffer";
    let data = arguments.json(1).ok_or_else(|| missing(requirement))?;
    let data = serde_json::from_str(data).map_err(|_| missing(requirement))?;
    let content = match data {
        Data::Text(text) => Bytes::from(text),
        Data::Bytes { base64 } => Bytes::from(base64::decode(&base64)?),
    };
    let mime = arguments.optional::<String>(2, "s3.put: mime")?.unwrap_or_default();
    let object = store.put(call, space, &path, content, &mime).await?;
    Ok(View::new(object, None))
}

async fn get(
    store: &Store,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Option<View>> {
    let path = arguments.text(0, "s3.get requires a path")?;
    let found = store.read(call, space, &path, 0, PART_BYTES_MAX as u64).await?;
    let Some(found) = found else { return Ok(None) };
    if found.object.size > found.content.len() as u64 {
        return Err(Error::too_large(format!(
            "`{path}` has more than {PART_BYTES_MAX} bytes; lead to it with s3.url"
        ))
        .with_code("OBJECT_TOO_LARGE"));
    }
    Ok(Some(View::new(found.object, Some(&found.content))))
}

async fn head(
    store: &Store,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Option<View>> {
    let path = arguments.text(0, "s3.head requires a path")?;
    let found = store.head(call, space, &path).await?;
    Ok(found.map(|object| View::new(object, None)))
}

async fn delete(store: &Store, call: &Call, space: &Space, arguments: &Arguments) -> Result<bool> {
    store.delete(call, space, &arguments.text(0, "s3.delete requires a path")?).await
}

async fn list(
    store: &Store,
    call: &Call,
    space: &Space,
    arguments: &Arguments,
) -> Result<Listed<View>> {
    let prefix = arguments.optional::<String>(0, "s3.list takes a prefix")?.unwrap_or_default();
    let paging = arguments.optional::<Paging>(1, "s3.list takes limit and cursor")?;
    let Paging { limit, cursor } = paging.unwrap_or_default();
    let page = store.list(call, space, &prefix, limit.unwrap_or(OBJECTS_MAX), cursor).await?;
    let items = page.objects.into_iter().map(|object| View::new(object, None)).collect();
    Ok(Listed { items, cursor: page.next })
}

/// Options of `s3.url`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UrlOptions {
    expires_in: Option<u64>,
}

async fn url(store: &Store, call: &Call, space: &Space, arguments: &Arguments) -> Result<String> {
    let path = arguments.text(0, "s3.url requires a path")?;
    let options = arguments.optional::<UrlOptions>(1, "s3.url: options")?.unwrap_or_default();
    let valid = Duration::from_secs(options.expires_in.unwrap_or(VALID_S));
    store.sign(call, space, &path, valid).await
}

/// How long an address is valid unless something else is said, in seconds.
const VALID_S: u64 = 3_600;
