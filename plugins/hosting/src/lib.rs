//! Static sites: deployments, rollback and serving.
//!
//! A deployment is immutable: paths, each with the hash of its content. Content is shared between
//! deployments and apps. An app serves one deployment, and which one is a single row: activating is
//! one write, rolling back too.
//!
//! | A… | goes through |
//! |---|---|
//! | deploy of an archive | `upload` ([`archive`] over HTTP), `intake` (its content), `deploy` |
//! | deploy of a list | `begin_upload`, `content_upload` ([`pack`]), `operations/activate`, `deploy` |
//! | … either way | `begin` and `complete`: the rules, `store` |
//! | request | `serve`, `index` (which file), `ready` (head and body), [`conditional`] |
//! | command | `operations`, one file each |
//! | content afterwards | `precompress`, `references` (what may not be deleted) |
//! | move of an app | `data`: export, import, fork, removal |
//!
//! The public modules are pure functions of their arguments, or of a reader that the caller owns: no
//! clock, no database, no socket.

pub mod accept;
pub mod app_manifest;
pub mod archive;
pub mod cache_policy;
pub mod conditional;
pub mod content_type;
pub mod listing;
pub mod markdown;
pub mod pack;
pub mod resolve;
pub mod rules;
pub mod visibility;
pub mod workspace;

mod admission;
mod begin;
mod begin_upload;
mod bindings;
mod complete;
mod compress;
mod content_download;
mod content_upload;
mod data;
mod deploy;
mod handover;
mod head;
mod index;
mod intake;
mod model;
mod multipart;
mod operations;
mod pages;
mod partial;
mod precompress;
mod ready;
mod references;
mod representation;
mod rollback;
mod serve;
mod settings;
mod site_rules;
mod sites;
mod store;
mod upload;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::{AppDataApi, AppsApi, BlobRefsApi, CodeCheckApi, SitesApi};

use crate::admission::Admission;
use crate::begin_upload::{LIST_BYTES_MAX, TakeList};
use crate::content_download::SendContent;
use crate::content_upload::{TakeContent, TakePack};
use crate::data::Data;
use crate::deploy::Deploys;
use crate::index::Indexes;
use crate::operations::{
    Activate, AppStatus, DiffDeployments, GetDeployment, ListDeploymentFiles, ListDeployments,
    ListFiles, RemoveDeployment, RollBack,
};
use crate::pack::PACK_BYTES_MAX;
use crate::precompress::{Precompress, Wanted};
use crate::ready::ReadyFiles;
use crate::references::References;
use crate::serve::Serve;
use crate::sites::Provide;
use crate::upload::{TakeUpload, UPLOAD_BYTES_CEILING};

const NAME: &str = "hosting";
const EVERY_PATH: &str = "/{path...}";
const DEPLOY: &str = "/api/deploy";
const BEGIN: &str = "/api/apps/{app}/deployments";
const CONTENT: &str = "/api/blobs/{sha256}";
const CONTENTS: &str = "/api/blobs";
const DEPLOYED_CONTENT: &str = "/api/deployments/{id}/content/{path...}";

/// How often pending deployments are looked for that expired.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The plugin.
#[derive(Debug, Default)]
pub struct Hosting;

impl Plugin for Hosting {
    fn manifest(&self) -> Manifest {
        let manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Static sites: deployments, rollback and serving")
            .requires::<AppsApi>()
            .uses::<CodeCheckApi>()
            .provides::<SitesApi>()
            .contributes::<AppDataApi>()
            .contributes::<BlobRefsApi>()
            .follows::<AppRemoved>()
            .migrations(migrations!(
                "../../../migrations/hosting":
                "0001_create_deployments", "0002_add_manifests_and_variants"
            ))
            .route(Route::app_any(EVERY_PATH).public())
            .route(Route::node(Method::Get, EVERY_PATH).public())
            .route(
                Route::admin(Method::Post, DEPLOY)
                    .scope(Scope::Deploy)
                    .for_app_keys()
                    .body_max(UPLOAD_BYTES_CEILING),
            )
            .route(Route::admin(Method::Post, BEGIN).scope(Scope::Deploy).body_max(LIST_BYTES_MAX))
            .route(
                Route::admin(Method::Put, CONTENT)
                    .scope(Scope::Deploy)
                    .for_app_keys()
                    .body_max(UPLOAD_BYTES_CEILING),
            )
            .route(
                Route::admin(Method::Post, CONTENTS)
                    .scope(Scope::Deploy)
                    .for_app_keys()
                    .body_max(PACK_BYTES_MAX),
            )
            .route(Route::admin(Method::Get, DEPLOYED_CONTENT).for_app_keys())
            .operation(ListDeployments::operation())
            .operation(GetDeployment::operation())
            .operation(ListFiles::operation())
            .operation(RollBack::operation())
            .operation(Activate::operation())
            .operation(ListDeploymentFiles::operation())
            .operation(DiffDeployments::operation())
            .operation(RemoveDeployment::operation())
            .operation(AppStatus::operation())
            .command(ListDeployments::command())
            .command(ListFiles::command())
            .command(RollBack::command())
            .command(DiffDeployments::command())
            .command(AppStatus::command());
        let manifest = bindings::declare(manifest);
        settings::all().into_iter().fold(manifest, Manifest::setting)
    }

    fn start(&self, host: Host) -> Result<Started> {
        let cartridge = host.cartridge();
        let apps = host.service::<AppsApi>()?;
        let indexes = Arc::new(Indexes::new(cartridge.clone(), host.setting("index_entries")?));
        let wanted = Arc::<Wanted>::default();
        let deploys = Arc::new(Deploys {
            host: host.clone(),
            apps: apps.clone(),
            indexes: Arc::clone(&indexes),
            retention: settings::retention(&host)?,
            wanted: Arc::clone(&wanted),
            limits: settings::limits(&host)?,
            bounds: settings::bounds(&host)?,
            app_bytes_max: host.setting("app_bytes_max")?,
            turn: futures_util::lock::Mutex::new(()),
        });
        let sweeping = Arc::clone(&deploys);
        host.tasks().every("pending", SWEEP_EVERY, move || {
            let deploys = Arc::clone(&sweeping);
            async move { deploys.sweep().await }
        })?;
        let serve = Serve {
            host: host.clone(),
            cartridge: cartridge.clone(),
            indexes: Arc::clone(&indexes),
            files: Arc::new(ReadyFiles::new(&host, host.setting("cache_bytes")?)?),
            apps: apps.clone(),
            root_app: host.setting("root_app")?,
        };
        let uploads_at_once = host.setting("uploads_at_once")?;
        let archives = Admission::new("hosting.uploads_at_once", uploads_at_once);
        let lists = Admission::new("hosting.uploads_at_once", uploads_at_once);
        let contents =
            Admission::new("hosting.contents_at_once", host.setting("contents_at_once")?);
        let packs = Admission::new("hosting.packs_at_once", host.setting("packs_at_once")?);
        let compressed_bytes_max = host.setting("precompress_bytes_max")?;
        let precompress = Arc::new(Precompress {
            host: host.clone(),
            indexes: Arc::clone(&indexes),
            uploads: vec![archives.clone(), lists.clone(), contents.clone(), packs.clone()],
            bytes_max: compressed_bytes_max,
            wanted: Arc::clone(&wanted),
        });
        host.tasks().spawn("precompress", move || {
            let precompress = Arc::clone(&precompress);
            async move { precompress.run().await }
        })?;
        let upload = TakeUpload {
            host: host.clone(),
            deploys: Arc::clone(&deploys),
            bytes_max: host.setting("upload_bytes_max")?,
            admission: archives,
        };
        let list = TakeList { host: host.clone(), deploys: Arc::clone(&deploys), admission: lists };
        let content = TakeContent { cartridge: cartridge.clone(), admission: contents };
        let pack = TakePack { host: host.clone(), cartridge: cartridge.clone(), admission: packs };
        let data = Data::new(&host, Arc::clone(&indexes), wanted);
        let status =
            AppStatus { cartridge: cartridge.clone(), apps: apps.clone(), compressed_bytes_max };
        let follower = data.clone();
        let provide = Provide { cartridge: cartridge.clone(), indexes };
        Ok(bindings::bind(Started::new(), &host, &provide)
            .handle(EVERY_PATH, serve)
            .handle(DEPLOY, upload)
            .handle(BEGIN, list)
            .handle(CONTENT, content)
            .handle(CONTENTS, pack)
            .handle(DEPLOYED_CONTENT, SendContent { cartridge: cartridge.clone() })
            .operation(
                ListDeployments::KEY,
                ListDeployments { cartridge: cartridge.clone(), apps: apps.clone() },
            )
            .operation(
                GetDeployment::KEY,
                GetDeployment { cartridge: cartridge.clone(), apps: apps.clone() },
            )
            .operation(
                ListFiles::KEY,
                ListFiles { cartridge: cartridge.clone(), apps: apps.clone() },
            )
            .operation(RollBack::KEY, RollBack { deploys: Arc::clone(&deploys) })
            .operation(Activate::KEY, Activate { deploys: Arc::clone(&deploys) })
            .operation(
                ListDeploymentFiles::KEY,
                ListDeploymentFiles { cartridge: cartridge.clone() },
            )
            .operation(DiffDeployments::KEY, DiffDeployments { cartridge: cartridge.clone() })
            .operation(RemoveDeployment::KEY, RemoveDeployment { deploys })
            .operation(AppStatus::KEY, status)
            .provide(SitesApi::of(provide))
            .provide(AppDataApi::of(data))
            .provide(BlobRefsApi::of(References { cartridge: cartridge.clone() }))
            .follow::<AppRemoved, _>(&cartridge, NAME, move |transaction, removed| {
                removed.iter().try_for_each(|event| follower.delete(transaction, event.app))
            }))
    }
}
