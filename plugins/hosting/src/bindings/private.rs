//! `fazt.private`: an app's own code reads what is below `private/` in the deployment that is live. Over
//! HTTP these files are for people who are signed in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fazt_sdk::prelude::*;
use fazt_sdk::services::sites::CONTENT_BYTES_MAX;
use fazt_sdk::{Json, json};

use crate::index::File;
use crate::sites::Provide;

const FOLDER: &str = "private/";

/// Name, argument, what it answers.
const FUNCTIONS: [(&str, &str, &str); 5] = [
    ("private.read", "path", "The text of a file; undefined when there is none"),
    ("private.readJSON", "path", "The value of a JSON file; null when there is none"),
    ("private.readBytes", "path", "The bytes of a file; undefined when there is none"),
    ("private.exists", "path", "Whether there is such a file"),
    ("private.list", "folder", "The paths of all files, or of those below a folder"),
];

/// Declares all functions.
pub(super) fn declare(manifest: Manifest) -> Manifest {
    FUNCTIONS.iter().fold(manifest, |manifest, (name, argument, about)| {
        manifest.binding(Binding::new(name).args([*argument]).about(about))
    })
}

/// Hands over all functions.
pub(super) fn bind(started: Started, sites: &Provide) -> Started {
    FUNCTIONS.iter().fold(started, |started, (name, ..)| {
        let (sites, name) = (sites.clone(), *name);
        started.bind(name, move |call: Call, arguments: Vec<Json>| {
            let sites = sites.clone();
            async move { answer(&sites, &call, name, arguments.first()).await }
        })
    })
}

async fn answer(sites: &Provide, call: &Call, name: &str, argument: Option<&Json>) -> Result<Json> {
    let app = call.app().ok_or_else(|| Error::invalid(format!("fazt.{name} is for apps")))?;
    let Some(index) = sites.indexes.load(app).await? else { return Ok(nothing(name)) };
    let path = match argument {
        None | Some(Json::Null) if name == "private.list" => String::new(),
        Some(Json::String(path)) => below(path, name)?,
        _ => return Err(wrong(format!("fazt.{name} requires a path"))),
    };
    if name == "private.list" {
        let files = index.files().filter_map(|(known, _)| known.strip_prefix(FOLDER));
        let folder = if path.is_empty() { path } else { format!("{path}/") };
        let mut paths: Vec<_> = files.filter(|known| known.starts_with(&folder)).collect();
        paths.sort_unstable();
        return Ok(json!(paths));
    }
    let found = index.get(&format!("{FOLDER}{path}")).map(|(_, file)| file);
    match (name, found) {
        ("private.exists", found) => Ok(found.is_some().into()),
        (_, None) => Ok(Json::Null),
        ("private.readBytes", Some(file)) => {
            let content = content(sites, file, &path).await?;
            Ok(json!({ "$bytes": BASE64_STANDARD.encode(content) }))
        }
        ("private.readJSON", Some(file)) => {
            let content = content(sites, file, &path).await?;
            serde_json::from_slice(&content).map_err(|error| {
                wrong(format!("private/{path} is no JSON: {error}")).with_code("INVALID_JSON")
            })
        }
        (_, Some(file)) => {
            let content = content(sites, file, &path).await?;
            match String::from_utf8(content.to_vec()) {
                Ok(text) => Ok(text.into()),
                Err(_) => Err(wrong(format!(
                    "private/{path} is no text; fazt.private.readBytes reads it as it is"
                ))),
            }
        }
    }
}

/// What an app without files is answered.
fn nothing(name: &str) -> Json {
    match name {
        "private.list" => json!([]),
        "private.exists" => false.into(),
        _ => Json::Null,
    }
}

async fn content(sites: &Provide, file: &File, path: &str) -> Result<Bytes> {
    let entry = &file.entry;
    if entry.size > CONTENT_BYTES_MAX {
        return Err(Error::too_large(format!(
            "private/{path} has {} bytes, and scripts read {CONTENT_BYTES_MAX} at most",
            entry.size
        )));
    }
    sites.content(entry.hash, entry.size).await
}

/// A path below the folder, in the form in which files are known.
fn below(path: &str, name: &str) -> Result<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(wrong(format!("fazt.{name}: a path has no `.` and no `..`")));
    }
    Ok(path.to_owned())
}

fn wrong(message: String) -> Error {
    Error::invalid(message).with_code("INVALID_ARGUMENT")
}
