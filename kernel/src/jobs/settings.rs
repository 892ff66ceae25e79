//! The settings of jobs and schedules.

use std::time::Duration;

use fazt_sdk::setting::Setting;

use crate::core::Core;

/// The bounds, as the settings say at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(super) waiting_per_app: u64,
    pub(super) running_per_app: u64,
    pub(super) running: u64,
    pub(super) daemons_per_app: u64,
    pub(super) finished_per_app: u64,
    pub(super) schedules_per_app: u64,
    pub(super) keep_finished: Duration,
    pub(super) keep_dead: Duration,
    pub(super) backoff_cap: Duration,
}

impl Limits {
    pub(crate) fn of(core: &Core) -> Self {
        let number = |name: &str| {
            let value = core.config.get(&format!("jobs.{name}")).ok();
            value.and_then(|value| value.as_u64()).unwrap_or(0)
        };
        let time = |name| Duration::from_millis(number(name));
        Self {
            waiting_per_app: number("waiting_per_app"),
            running_per_app: number("running_per_app"),
            running: number("running"),
            daemons_per_app: number("daemons_per_app"),
            finished_per_app: number("finished_per_app"),
            schedules_per_app: number("schedules_per_app"),
            keep_finished: time("keep_finished"),
            keep_dead: time("keep_dead"),
            backoff_cap: time("backoff_cap"),
        }
    }
}

/// The settings under `jobs.`.
pub(crate) fn settings() -> Vec<Setting> {
    let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
    vec![
        Setting::integer("waiting_per_app", 1_000, 1, 1_000_000)
            .doc("How many jobs of one app may wait or run."),
        Setting::integer("running_per_app", 5, 1, 1_000)
            .doc("How many jobs of one kind and one app run at a time."),
        Setting::integer("running", 20, 1, 10_000).doc("How many jobs of one kind run at a time."),
        Setting::integer("daemons_per_app", 2, 0, 100)
            .doc("How many jobs of one app may be daemons, which begin again after every failure."),
        Setting::integer("finished_per_app", 1_000, 0, 100_000)
            .doc("How many finished jobs of one app are kept, the newest."),
        Setting::integer("schedules_per_app", 50, 0, 10_000)
            .doc("How many schedules one app may have."),
        Setting::duration("keep_finished", days(7), days(3_650))
            .doc("How long jobs that are done or cancelled are kept."),
        Setting::duration("keep_dead", days(30), days(3_650)).doc("How long dead jobs are kept."),
        Setting::duration("backoff_cap", Duration::from_secs(3_600), days(7)).doc(
            "The longest delay between two attempts of a job; of a daemon one minute at most.",
        ),
    ]
}
