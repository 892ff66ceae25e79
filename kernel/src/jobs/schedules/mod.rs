//! Schedules: a row each, with the moment that comes next. At that moment the job and the following
//! moment are written in one transaction, so that each moment leads to one job, whenever the node dies.

mod store;

use std::sync::{Arc, Weak};
use std::time::Duration;

use fazt_sdk::services::jobs::{Missed, NewJob, NewSchedule, Schedule};
use fazt_sdk::{AppId, Error, Result};

use self::store::Stored;
use super::cron::Cron;
use super::settings::Limits;
use super::{Jobs, SLEEP_MAX, queue};
use crate::cartridge::{Owner, TxError, WriteTx};
use crate::core::Core;
use crate::jobs::store as jobs_store;

pub(crate) use store::{missed_name, missed_of};

impl Jobs {
    /// Makes or changes schedules of an app: these, and with `only` nothing else of that source. What is
    /// as it was before goes on as it was. Durable.
    ///
    /// # Errors
    /// As `fazt.schedules/1` says.
    pub(crate) async fn put_schedules(
        &self,
        app: Option<AppId>,
        source: &str,
        all: Vec<NewSchedule>,
        only: Only,
        limits: Limits,
    ) -> Result<()> {
        let all = all
            .into_iter()
            .map(|schedule| Ok((check(&schedule)?, schedule)))
            .collect::<Result<Vec<_>>>()?;
        let (key, source) = (jobs_store::key(app), source.to_owned());
        self.change_schedules(app, move |tx| {
            if !jobs_store::has_app(tx, &key)? {
                return Ok(Err(Error::not_found(format!("there is no app {key}"))));
            }
            let there = store::all(&tx.reader(), Some(&key))?;
            let stays = |stored: &&Stored| {
                only == Only::These
                    || stored.source != source
                    || all.iter().any(|(_, new)| new.name == stored.schedule.name)
            };
            let others = there.iter().filter(stays).filter(|stored| {
                all.iter().all(|(_, new)| new.name != stored.schedule.name)
            });
            let count = (others.count() + all.len()) as u64;
            if count > limits.schedules_per_app {
                return Ok(Err(Error::full(format!(
                    "this app would have {count} schedules, and {} is the most; `jobs.schedules_per_app` is the bound",
                    limits.schedules_per_app
                ))
                .with_code("TOO_MANY_SCHEDULES")));
            }
            for (_, new) in &all {
                let taken = there.iter().find(|stored| stored.schedule.name == new.name);
                if let Some(taken) = taken.filter(|taken| taken.source != source) {
                    return Ok(Err(Error::conflict(format!(
                        "the schedule {} is there already, from {}",
                        new.name, taken.source
                    ))
                    .with_code("SCHEDULE_TAKEN")));
                }
            }
            for gone in there.iter().filter(|stored| !stays(stored)) {
                store::delete(tx, &key, &gone.schedule.name)?;
            }
            let now_ms = jobs_store::unsigned(tx.now_ms());
            for (cron, new) in &all {
                let before = there.iter().find(|stored| stored.schedule.name == new.name);
                if before.is_some_and(|before| before.schedule == *new) {
                    continue;
                }
                let paused = before.is_some_and(|before| before.paused);
                let stored = Stored {
                    app: key.clone(),
                    source: source.clone(),
                    schedule: new.clone(),
                    paused,
                    next_at_ms: cron.after(now_ms).filter(|_| !paused),
                    last_at_ms: None,
                    last_job: None,
                };
                store::put(tx, &stored)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Removes a schedule. Durable.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn remove_schedule(&self, app: Option<AppId>, name: &str) -> Result<()> {
        let (key, name) = (jobs_store::key(app), name.to_owned());
        self.change_schedules(app, move |tx| {
            Ok(if store::delete(tx, &key, &name)? { Ok(()) } else { Err(no_such_schedule(&name)) })
        })
        .await
    }

    /// Stops a schedule for now, or lets it go on: moments of the pause are not made up for. Durable.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn pause_schedule(
        &self,
        app: Option<AppId>,
        name: &str,
        paused: bool,
    ) -> Result<()> {
        let (key, name) = (jobs_store::key(app), name.to_owned());
        self.change_schedules(app, move |tx| {
            let Some(stored) = store::one(&tx.reader(), &key, &name)? else {
                return Ok(Err(no_such_schedule(&name)));
            };
            if stored.paused == paused {
                return Ok(Ok(()));
            }
            let now_ms = jobs_store::unsigned(tx.now_ms());
            let next_at_ms = Cron::parse(&stored.schedule.cron)
                .ok()
                .and_then(|cron| cron.after(now_ms))
                .filter(|_| !paused);
            store::put(tx, &Stored { paused, next_at_ms, ..stored })?;
            Ok(Ok(()))
        })
        .await
    }

    /// Makes a job at once. Durable.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn run_schedule(&self, app: Option<AppId>, name: &str) -> Result<u64> {
        let (key, name) = (jobs_store::key(app), name.to_owned());
        let state = Arc::clone(&self.state);
        self.change_schedules(app, move |tx| {
            let Some(stored) = store::one(&tx.reader(), &key, &name)? else {
                return Ok(Err(no_such_schedule(&name)));
            };
            let now_ms = jobs_store::unsigned(tx.now_ms());
            let job = make(tx, &stored, now_ms, Some(format!("schedule:{name}")))?;
            store::advance(tx, &stored, stored.next_at_ms, Some((now_ms, job)))?;
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.jobs_changed()));
            Ok(Ok(job))
        })
        .await
    }

    /// The schedules of an app; all of them without one.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn schedules(&self, app: Option<AppId>) -> Result<Vec<Schedule>> {
        let key = app.map(|app| jobs_store::key(Some(app)));
        let found = self
            .cartridge
            .scan_value(&Owner::kernel(), move |reader| store::all(reader, key.as_deref()));
        Ok(found.await?.into_iter().map(shown).collect())
    }

    /// A write of schedules; the one who watches them looks again afterwards.
    async fn change_schedules<T: Send + 'static>(
        &self,
        app: Option<AppId>,
        run: impl Fn(&WriteTx<'_>) -> Result<Result<T>, TxError> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.state);
        self.write(app, move |tx| {
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.schedules.send_modify(|number| *number += 1)));
            run(tx)
        })
        .await
    }

    /// Makes the jobs whose moment has come. Returns whether more are due.
    async fn tick(&self) -> Result<bool> {
        let state = Arc::clone(&self.state);
        self.write(None, move |tx| {
            let now_ms = jobs_store::unsigned(tx.now_ms());
            let due = store::due(&tx.reader(), now_ms, DUE_MAX)?;
            for stored in &due {
                let Ok(cron) = Cron::parse(&stored.schedule.cron) else {
                    store::advance(tx, stored, None, None)?;
                    continue;
                };
                let from_ms = stored.next_at_ms.unwrap_or(now_ms);
                let mut made = None;
                for moment in moments(&cron, stored.schedule.missed, from_ms, now_ms) {
                    let job =
                        make(tx, stored, moment.at_ms, Some(moment.key(&stored.schedule.name)))?;
                    made = Some((moment.at_ms, job));
                }
                store::advance(tx, stored, cron.after(now_ms), made)?;
            }
            let state = Arc::clone(&state);
            tx.on_commit(Box::new(move || state.jobs_changed()));
            Ok(Ok(due.len() >= DUE_MAX as usize))
        })
        .await
    }

    /// Computes all next moments anew, from now.
    async fn recompute(&self) -> Result<()> {
        self.write(None, move |tx| {
            let now_ms = jobs_store::unsigned(tx.now_ms());
            for stored in store::all(&tx.reader(), None)?.iter().filter(|stored| !stored.paused) {
                let cron = Cron::parse(&stored.schedule.cron).ok();
                store::advance(tx, stored, cron.and_then(|cron| cron.after(now_ms)), None)?;
            }
            Ok(Ok(()))
        })
        .await
    }
}

/// Whether schedules of the same source that are not named go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    /// No: these are added or changed.
    These,
    /// Yes: these are all of the source.
    OfSource,
}

/// A moment that leads to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    at_ms: u64,
    /// Whether it is one of several: then jobs wait for each other's turn and not for each other.
    is_one_of_many: bool,
}

impl Moment {
    fn key(&self, name: &str) -> String {
        if self.is_one_of_many {
            format!("schedule:{name}:{}", self.at_ms)
        } else {
            format!("schedule:{name}")
        }
    }
}

/// The moments from `from_ms` to `now_ms` that lead to jobs, the oldest first.
fn moments(cron: &Cron, missed: Missed, from_ms: u64, now_ms: u64) -> Vec<Moment> {
    let Some(latest) = cron.until(now_ms).filter(|latest| *latest >= from_ms) else {
        return Vec::new();
    };
    let alone = Moment { at_ms: latest, is_one_of_many: false };
    match missed {
        Missed::Skip if now_ms - latest > LATE_MS => Vec::new(),
        Missed::Skip | Missed::RunOnce => vec![alone],
        Missed::All => {
            let mut all = vec![Moment { at_ms: latest, is_one_of_many: true }];
            while all.len() < CAUGHT_UP_MAX
                && let Some(last) = all.last()
                && let Some(before) = last.at_ms.checked_sub(1).and_then(|ms| cron.until(ms))
                && before >= from_ms
            {
                all.push(Moment { at_ms: before, is_one_of_many: true });
            }
            all.reverse();
            all
        }
    }
}

/// Makes a job of a schedule, unless one with that key waits or runs.
fn make(
    tx: &WriteTx<'_>,
    stored: &Stored,
    at_ms: u64,
    unique_key: Option<String>,
) -> Result<u64, TxError> {
    let schedule = &stored.schedule;
    if let Some(key) = &unique_key
        && let Some(id) = jobs_store::same(tx, &stored.app, &schedule.kind, key)?
    {
        return Ok(id);
    }
    let job = NewJob {
        unique_key,
        run_at_ms: Some(at_ms),
        attempts_max: schedule.attempts_max,
        timeout: schedule.timeout,
        ..NewJob::new(&schedule.kind, schedule.payload.clone())
    };
    queue::insert(tx, &stored.app, &job, Some(&schedule.name))
}

/// Whether a schedule can be one.
///
/// # Errors
/// `Invalid` for a time or a name that is none, `TooLarge`.
pub(super) fn check(schedule: &NewSchedule) -> Result<Cron> {
    let good = (1..=NAME_BYTES_MAX).contains(&schedule.name.len())
        && schedule
            .name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'%');
    if !good {
        return Err(Error::invalid(format!(
            "`{}` cannot be a schedule's name: it has 1 to {NAME_BYTES_MAX} letters, digits and signs, without spaces and slashes",
            schedule.name
        ))
        .with_code("BAD_NAME"));
    }
    let job = NewJob {
        attempts_max: schedule.attempts_max,
        ..NewJob::new(&schedule.kind, schedule.payload.clone())
    };
    queue::check(&job)?;
    Cron::parse(&schedule.cron)
}

fn shown(stored: Stored) -> Schedule {
    let mut next_ms = Vec::new();
    if let Ok(cron) = Cron::parse(&stored.schedule.cron) {
        let mut at = stored.next_at_ms;
        while next_ms.len() < NEXT_SHOWN
            && let Some(ms) = at
        {
            next_ms.push(ms);
            at = cron.after(ms);
        }
    }
    Schedule {
        app: jobs_store::app_of(&stored.app),
        source: stored.source,
        schedule: stored.schedule,
        paused: stored.paused,
        next_ms,
        last_at_ms: stored.last_at_ms,
        last_job: stored.last_job,
    }
}

fn no_such_schedule(name: &str) -> Error {
    Error::not_found(format!("there is no schedule {name} there; see `fazt cron list`"))
        .with_code("NO_SUCH_SCHEDULE")
}

/// Starts watching schedules.
///
/// # Errors
/// When the kernel has too many tasks.
pub(super) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.spawn("jobs.schedules", move || watch(node.clone()))
}

async fn watch(node: Weak<Core>) -> Result<()> {
    let mut clocks = None;
    loop {
        let Some(core) = node.upgrade() else { return Ok(()) };
        let mut changed = core.jobs.state.schedules.subscribe();
        let (wall_ms, monotonic) = (core.jobs.wall_ms(), core.jobs.now());
        if clocks.is_some_and(|before| was_set_back(before, (wall_ms, monotonic))) {
            core.jobs.recompute().await?;
        }
        clocks = Some((wall_ms, monotonic));
        let next = core.cartridge.scan_value(&Owner::kernel(), store::next).await?;
        let mut pause = SLEEP_MAX;
        if let Some(next) = next {
            if next <= wall_ms {
                while core.jobs.tick().await? {}
                continue;
            }
            pause = pause.min(Duration::from_millis(next - wall_ms));
        }
        drop(core);
        tokio::select! {
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether the machine's clock was set back by more than can be waited out. What is less passes twice
/// on the clock and once here, as in Vixie's cron, which draws the same line.
fn was_set_back(before: (u64, Duration), now: (u64, Duration)) -> bool {
    let passed_ms = u64::try_from(now.1.saturating_sub(before.1).as_millis()).unwrap_or(u64::MAX);
    let expected = before.0.saturating_add(passed_ms);
    expected.saturating_sub(now.0) > SET_BACK_MS
}

/// A moment that is further past than this was missed, in milliseconds.
const LATE_MS: u64 = 90_000;

/// The most jobs that one schedule makes to catch up.
const CAUGHT_UP_MAX: usize = 100;

/// By how much a clock that is set back is waited out, in milliseconds.
const SET_BACK_MS: u64 = 3 * 3_600 * 1_000;

/// How many schedules one write looks at.
const DUE_MAX: u32 = 100;

/// How many of the next moments are shown.
const NEXT_SHOWN: usize = 5;

const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const YEAR: u64 = 366 * 24 * 60 * MINUTE;

    fn at(missed: Missed, from: u64, now: u64) -> Vec<u64> {
        let cron = Cron::parse("* * * * *").unwrap();
        moments(&cron, missed, from, now).iter().map(|moment| moment.at_ms / MINUTE).collect()
    }

    #[test]
    fn what_was_missed_is_skipped_run_once_or_made_up_for() {
        let (from, now) = (10 * MINUTE, 15 * MINUTE + 5_000);
        assert_eq!(at(Missed::Skip, from, now), [15]);
        assert_eq!(at(Missed::RunOnce, from, now), [15]);
        assert_eq!(at(Missed::All, from, now), [10, 11, 12, 13, 14, 15]);
        let hourly = Cron::parse("@hourly").unwrap();
        assert_eq!(moments(&hourly, Missed::Skip, 0, 90 * MINUTE), []);
        assert_eq!(moments(&hourly, Missed::RunOnce, 0, 90 * MINUTE).len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_a_year_makes_no_storm() {
        assert_eq!(at(Missed::Skip, MINUTE, YEAR).len(), 1);
        assert_eq!(at(Missed::RunOnce, MINUTE, YEAR).len(), 1);
        let all = at(Missed::All, MINUTE, YEAR);
        assert_eq!(all.len(), CAUGHT_UP_MAX);
        assert_eq!(all.last(), Some(&(YEAR / MINUTE)));
        assert!(all.is_sorted());
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_is_waited_out() {
        let hour = Duration::from_secs(3_600);
        let before = (100 * 3_600_000, hour);
        let set_to = |hours: u64| (hours * 3_600_000, 2 * hour);
        assert!(!was_set_back(before, set_to(101)));
        assert!(!was_set_back(before, set_to(99)));
        assert!(!was_set_back(before, set_to(200)));
        assert!(was_set_back(before, set_to(97)));
    }
}
