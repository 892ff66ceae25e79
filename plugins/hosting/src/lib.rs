//! Static sites: deployments, rollback and serving.
//!
//! A deployment is immutable: paths, each with the hash of its content. Content is shared between
//! deployments and apps. An app serves one deployment, and which one is a single row: activating is
//! one write, rolling back too.
//!
//! | A… | goes through |
//! |---|---|
//! | deploy | `upload` ([`archive`] over HTTP), `deploy` (the rules), `intake` (content), `store` |
//! | request | `serve`, `index` (which file), `ready` (head and body), [`conditional`] |
//! | command | `operations`, one file each |
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
pub mod resolve;
pub mod visibility;

mod data;
mod deploy;
mod index;
mod intake;
mod model;
mod multipart;
mod operations;
mod pages;
mod partial;
mod ready;
mod removals;
mod representation;
mod serve;
mod sites;
mod store;
mod upload;

use std::sync::Arc;

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::{AppDataApi, AppsApi, SitesApi};

use crate::archive::ArchiveLimits;
use crate::data::Data;
use crate::deploy::Deploys;
use crate::index::Indexes;
use crate::operations::{GetDeployment, ListDeployments, ListFiles, RollBack};
use crate::ready::ReadyFiles;
use crate::removals::Removals;
use crate::serve::Serve;
use crate::sites::Provide;
use crate::upload::{TakeUpload, UPLOAD_BYTES_CEILING};

const NAME: &str = "hosting";
const EVERY_PATH: &str = "/{path...}";
const DEPLOY: &str = "/api/deploy";

const MIB: u64 = 1024 * 1024;

/// The plugin.
#[derive(Debug, Default)]
pub struct Hosting;

impl Plugin for Hosting {
    fn manifest(&self) -> Manifest {
        Manifest::new(NAME, env!("CARGO_PKG_VERSION"))
            .about("Static sites: deployments, rollback and serving")
            .requires::<AppsApi>()
            .provides::<SitesApi>()
            .contributes::<AppDataApi>()
            .follows::<AppRemoved>()
            .migrations(migrations!(
                "../../../migrations/hosting":
                "0001_create_deployments", "0002_add_manifests_and_variants"
            ))
            .route(Route::app_any(EVERY_PATH).public())
            .route(Route::node(Method::Get, EVERY_PATH).public())
            .route(Route::admin(Method::Post, DEPLOY)
                    .scope(Scope::Deploy)
                    .for_app_keys()
                    .body_max(UPLOAD_BYTES_CEILING))
            .operation(ListDeployments::operation())
            .operation(GetDeployment::operation())
            .operation(ListFiles::operation())
            .operation(RollBack::operation())
            .command(ListDeployments::command())
            .command(ListFiles::command())
            .command(RollBack::command())
            .setting(
                Setting::bytes("upload_bytes_max", 512 * MIB, UPLOAD_BYTES_CEILING)
                    .doc("The largest archive that a deploy takes, in bytes."),
            )
            .setting(
                Setting::integer("archive_entries_max", 100_000, 1, 1_000_000)
                    .doc("The most files and directories of one archive."),
            )
            .setting(
                Setting::bytes("archive_file_bytes_max", 64 * MIB, 4095 * MIB)
                    .doc("The largest file of an archive once it is unpacked, in bytes."),
            )
            .setting(
                Setting::bytes("archive_total_bytes_max", 1024 * MIB, 64 * 1024 * MIB)
                    .doc("The most that all files of an archive may take once they are unpacked, in bytes."),
            )
            .setting(
                Setting::integer("uploads_at_once", 32, 1, 1024)
                    .doc("How many archives may be on their way in at a time; each has a scratch file."),
            )
            .setting(
                Setting::integer("keep_deployments", 10, 1, 1000)
                    .doc("How many deployments an app keeps to roll back to, the active one included."),
            )
            .setting(
                Setting::bytes("cache_bytes", 64 * MIB, 64 * 1024 * MIB)
                    .doc("How much memory the files that are asked for most may take, in bytes."),
            )
            .setting(
                Setting::integer("index_entries", 100_000, 1_000, 100_000_000).doc(
                    "How many files of all apps together are kept track of in memory, at about \
                     160 bytes each; apps that are asked for least are read again when needed.",
                ),
            )
            .setting(
                Setting::text("root_app", "")
                    .doc("The app, by id or alias, that the node's own name shows; empty for a page about fazt."),
            )
    }

    fn start(&self, host: Host) -> Result<Started> {
        let cartridge = host.cartridge();
        let apps = host.service::<AppsApi>()?;
        let indexes = Arc::new(Indexes::new(cartridge.clone(), host.setting("index_entries")?));
        let removals = Arc::new(Removals::default());
        let deploys = Arc::new(Deploys {
            host: host.clone(),
            apps: apps.clone(),
            indexes: Arc::clone(&indexes),
            removals: Arc::clone(&removals),
            keep: host.setting("keep_deployments")?,
            limits: ArchiveLimits {
                entries_max: host.setting("archive_entries_max")?,
                file_bytes_max: host.setting("archive_file_bytes_max")?,
                total_bytes_max: host.setting("archive_total_bytes_max")?,
                ..ArchiveLimits::default()
            },
            turn: futures_util::lock::Mutex::new(()),
        });
        let serve = Serve {
            cartridge: cartridge.clone(),
            indexes: Arc::clone(&indexes),
            files: Arc::new(ReadyFiles::new(&host, host.setting("cache_bytes")?)?),
            apps: apps.clone(),
            root_app: host.setting("root_app")?,
        };
        let upload = TakeUpload {
            host: host.clone(),
            deploys: Arc::clone(&deploys),
            bytes_max: host.setting("upload_bytes_max")?,
            at_once_max: host.setting("uploads_at_once")?,
            running: Arc::default(),
        };
        let data = Data::new(&host, Arc::clone(&indexes), removals);
        let follower = data.clone();
        Ok(Started::new()
            .handle(EVERY_PATH, serve)
            .handle(DEPLOY, upload)
            .operation(
                ListDeployments::KEY,
                ListDeployments { cartridge: cartridge.clone(), apps: apps.clone() },
            )
            .operation(GetDeployment::KEY, GetDeployment { cartridge: cartridge.clone() })
            .operation(ListFiles::KEY, ListFiles { cartridge: cartridge.clone(), apps })
            .operation(RollBack::KEY, RollBack { deploys })
            .provide(SitesApi::of(Provide { cartridge: cartridge.clone(), indexes }))
            .provide(AppDataApi::of(data))
            .follow::<AppRemoved, _>(&cartridge, NAME, move |transaction, removed| {
                removed.iter().try_for_each(|event| follower.delete(transaction, event.app))
            }))
    }
}
