//! The settings of the way out.

use std::time::Duration;

use fazt_sdk::setting::Setting;

use crate::config::Config;
use crate::core::Core;

/// What one request may take, as the settings say at its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) time_max: Duration,
    pub(super) connect_time: Duration,
    pub(super) idle_time: Duration,
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
    pub(super) cache_bytes_max: usize,
}

impl Limits {
    pub(super) fn of(core: &Core) -> Self {
        let config = &core.config;
        let time = |name| Duration::from_millis(number(config, name) as u64);
        Self {
            time_max: time("egress.time"),
            connect_time: time("egress.connect_time"),
            idle_time: time("egress.idle_time"),
            request_bytes_max: number(config, "egress.request_bytes"),
            response_bytes_max: number(config, "egress.response_bytes"),
            cache_bytes_max: number(config, "egress.cache_bytes"),
        }
    }
}

/// A setting that is a number; 0 for one that is none.
pub(super) fn number(config: &Config, name: &str) -> usize {
    let value = config.get(name).ok().and_then(|value| value.as_u64());
    value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0)
}

/// The settings under `egress.`.
pub(crate) fn settings() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    vec![
        Setting::integer("requests_per_app", 5, 1, 1_000).doc("How many requests to other machines one app has running at a time; the others wait. Read at the start."),
        Setting::integer("requests", 64, 1, 10_000).doc("How many requests to other machines the node has running at a time. Read at the start."),
        Setting::integer("waiting_per_app", 100, 0, 10_000).doc("How many requests of one app may wait for their turn. Read at the start."),
        Setting::duration("time", seconds(60), seconds(600)).doc("The longest time that one request to another machine may take, redirects and body included."),
        Setting::duration("connect_time", seconds(5), seconds(60)).doc("How long one address may take to accept a connection, and the TLS handshake on top of that."),
        Setting::duration("idle_time", seconds(15), seconds(600)).doc("How long another machine may be silent in the middle of an answer."),
        Setting::bytes("request_bytes", 10 << 20, 1 << 30).doc("The largest body of a request to another machine, in bytes."),
        Setting::bytes("response_bytes", 10 << 20, 1 << 30).doc("The largest body of an answer, in bytes once it is decoded."),
        Setting::bytes("cache_bytes", 8 << 20, 1 << 30).doc("What kept answers may take of memory, in bytes; 0 keeps none."),
    ]
}
