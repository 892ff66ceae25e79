//! Makes the schedules of an app those of its manifest, after every deploy and rollback.
//!
//! Whoever deploys is answered when it is done. What is activated otherwise, or while the node did not
//! run, is found in the event log: the follower leaves a row for each app, in its own transaction, and a
//! task works them off. One thing at a time, and each looks at what is active then: the last one is right.

use std::sync::Arc;

use fazt_js_engine::protocol::Level;
use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::NewSchedule;
use fazt_sdk::services::sites::FileVisibility;
use fazt_sdk::services::{Apps as _, AppsApi, Schedules as _, SchedulesApi, Sites as _, SitesApi};
use futures_channel::mpsc;
use futures_util::StreamExt as _;
use futures_util::lock::Mutex as AsyncMutex;

use super::manifest::{self, Declared};
use super::store::Store;
use super::view::Payload;
use crate::code;
use crate::log::{Line, LogSink};

/// Who made the schedules of a manifest.
pub(crate) const SOURCE: &str = "manifest";

/// The largest manifest that is looked into, in bytes: hosting draws the same line.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// What keeps schedules and manifests the same.
pub(crate) struct Declarations {
    host: Host,
    apps: Service<AppsApi>,
    sites: Service<SitesApi>,
    schedules: Service<SchedulesApi>,
    store: Store,
    log: Arc<LogSink>,
    one_at_a_time: AsyncMutex<()>,
    due: mpsc::UnboundedSender<()>,
    told: AsyncMutex<mpsc::UnboundedReceiver<()>>,
}

impl Declarations {
    pub(crate) fn new(
        host: Host,
        apps: Service<AppsApi>,
        sites: Service<SitesApi>,
        schedules: Service<SchedulesApi>,
        log: Arc<LogSink>,
    ) -> Arc<Self> {
        let (due, told) = mpsc::unbounded();
        let store = Store::new(host.cartridge());
        let (one_at_a_time, told) = (AsyncMutex::new(()), AsyncMutex::new(told));
        Arc::new(Self { host, apps, sites, schedules, store, log, one_at_a_time, due, told })
    }

    /// Starts working off what the event log said.
    ///
    /// # Errors
    /// When the host has too many tasks.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let this = Arc::clone(self);
        self.host.tasks().spawn("cron", move || {
            let this = Arc::clone(&this);
            async move { this.run().await }
        })
    }

    /// Notes, in the follower's transaction, that these apps were activated.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn activated(&self, transaction: &Transaction<'_>, apps: &[AppId]) -> Result<()> {
        for app in apps {
            super::store::add(transaction, *app)?;
        }
        let due = self.due.clone();
        transaction.on_commit(move || drop(due.unbounded_send(())))
    }

    async fn run(&self) -> Result<()> {
        let mut told = self.told.lock().await;
        let call = self.host.call();
        loop {
            // Before the look: what comes after it is seen the next time.
            while let Ok(()) = told.try_recv() {}
            if self.store.is_everybody_due()? {
                for app in self.apps.list(&call).await? {
                    self.settle(&call, app.id).await?;
                }
                self.store.everybody_is_done().await?;
            }
            for (app, number) in self.store.due()? {
                self.settle(&call, app).await?;
                self.store.remove(app, number).await?;
            }
            if told.next().await.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes the schedules of `app` right; what is wrong with them goes to the app's log.
    async fn settle(&self, call: &Call, app: AppId) -> Result<()> {
        match self.apply(call, app).await {
            Ok(problems) => problems.into_iter().for_each(|problem| self.note(app, problem)),
            // The node is not whole at the moment: later.
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => self.note(app, format!("its schedules cannot be set: {error}")),
        }
        Ok(())
    }

    fn note(&self, app: AppId, text: String) {
        let at_ms = self.host.clock().unix_ms();
        let request_id = String::new();
        self.log.add(Line { app, at_ms, level: Level::Error, request_id, text });
    }

    /// Makes the schedules of `app` those of the manifest that is active now. Answers what is wrong with
    /// the rest, a sentence each.
    ///
    /// # Errors
    /// What the services say.
    pub(crate) async fn apply(&self, call: &Call, app: AppId) -> Result<Vec<String>> {
        let call = call.for_app(app);
        let _one = self.one_at_a_time.lock().await;
        let (schedules, mut problems) = self.read(&call, app, None).await?;
        let there: Vec<_> = self.schedules.list(&call).await?;
        let mut there: Vec<_> =
            there.into_iter().filter(|one| one.source == SOURCE).map(|one| one.schedule).collect();
        let by_name = |one: &NewSchedule, other: &NewSchedule| one.name.cmp(&other.name);
        let mut wanted = schedules.clone();
        there.sort_by(by_name);
        wanted.sort_by(by_name);
        if there == wanted {
            return Ok(problems);
        }
        match self.schedules.replace(&call, SOURCE, &schedules).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Full) => {
                problems.push(format!("{}: {}", manifest::FILE, error.message()));
            }
            Err(error) => return Err(error),
        }
        Ok(problems)
    }

    /// What is wrong with the schedules of a preview; changes nothing.
    ///
    /// # Errors
    /// What the services say.
    pub(crate) async fn check(
        &self,
        call: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<Vec<String>> {
        let call = call.for_app(app);
        self.read(&call, app, preview).await.map(|(_, problems)| problems)
    }

    /// The schedules that can be, and what is wrong with the others.
    async fn read(
        &self,
        call: &Call,
        app: AppId,
        preview: Option<String>,
    ) -> Result<(Vec<NewSchedule>, Vec<String>)> {
        let Some(site) = self.sites.code(call, app, preview).await? else {
            return Ok(Default::default());
        };
        let file = site.files.iter().find(|file| {
            file.path == manifest::FILE
                && file.visibility != FileVisibility::Public
                && (1..=MANIFEST_BYTES_MAX).contains(&file.size)
        });
        let Some(file) = file else { return Ok(Default::default()) };
        let (hash, size) = (file.hash, file.size);
        let cartridge = self.host.cartridge();
        let text = cartridge.scan(move |reader| {
            reader.blob(&hash, 0, size, |bytes| String::from_utf8_lossy(bytes).into_owned())
        });
        let Declared { schedules, mut problems } = manifest::read(&text.await?);
        let has = |path: &str| site.files.iter().any(|file| file.path == path);
        let mut good = Vec::with_capacity(schedules.len());
        for (at, schedule) in schedules {
            match self.problem(call, &schedule, &has).await {
                Some(why) => problems.push(format!("{at}: {why}")),
                None => good.push(schedule),
            }
        }
        Ok((good, problems))
    }

    async fn problem(
        &self,
        call: &Call,
        schedule: &NewSchedule,
        has: &(impl Fn(&str) -> bool + Sync),
    ) -> Option<String> {
        if let Err(error) = self.schedules.check(call, schedule).await {
            return Some(error.message().to_owned());
        }
        let payload: Payload = serde_json::from_slice(&schedule.payload).ok()?;
        let handler = payload.handler;
        code::handler_path(&handler, has)
            .is_none()
            .then(|| format!("the handler {handler} is not among the files of this deployment"))
    }
}
