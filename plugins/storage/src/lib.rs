//! Data of apps: values under keys, documents, objects.
//!
//! | What | Where |
//! |---|---|
//! | `fazt.kv/1` | `kv`: `read`, `write`, `expire`; its SQL in `kv/store` |
//! | `fazt.documents/1` | `documents`, [`query`] (what is asked), [`documents::change`] (what changes) |
//! | | its SQL in `documents/store`: `condition` and `plan` make statements out of queries |
//! | quotas and versions | `account` |
//! | what JavaScript calls | `bindings` |
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
mod kv;
mod operations;
mod place;
pub mod query;
mod reading;
mod settings;

use std::time::Duration;

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::{AppDataApi, AppsApi, DocumentsApi, KvApi};

use crate::account::Limits;
use crate::data::Data;
use crate::documents::Collections;
use crate::kv::Values;
use crate::operations::Context;

const NAME: &str = "storage";

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
            .contributes::<AppDataApi>()
            .follows::<AppRemoved>()
            .migrations(migrations!("../../../migrations/storage": "0001_create_kv", "0002_create_documents"))
            .script(bindings::SCRIPT);
        let manifest = settings::all().into_iter().fold(manifest, Manifest::setting);
        operations::declare(bindings::declare(manifest))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let (cartridge, limits) = (host.cartridge(), Limits::of(&host)?);
        let values = Values::new(&host, limits);
        let collections = Collections::new(&host, limits);
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
        let context = Context {
            apps: host.service::<AppsApi>()?,
            values: values.clone(),
            collections: collections.clone(),
            data: data.clone(),
        };
        let started = Started::new()
            .provide(KvApi::of(values.clone()))
            .provide(DocumentsApi::of(collections.clone()))
            .provide(AppDataApi::of(data))
            .follow::<AppRemoved, _>(&cartridge, NAME, |transaction, removed| {
                removed.iter().try_for_each(|event| {
                    account::store::condemn(transaction, &event.app.to_string())
                })
            });
        Ok(operations::run(bindings::bind(started, &values, &collections), &context))
    }
}
