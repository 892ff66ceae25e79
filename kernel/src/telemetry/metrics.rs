//! `/metrics` on the admin host: what happens here, for whoever watches (OpenMetrics 1.0).
//!
//! Every number has its unit in its name; counters count since the start.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use fazt_sdk::http::Response;

use crate::Core;
use crate::telemetry::RESPONSE_CLASSES;

/// What scrapers ask for, and get whatever they ask for.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page. Reads memory and a few lines of /proc; blocks for neither.
pub(crate) fn page(core: &Core) -> Response {
    let mut text = Exposition::default();
    let counters = &core.telemetry.counters;
    text.family("fazt_build", "info", "The version that runs.");
    text.line("fazt_build_info", &format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1);
    text.gauge("fazt_uptime_seconds", "Since the start.", core.monotonic_ns() / 1_000_000_000);
    text.family("fazt_responses", "counter", "Requests answered, by the class of the status.");
    for (class, count) in RESPONSE_CLASSES.iter().zip(&counters.responses) {
        text.line("fazt_responses_total", &format!("{{class=\"{class}\"}}"), count.load(Relaxed));
    }
    text.counter("fazt_panics", "Panics that were caught: defects.", counters.panics.load(Relaxed));
    text.counter(
        "fazt_events_dropped",
        "Events that a listener was too slow for.",
        counters.events_dropped.load(Relaxed),
    );
    text.counter(
        "fazt_access_records_dropped",
        "Lines of the access log that nobody took off in time.",
        counters.access_dropped.load(Relaxed),
    );
    if let Some(edge) = core.telemetry.edge_figures() {
        text.gauge("fazt_connections_open", "Connections that are open.", edge.connections_open);
        text.counter("fazt_connections", "Connections accepted.", edge.connections);
        text.counter(
            "fazt_connections_refused",
            "Connections closed at once because there were too many.",
            edge.connections_refused,
        );
        text.counter(
            "fazt_connections_swept",
            "Connections closed because they were past a deadline.",
            edge.connections_swept,
        );
        text.counter(
            "fazt_requests_limited",
            "Requests refused because their sender made too many.",
            edge.requests_limited,
        );
        text.counter(
            "fazt_requests_timed_out",
            "Requests answered with 504.",
            edge.requests_timed_out,
        );
    }
    let directory = core.directory.now();
    text.gauge("fazt_apps", "Apps.", directory.apps.len() as u64);
    text.gauge("fazt_aliases", "Aliases.", directory.aliases.len() as u64);
    drop(directory);
    let length = |end: &str| {
        let mut path = core.cartridge.path().as_os_str().to_owned();
        path.push(end);
        std::fs::metadata(path).map_or(0, |file| file.len())
    };
    text.gauge("fazt_cartridge_bytes", "The cartridge's file.", length(""));
    text.gauge("fazt_cartridge_wal_bytes", "Its write-ahead log.", length("-wal"));
    if let Some(bytes) = resident_bytes() {
        text.gauge("process_resident_memory_bytes", "Memory of this process.", bytes);
    }
    Response::new(200)
        .header("content-type", CONTENT_TYPE)
        .header("cache-control", "no-store")
        .body(text.done())
}

/// Pages of this process that are in memory, as bytes (proc_pid_statm(5)).
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The text while it grows.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn line(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.line(&format!("{name}_total"), "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.line(name, "", value);
    }

    fn done(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}
