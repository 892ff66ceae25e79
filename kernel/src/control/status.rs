//! `GET /api/system/info`, `fazt server status`.

use std::sync::atomic::Ordering;

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::registry::State;

struct Status(Node);

/// The node at this moment.
#[derive(Serialize, JsonSchema)]
struct Info {
    version: &'static str,
    /// `serving`, or `closed` when no server runs and the command looked itself.
    state: &'static str,
    cartridge: String,
    domain: String,
    dashboard: String,
    pid: u32,
    /// Milliseconds.
    uptime_ms: u64,
    apps: usize,
    requests: u64,
    /// Panics that were caught; a healthy node shows 0.
    panics: u64,
    plugins_failed: Vec<String>,
}

impl Operate for Status {
    type Input = NoInput;
    type Output = Info;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Info> {
        let core = self.0.core()?;
        let counters = &core.telemetry.counters;
        Ok(Info {
            version: env!("CARGO_PKG_VERSION"),
            state: if core.is_command() { "closed" } else { "serving" },
            cartridge: core.cartridge.path().display().to_string(),
            domain: core.domain().to_string(),
            dashboard: core.admin_url(),
            pid: std::process::id(),
            uptime_ms: core.monotonic_ns() / 1_000_000,
            apps: core.directory.now().apps.len(),
            requests: counters.requests(),
            panics: counters.panics.load(Ordering::Relaxed),
            plugins_failed: core
                .registry
                .list()
                .iter()
                .filter(|entry| matches!(entry.state, State::Failed(_)))
                .map(|entry| entry.manifest.name.clone())
                .collect(),
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = Status(parts.node());
    parts
        .operation(
            Operation::get::<Status>("/api/system/info")
                .summary("The node at this moment")
                .for_app_keys(),
            run,
        )
        .command(
            Command::new("server status")
                .about("Show whether and how the server runs")
                .calls("GET /api/system/info")
                .column("STATE", "state")
                .column("VERSION", "version")
                .column("PID", "pid")
                .column("CARTRIDGE", "cartridge")
                .column("DASHBOARD", "dashboard")
                .column("APPS", "apps")
                .column("REQUESTS", "requests")
                .column("PANICS", "panics"),
        )
}
