//! Admin operations and their commands, one file each.

mod docs_collections;
mod docs_delete;
mod docs_explain;
mod docs_find;
mod docs_get;
mod docs_index;
mod docs_insert;
mod docs_update;
mod kv_delete;
mod kv_get;
mod kv_list;
mod kv_set;
mod objects_delete;
mod objects_list;
mod objects_sign;
mod usage;

use fazt_sdk::call::Call;
use fazt_sdk::command::Argument;
use fazt_sdk::http::Request;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::plugin::Started;
use fazt_sdk::service::Service;
use fazt_sdk::services::Space;
use fazt_sdk::services::apps::{Apps as _, AppsApi};
use fazt_sdk::{Error, Json as Value, Result};

use crate::data::Data;
use crate::documents::Collections;
use crate::kv::Values;
use crate::objects::Store;

/// What operations work on. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) apps: Service<AppsApi>,
    pub(crate) values: Values,
    pub(crate) collections: Collections,
    pub(crate) objects: Store,
    pub(crate) data: Data,
}

impl Context {
    /// The call on behalf of the app that `reference` names, if the caller may touch it.
    async fn call(&self, call: &Call, reference: &str) -> Result<Call> {
        find_app(&self.apps, call, reference).await
    }
}

/// The call on behalf of the app that `reference` names, if the caller may touch it.
pub(crate) async fn find_app(
    apps: &Service<AppsApi>,
    call: &Call,
    reference: &str,
) -> Result<Call> {
    let app = apps.find(call, reference).await?;
    let app = app.ok_or_else(|| {
        Error::not_found(format!("there is no app `{reference}`; `fazt app list` lists them"))
    })?;
    call.check_app(app.id)?;
    Ok(call.for_app(app.id))
}

/// A parameter of a query, decoded.
pub(crate) fn query_of(request: &Request, name: &str) -> Option<String> {
    let mut pairs = request.query().split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let (mut decoded, mut bytes) = (Vec::with_capacity(value.len()), value.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Declares all operations and commands.
pub(crate) fn declare(manifest: Manifest) -> Manifest {
    manifest
        .operation(usage::Usage::operation())
        .operation(kv_list::ListValues::operation())
        .operation(kv_get::GetValue::operation())
        .operation(kv_set::SetValue::operation())
        .operation(kv_delete::DeleteValue::operation())
        .operation(docs_collections::ListCollections::operation())
        .operation(docs_find::FindDocuments::operation())
        .operation(docs_explain::ExplainQuery::operation())
        .operation(docs_get::GetDocument::operation())
        .operation(docs_insert::InsertDocument::operation())
        .operation(docs_update::UpdateDocuments::operation())
        .operation(docs_delete::DeleteDocuments::operation())
        .operation(docs_index::SetIndex::operation())
        .operation(objects_list::ListObjects::operation())
        .operation(objects_delete::DeleteObject::operation())
        .operation(objects_sign::SignObject::operation())
        .command(usage::Usage::command())
        .command(objects_sign::SignObject::command())
        .command(objects_list::ListObjects::command())
        .command(objects_delete::DeleteObject::command())
        .command(docs_collections::ListCollections::command())
        .command(docs_find::FindDocuments::command())
        .command(docs_explain::ExplainQuery::command())
        .command(docs_get::GetDocument::command())
        .command(docs_insert::InsertDocument::command())
        .command(docs_update::UpdateDocuments::command())
        .command(docs_delete::DeleteDocuments::command())
        .command(docs_index::SetIndex::command())
        .command(kv_list::ListValues::command())
        .command(kv_get::GetValue::command())
        .command(kv_set::SetValue::command())
        .command(kv_delete::DeleteValue::command())
}

/// Hands over all operations.
pub(crate) fn run(started: Started, context: &Context) -> Started {
    let context = || context.clone();
    started
        .operation(objects_list::ListObjects::KEY, objects_list::ListObjects(context()))
        .operation(objects_delete::DeleteObject::KEY, objects_delete::DeleteObject(context()))
        .operation(objects_sign::SignObject::KEY, objects_sign::SignObject(context()))
        .operation(usage::Usage::KEY, usage::Usage(context()))
        .operation(
            docs_collections::ListCollections::KEY,
            docs_collections::ListCollections(context()),
        )
        .operation(docs_find::FindDocuments::KEY, docs_find::FindDocuments(context()))
        .operation(docs_explain::ExplainQuery::KEY, docs_explain::ExplainQuery(context()))
        .operation(docs_get::GetDocument::KEY, docs_get::GetDocument(context()))
        .operation(docs_insert::InsertDocument::KEY, docs_insert::InsertDocument(context()))
        .operation(docs_update::UpdateDocuments::KEY, docs_update::UpdateDocuments(context()))
        .operation(docs_delete::DeleteDocuments::KEY, docs_delete::DeleteDocuments(context()))
        .operation(docs_index::SetIndex::KEY, docs_index::SetIndex(context()))
        .operation(kv_list::ListValues::KEY, kv_list::ListValues(context()))
        .operation(kv_get::GetValue::KEY, kv_get::GetValue(context()))
        .operation(kv_set::SetValue::KEY, kv_set::SetValue(context()))
        .operation(kv_delete::DeleteValue::KEY, kv_delete::DeleteValue(context()))
}

/// The space of a user, or what is shared.
pub(crate) fn space(user: Option<String>) -> Space {
    user.map_or(Space::Shared, Space::User)
}

/// A kept text as a value.
fn value_of(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::internal(format!("what is kept is no JSON: {error}")))
}

/// A value that was given as JSON in the body, or as its text on the command line.
fn given(value: Option<Value>, json: Option<String>) -> Result<String> {
    match (value, json) {
        (Some(value), None) => Ok(value.to_string()),
        (None, Some(json)) => Ok(json),
        _ => Err(Error::invalid("give either `value` or its text as `json`")),
    }
}

fn app_argument() -> Argument {
    Argument::required("app", "The app: its id or an alias")
}

fn collection_argument() -> Argument {
    Argument::required("collection", "The collection")
}

fn user_argument() -> Argument {
    Argument::option("user", "Id of a user, for what is hers alone; without it, what is shared")
}
