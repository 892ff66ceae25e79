//! The kernel's own operations and commands, one file each, and the parts that list them.
//!
//! They go the same way as a plugin's: a manifest says what there is, handlers are handed over, and
//! the registry connects them. Adding one is a file here and a line in [`parts`].

mod alias_add;
mod alias_info;
mod alias_list;
mod alias_remove;
mod app_create;
mod app_fork;
mod app_info;
mod app_lineage;
mod app_link;
mod app_list;
mod app_remove;
mod app_reserve;
mod app_split;
mod app_swap;
mod cartridge_backup;
mod cartridge_gc;
mod cartridge_info;
mod cartridge_vacuum;
mod cartridge_verify;
mod config_get;
mod config_list;
mod config_set;
mod cron_add;
mod cron_list;
mod cron_pause;
mod cron_remove;
mod cron_resume;
mod cron_run;
mod domain_add;
mod domain_check;
mod domain_info;
mod domain_list;
mod domain_remove;
mod job_cancel;
mod job_info;
mod job_list;
mod job_retry;
mod key_create;
mod key_list;
mod key_remove;
mod login_link;
mod manifest_list;
mod net_allow;
mod net_list;
mod net_remove;
mod peer_add;
mod peer_default;
mod peer_list;
mod peer_remove;
mod peer_token;
mod plugin_add;
mod plugin_check;
mod plugin_disable;
mod plugin_enable;
mod plugin_info;
mod plugin_list;
mod plugin_remove;
mod routes;
mod set_credentials;
mod sql_run;
mod status;
mod worker_list;

pub(crate) use cartridge_backup::remove_unfinished as remove_unfinished_backups;
use std::sync::{Arc, Weak};

use fazt_sdk::command::{Argument, Command};
use fazt_sdk::http::Handler;
use fazt_sdk::manifest::{Binding, Manifest};
use fazt_sdk::operation::{Operate, Operation};
use fazt_sdk::plugin::Started;
use fazt_sdk::route::Route;
use fazt_sdk::services::{
    AppDataApi, AppsApi, BindingsApi, EgressApi, JobsApi, SchedulesApi, WorkersApi,
};
use fazt_sdk::setting::Setting;
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::app_data::KernelData;
use crate::directory::AppsService;
use crate::egress::EgressService;
use crate::jobs::{JobsService, SchedulesService};
use crate::registry::KERNEL;
use crate::registry::bindings::BindingsService;
use crate::workers::WorkersService;

/// The kernel's manifest and handlers, while they are put together.
pub(crate) struct Parts {
    pub(crate) manifest: Manifest,
    pub(crate) started: Started,
    core: Weak<Core>,
}

/// The kernel, held weakly: the kernel holds its operations.
#[derive(Clone)]
struct Node(Weak<Core>);

impl Node {
    fn core(&self) -> Result<Arc<Core>> {
        self.0.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))
    }
}

impl Parts {
    fn node(&self) -> Node {
        Node(self.core.clone())
    }

    fn operation(mut self, operation: Operation, run: impl Operate) -> Self {
        self.started = self.started.operation(&operation.key(), run);
        self.manifest = self.manifest.operation(operation);
        self
    }

    fn route(mut self, route: Route, handler: impl Handler) -> Self {
        self.started = self.started.handle(&route.pattern, handler);
        self.manifest = self.manifest.route(route);
        self
    }

    fn command(mut self, command: Command) -> Self {
        self.manifest = self.manifest.command(command);
        self
    }
}

/// Everything that the kernel itself offers.
pub(crate) fn parts(core: Weak<Core>) -> Parts {
    let manifest = Manifest::new(KERNEL, env!("CARGO_PKG_VERSION"))
        .about("The node itself: cartridge, directory, owner, settings, plugins")
        .provides::<AppsApi>()
        .provides::<BindingsApi>()
        .provides::<WorkersApi>()
        .provides::<EgressApi>()
        .provides::<JobsApi>()
        .provides::<SchedulesApi>()
        .contributes::<AppDataApi>()
        .binding(Binding::new("net.fetch").args(["url", "options"]).about(
            "Asks another machine, outside of the cell, and answers its status, headers and bytes",
        ));
    let egress = EgressService(core.clone());
    let script = egress.clone();
    let started = Started::new()
        .provide(AppsApi::of(AppsService(core.clone())))
        .provide(BindingsApi::of(BindingsService::new(core.clone())))
        .provide(WorkersApi::of(WorkersService(core.clone())))
        .provide(EgressApi::of(egress))
        .provide(JobsApi::of(JobsService(core.clone())))
        .provide(SchedulesApi::of(SchedulesService(core.clone())))
        .provide(AppDataApi::of(KernelData(core.clone())))
        .bind("net.fetch", move |call, arguments| {
            let script = script.clone();
            async move { script.script(&call, arguments).await }
        });
    let parts = Parts { manifest, started, core };
    let all: &[fn(Parts) -> Parts] = &[
        status::add,
        worker_list::add,
        key_create::add,
        key_list::add,
        key_remove::add,
        login_link::add,
        set_credentials::add,
        config_list::add,
        config_get::add,
        config_set::add,
        routes::add,
        app_list::add,
        app_info::add,
        app_remove::add,
        app_create::add,
        app_fork::add,
        app_lineage::add,
        app_link::add,
        app_reserve::add,
        app_swap::add,
        app_split::add,
        alias_list::add,
        alias_info::add,
        alias_add::add,
        alias_remove::add,
        domain_list::add,
        domain_info::add,
        domain_add::add,
        domain_check::add,
        domain_remove::add,
        manifest_list::add,
        plugin_list::add,
        plugin_info::add,
        plugin_enable::add,
        plugin_disable::add,
        plugin_add::add,
        plugin_check::add,
        plugin_remove::add,
        net_list::add,
        net_allow::add,
        net_remove::add,
        job_list::add,
        job_info::add,
        job_cancel::add,
        job_retry::add,
        cron_list::add,
        cron_add::add,
        cron_pause::add,
        cron_resume::add,
        cron_run::add,
        cron_remove::add,
        peer_list::add,
        peer_add::add,
        peer_default::add,
        peer_remove::add,
        peer_token::add,
        sql_run::add,
        cartridge_info::add,
        cartridge_verify::add,
        cartridge_gc::add,
        cartridge_vacuum::add,
        cartridge_backup::add,
    ];
    all.iter().fold(parts, |parts, add| add(parts))
}

/// `--name VALUE`, which must be given.
fn required_option(name: &str, about: &str) -> Argument {
    Argument { required: true, ..Argument::option(name, about) }
}

/// `--name VALUE`, several times, at least once.
fn required_list(name: &str, about: &str) -> Argument {
    Argument { required: true, ..Argument::list(name, about) }
}

/// The settings of the kernel itself, under `server.`.
pub(crate) fn server_settings() -> Vec<Setting> {
    vec![
        Setting::host_name("domain", "localhost").doc("The node's own name; apps are labels below it. `localhost` serves *.localhost on this machine."),
        Setting::text("host", "").doc("The address to listen on. Empty: this machine only while the domain is localhost, every address otherwise."),
        Setting::integer("port", 8080, 0, 65_535).doc("The port to listen on; 0 takes any free one."),
        Setting::switch("access_log", false).doc("Whether each request is one line of JSON on standard output."),
    ]
}
