//! What `fazt.worker.spawn` and `fazt.cron.schedule` are told: times, sizes, counts as people write them.

use std::time::Duration;

use fazt_sdk::services::jobs::ORDINARY;
use fazt_sdk::{Error, Json, Result};
use serde::Deserialize;

/// How long an attempt may take when the app does not say.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The bound of the first delay when the app does not say.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// The most attempts, and the most times that a job is tried again.
const ATTEMPTS_MAX: u32 = 1_000;

/// The longest time that anybody writes down.
const TIME_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// The least memory that a job runs in.
const MEMORY_BYTES_MIN: u64 = 4 << 20;

/// The options of `fazt.worker.spawn`, as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct SpawnOptions {
    data: Option<Json>,
    args: Option<Json>,
    memory: Option<Json>,
    #[serde(deserialize_with = "given")]
    timeout: Option<Json>,
    daemon: Option<bool>,
    retry: Option<u32>,
    retries: Option<u32>,
    max_attempts: Option<u32>,
    retry_delay: Option<Json>,
    priority: Option<i32>,
    unique_key: Option<String>,
    delay: Option<Json>,
    run_at: Option<Json>,
    idle_timeout: Option<Json>,
    idle_channel: Option<String>,
}

/// Tells `null` from nothing at all.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// What a job is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) data: Json,
    pub(super) memory_bytes: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) daemon: bool,
    pub(super) attempts_max: u32,
    pub(super) backoff: Duration,
    pub(super) priority: u32,
    pub(super) unique_key: Option<String>,
    pub(super) run_at_ms: Option<u64>,
    /// Whether it was to end when nobody listens to a channel.
    pub(super) ends_when_idle: bool,
}

impl SpawnOptions {
    /// What they mean at `now_ms`.
    ///
    /// # Errors
    /// `Invalid` for what makes no sense.
    pub(super) fn read(self, now_ms: u64) -> Result<Wanted> {
        let daemon = self.daemon.unwrap_or(false);
        let timeout = match self.timeout {
            None if daemon => None,
            None => Some(TIMEOUT),
            Some(Json::Null) => None,
            Some(value) => Some(duration("timeout", &value)?).filter(|time| !time.is_zero()),
        };
        let attempts_max = match (self.max_attempts, self.retry.or(self.retries)) {
            (Some(attempts), None) => attempts,
            (None, retries) => retries.unwrap_or(0).saturating_add(1),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("maxAttempts and retry say the same thing: give one"));
            }
        };
        if attempts_max == 0 || attempts_max > ATTEMPTS_MAX {
            return Err(Error::invalid(format!("a job has 1 to {ATTEMPTS_MAX} attempts")));
        }
        let priority = self.priority.unwrap_or(0);
        if !(-100..=100).contains(&priority) {
            return Err(Error::invalid("a priority lies between -100 and 100"));
        }
        let memory_bytes = self.memory.as_ref().map(|value| bytes("memory", value)).transpose()?;
        let run_at_ms = match (&self.delay, &self.run_at) {
            (None, None) => None,
            (Some(delay), None) => Some(now_ms.saturating_add(millis(duration("delay", delay)?))),
            (None, Some(at)) => Some(at.as_u64().ok_or_else(|| {
                Error::invalid(
                    "runAt is a moment in milliseconds since 1970, as Date.now() gives it",
                )
            })?),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("delay and runAt say the same thing: give one"));
            }
        };
        if self.data.is_some() && self.args.is_some() {
            return Err(Error::invalid("data and args are the same thing: give one"));
        }
        Ok(Wanted {
            data: self.data.or(self.args).unwrap_or(Json::Null),
            memory_bytes: memory_bytes.map(|bytes| bytes.max(MEMORY_BYTES_MIN)),
            timeout,
            daemon,
            attempts_max,
            backoff: match &self.retry_delay {
                Some(value) => duration("retryDelay", value)?,
                None => RETRY_DELAY,
            },
            priority: ORDINARY.saturating_add_signed(priority),
            unique_key: self.unique_key.filter(|key| !key.is_empty()),
            run_at_ms,
            ends_when_idle: self.idle_timeout.is_some() || self.idle_channel.is_some(),
        })
    }
}

/// A length of time: milliseconds, or a number with a unit as in `"30m"`.
///
/// # Errors
/// `Invalid` for anything else.
pub(super) fn duration(name: &str, value: &Json) -> Result<Duration> {
    let wrong = || {
        Error::invalid(format!(
            "{name} is a number of milliseconds or a text like \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\", not {value}"
        ))
    };
    let seconds = match value {
        Json::Number(ms) => ms.as_f64().ok_or_else(wrong)? / 1_000.0,
        Json::String(text) => {
            let (number, unit) = split(text);
            let number: f64 = number.parse().map_err(|_| wrong())?;
            let unit = match unit {
                "ms" | "" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return Err(wrong()),
            };
            number * unit
        }
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= TIME_MAX).ok_or_else(wrong)
}

/// A size: bytes, or a number with a unit as in `"32MB"`; a kilobyte has 1,024 bytes.
///
/// # Errors
/// `Invalid` for anything else.
fn bytes(name: &str, value: &Json) -> Result<u64> {
    let wrong = || {
        Error::invalid(format!("{name} is a number of bytes or a text like \"64MB\", not {value}"))
    };
    match value {
        Json::Number(bytes) => bytes.as_u64().ok_or_else(wrong),
        Json::String(text) => {
            let (number, unit) = split(text);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let shift = match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 0,
                "k" | "kb" | "kib" => 10,
                "m" | "mb" | "mib" => 20,
                "g" | "gb" | "gib" => 30,
                _ => return Err(wrong()),
            };
            number.checked_mul(1 << shift).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// A number and what stands behind it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use fazt_sdk::json;
    use proptest::prelude::*;

    use super::*;

    fn read(options: Json) -> Result<Wanted> {
        let options: SpawnOptions =
            serde_json::from_value(options).map_err(|error| Error::invalid(error.to_string()))?;
        options.read(1_000)
    }

    #[test]
    fn a_job_of_which_nothing_is_said_is_tried_once_for_half_an_hour() {
        let wanted = read(json!({})).unwrap();
        assert_eq!(wanted.timeout, Some(TIMEOUT));
        assert_eq!((wanted.attempts_max, wanted.priority), (1, ORDINARY));
        assert_eq!((wanted.data, wanted.run_at_ms), (Json::Null, None));
        assert_eq!(read(json!({ "daemon": true })).unwrap().timeout, None);
        assert_eq!(read(json!({ "timeout": null })).unwrap().timeout, None);
    }

    #[test]
    fn options_are_read_as_people_write_them() {
        let wanted = read(json!({
            "data": {"a": 1}, "memory": "32MB", "timeout": "90s", "retry": 2, "retryDelay": "1m",
            "priority": -5, "uniqueKey": "k", "delay": "2s",
        }))
        .unwrap();
        assert_eq!(wanted.memory_bytes, Some(32 << 20));
        assert_eq!(wanted.timeout, Some(Duration::from_secs(90)));
        assert_eq!((wanted.attempts_max, wanted.priority), (3, 95));
        assert_eq!(wanted.backoff, Duration::from_secs(60));
        assert_eq!(wanted.run_at_ms, Some(3_000));
        assert_eq!(read(json!({ "maxAttempts": 4 })).unwrap().attempts_max, 4);
        assert_eq!(read(json!({ "args": [1] })).unwrap().data, json!([1]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            json!({ "retires": 1 }),
            json!({ "timeout": "soon" }),
            json!({ "timeout": -1 }),
            json!({ "timeout": {} }),
            json!({ "memory": "much" }),
            json!({ "memory": "99999999999999999999GB" }),
            json!({ "maxAttempts": 0 }),
            json!({ "maxAttempts": 2, "retry": 1 }),
            json!({ "priority": 1000 }),
            json!({ "delay": 1, "runAt": 1 }),
            json!({ "runAt": "tomorrow" }),
            json!({ "data": 1, "args": 2 }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,12}", number in any::<f64>()) {
            for value in [Json::String(text.clone()), json!(number)] {
                let read = (duration("x", &value), bytes("x", &value));
                if let Ok(time) = read.0 {
                    prop_assert!(time <= TIME_MAX);
                }
            }
        }

        #[test]
        fn milliseconds_mean_the_same_as_a_number_and_as_a_text(ms in 0_u32..) {
            let (number, text) = (json!(ms), json!(format!("{ms}ms")));
            let (number, text) = (duration("x", &number).unwrap(), duration("x", &text).unwrap());
            prop_assert!(number.abs_diff(text) < Duration::from_micros(10));
        }
    }
}
