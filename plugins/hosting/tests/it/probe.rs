//! A plugin that uses what hosting offers to other plugins, and says what it saw.

use std::sync::{Arc, Mutex};

use fazt_sdk::event::AppRemoved;
use fazt_sdk::prelude::*;
use fazt_sdk::services::app_data::{AppData as _, Page, Usage};
use fazt_sdk::services::sites::{Deployment, DeploymentActivated, SiteFile, Sites as _};
use fazt_sdk::services::{AppDataApi, SitesApi};
use fazt_sdk::wire;

/// What the probe is asked to do.
#[derive(Debug, Clone, Wire)]
pub(crate) enum Question {
    Export { app: AppId, cursor: Option<String> },
    Import { app: AppId, records: Vec<Vec<u8>> },
    Fork { from: AppId, to: AppId },
    DeleteApp(AppId),
    DeleteUser(String),
    Usage(AppId),
    Active(AppId),
    File { app: AppId, path: String },
    Activations,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Wire)]
pub(crate) enum Reply {
    Page(Page),
    Usage(Vec<Usage>),
    Active(Option<Deployment>),
    File(Option<SiteFile>),
    Activations(Vec<DeploymentActivated>),
    Done,
}

const PATH: &str = "/api/probe";

type Seen = Arc<Mutex<Vec<DeploymentActivated>>>;

#[derive(Debug, Default)]
pub(crate) struct Probe;

struct Answer {
    host: Host,
    seen: Seen,
}

impl Handler for Answer {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        let body = request.body().collect(64 << 20).await?;
        let reply = self.answer(call, wire::from_slice(&body)?).await?;
        Ok(Response::new(200).body(wire::to_vec(&reply)))
    }
}

impl Answer {
    async fn answer(&self, call: &Call, question: Question) -> Result<Reply> {
        let data = || {
            let all = self.host.contributions::<AppDataApi>()?;
            let hosting = all.into_iter().find(|data| data.provider() == "hosting");
            hosting.ok_or_else(|| Error::unavailable("hosting contributes no app data"))
        };
        let sites = self.host.service::<SitesApi>()?;
        Ok(match question {
            Question::Export { app, cursor } => {
                Reply::Page(data()?.export(call, app, cursor).await?)
            }
            Question::Import { app, records } => {
                data()?.import(call, app, &records).await?;
                Reply::Done
            }
            Question::Fork { from, to } => {
                data()?.fork(call, from, to).await?;
                Reply::Done
            }
            Question::DeleteApp(app) => {
                data()?.delete_app(call, app).await?;
                Reply::Done
            }
            Question::DeleteUser(user) => {
                data()?.delete_user(call, &user).await?;
                Reply::Done
            }
            Question::Usage(app) => Reply::Usage(data()?.usage(call, app).await?),
            Question::Active(app) => Reply::Active(sites.active(call, app).await?),
            Question::File { app, path } => Reply::File(sites.file(call, app, &path).await?),
            Question::Activations => Reply::Activations(self.seen.lock().unwrap().clone()),
        })
    }
}

impl Plugin for Probe {
    fn manifest(&self) -> Manifest {
        Manifest::new("probe", "1")
            .uses::<AppDataApi>()
            .uses::<SitesApi>()
            .follows::<DeploymentActivated>()
            .follows::<AppRemoved>()
            .route(Route::admin(Method::Post, PATH).body_max(64 << 20))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let seen = Seen::default();
        let (cartridge, writer) = (host.cartridge(), Arc::clone(&seen));
        Ok(Started::new()
            .handle(PATH, Answer { host, seen })
            .follow::<AppRemoved, _>(&cartridge, "probe", |_, _| Ok(()))
            .follow::<DeploymentActivated, _>(&cartridge, "probe", move |transaction, events| {
                let (seen, events) = (Arc::clone(&writer), events.to_vec());
                transaction.on_commit(move || seen.lock().unwrap().extend(events))
            }))
    }
}
