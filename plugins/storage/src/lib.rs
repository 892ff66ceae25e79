//! Data of apps: values under keys, documents, objects.
//!
//! | What | Where |
//! |---|---|
//! | `fazt.kv/1` | `kv`: `read`, `write`, `expire`; its SQL in `kv/store` |
//! | `fazt.documents/1` | `documents`, [`query`] (what is asked), [`documents::change`] (what changes) |
//! | | its SQL in `documents/store`: `condition` and `plan` make statements out of queries |
//! | `fazt.objects/1` | `objects`: content, signed addresses; its SQL in `objects/store` |
//! | `fazt.transactions/1` | `transactions` |
//! | quotas and versions | `account` |
//! | what JavaScript calls | `bindings` |
//! | collections and keys as files | `transfer`: JSON lines, CSV |
//! | operations and commands | `operations`, one file each |
//! | move of an app | `data`: export, import, fork, removal |
//! | JSON that is kept | [`json`] |
//!
//! Every statement names the app that the kernel put into the call; nothing that a caller sends
//! becomes part of a statement's text.

pub mod json;

mod account;
mod bindings;
mod data;
pub mod documents;
mod hex;
mod kv;
mod objects;
mod operations;
mod pace;
mod place;
pub mod query;
mod reading;
mod settings;
mod transactions;
mod transfer;

use std::time::Duration;

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::{
    AppDataApi, AppsApi, BlobRefsApi, DocumentsApi, KvApi, ObjectsApi, TransactionsApi,
};

use crate::account::Limits;
use crate::data::Data;
use crate::documents::Collections;
use crate::kv::Values;
use crate::objects::{AnswerObject, References, SendSigned, Store};
use crate::operations::Context;
use crate::transactions::Commits;
use crate::transfer::{Kind, Transfer};

const NAME: &str = "storage";
const OBJECT: &str = "/api/storage/{app}/blobs/{path...}";
const EXPORT: &str = "/api/storage/{app}/export/{collection}";
const IMPORT: &str = "/api/storage/{app}/import/{collection}";
const EXPORT_KEYS: &str = "/api/storage/{app}/kv/export";
const IMPORT_KEYS: &str = "/api/storage/{app}/kv/import";
const SIGNED: &str = "/_fazt/blobs/{path...}";

/// The largest body of an object; `storage.object_bytes_max` decides.
const OBJECT_BYTES_CEILING: u64 = 64 * 1024 * 1024 * 1024;

/// The plugin.
#[derive(Debug, Default)]
pub struct Storage;

impl Plugin for Storage {
    fn manifest(&self) -> Manifest {
        let manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Data of apps: values under keys, documents, objects")
            .requires::<AppsApi>()
            .provides::<KvApi>()
            .provides::<DocumentsApi>()
            .provides::<ObjectsApi>()
            .provides::<TransactionsApi>()
            .contributes::<BlobRefsApi>()
            .route(Route::app(Method::Get, SIGNED).public())
            .route(Route::admin(Method::Get, OBJECT))
            .route(Route::admin(Method::Get, EXPORT))
            .route(Route::admin(Method::Post, IMPORT).body_max(OBJECT_BYTES_CEILING))
            .route(Route::admin(Method::Get, EXPORT_KEYS))
            .route(Route::admin(Method::Post, IMPORT_KEYS).body_max(OBJECT_BYTES_CEILING))
            .route(Route::admin(Method::Put, OBJECT).body_max(OBJECT_BYTES_CEILING))
            .contributes::<AppDataApi>()
            .follows::<AppRemoved>()
            .migrations(migrations!("../../../migrations/storage": "0001_create_kv", "0002_create_documents", "0003_create_objects"))
            .script(bindings::SCRIPT);
        let manifest = settings::all().into_iter().fold(manifest, Manifest::setting);
        operations::declare(bindings::declare(manifest))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let (cartridge, limits) = (host.cartridge(), Limits::of(&host)?);
        let values = Values::new(&host, limits);
        let collections = Collections::new(&host, limits);
        let objects = Store::new(&host, limits);
        let apps = host.service::<AppsApi>()?;
        let data = Data::new(&host, limits);
        let sweep_every = Duration::from_millis(host.setting::<u64>("sweep")?.max(1_000));
        host.tasks().every("sweep", sweep_every, {
            let (values, data) = (values.clone(), data.clone());
            move || {
                let (values, data) = (values.clone(), data.clone());
                async move {
                    values.sweep().await?;
                    data.remove_condemned().await
                }
            }
        })?;
        let commits = Commits { values: values.clone(), collections: collections.clone() };
        let transfer = |kind| Transfer {
            kind,
            collections: collections.clone(),
            values: values.clone(),
            apps: apps.clone(),
        };
        let context = Context {
            apps: apps.clone(),
            values: values.clone(),
            collections: collections.clone(),
            objects: objects.clone(),
            data: data.clone(),
        };
        let started = Started::new()
            .provide(KvApi::of(values.clone()))
            .provide(DocumentsApi::of(collections.clone()))
            .provide(ObjectsApi::of(objects.clone()))
            .provide(TransactionsApi::of(commits.clone()))
            .provide(BlobRefsApi::of(References { cartridge: cartridge.clone() }))
            .handle(EXPORT, transfer(Kind::Documents))
            .handle(IMPORT, transfer(Kind::Documents))
            .handle(EXPORT_KEYS, transfer(Kind::Keys))
            .handle(IMPORT_KEYS, transfer(Kind::Keys))
            .handle(SIGNED, SendSigned { store: objects.clone() })
            .handle(OBJECT, AnswerObject { store: objects.clone(), apps })
            .provide(AppDataApi::of(data))
            .follow::<AppRemoved, _>(&cartridge, NAME, |transaction, removed| {
                removed.iter().try_for_each(|event| {
                    account::store::condemn(transaction, &event.app.to_string())
                })
            });
        Ok(operations::run(bindings::bind(started, &commits, &objects), &context))
    }
}
