//! When a schedule's moments are: the five fields of crontab(5), in UTC.

use std::fmt;

use fazt_sdk::{Error, Result};

/// A parsed expression: a bit for each value that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both day fields are restricted, so that either may match (crontab(5), "Note").
    either_day: bool,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Names of the values from `first` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field {
        name: "month",
        first: 1,
        last: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    // 7 is Sunday too.
    Field {
        name: "day of the week",
        first: 0,
        last: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

const SHORT: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// `Invalid`, naming the field and what is wrong with it; also for one that never comes.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &dyn fmt::Display| {
            Error::invalid(format!(
                "`{text}` is no schedule: {why}; write minute, hour, day of the month, month, day of the week, as in `*/5 * * * *`, or @daily"
            ))
            .with_code("BAD_SCHEDULE")
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(&format_args!("it is longer than {TEXT_BYTES_MAX} bytes")));
        }
        let lower = text.trim().to_ascii_lowercase();
        let spelled = match SHORT.iter().find(|(short, _)| *short == lower) {
            Some((_, long)) => long,
            None if lower.starts_with('@') => return Err(wrong(&"that short form is not known")),
            None => lower.as_str(),
        };
        let fields: Vec<&str> = spelled.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(wrong(&format_args!("it has {} fields, not 5", fields.len())));
        }
        let mut bits = [0; 5];
        for ((bits, text), field) in bits.iter_mut().zip(&fields).zip(&FIELDS) {
            *bits = field
                .parse(text)
                .map_err(|why| wrong(&format_args!("{} of the {}", why, field.name)))?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let weekdays = (weekdays | weekdays >> 7) & 0x7f;
        let either_day = !fields[2].starts_with('*') && !fields[4].starts_with('*');
        let cron = Self { minutes, hours, days, months, weekdays, either_day };
        if cron.after(0).is_none() {
            return Err(wrong(&"that day never comes"));
        }
        Ok(cron)
    }

    /// The first moment after `ms`; both in milliseconds since 1970.
    pub(crate) fn after(&self, ms: u64) -> Option<u64> {
        let minute = ms / MINUTE_MS + 1;
        let (first, mut from) = (minute / DAY_MINUTES, minute % DAY_MINUTES);
        for day in first..first.saturating_add(DAYS_LOOKED_AT).min(DAYS_MAX) {
            if self.is_day(day)
                && let Some(at) = (from..DAY_MINUTES).find(|at| self.is_minute(*at))
            {
                return Some((day * DAY_MINUTES + at) * MINUTE_MS);
            }
            from = 0;
        }
        None
    }

    /// The last moment up to `ms`, that one included; both in milliseconds since 1970.
    pub(crate) fn until(&self, ms: u64) -> Option<u64> {
        let minute = (ms / MINUTE_MS).min(DAYS_MAX * DAY_MINUTES);
        let (last, mut to) = (minute / DAY_MINUTES, minute % DAY_MINUTES);
        for day in (last.saturating_sub(DAYS_LOOKED_AT)..=last).rev() {
            if self.is_day(day)
                && let Some(at) = (0..=to).rev().find(|at| self.is_minute(*at))
            {
                return Some((day * DAY_MINUTES + at) * MINUTE_MS);
            }
            to = DAY_MINUTES - 1;
        }
        None
    }

    fn is_minute(&self, of_day: u64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    fn is_day(&self, day: u64) -> bool {
        let (month, of_month) = date(day);
        // 1970-01-01 was a Thursday.
        let weekday = has(self.weekdays, (day + 4) % 7);
        let of_month = has(self.days, of_month);
        let matches = if self.either_day { of_month || weekday } else { of_month && weekday };
        matches && has(self.months, month)
    }
}

impl Field {
    /// A list of values, ranges and steps.
    fn parse(&self, text: &str) -> std::result::Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.first, self.last),
                Some((first, last)) => (self.value(first)?, self.value(last)?),
                // `5/10` is from 5 on.
                None if step.is_some() => (self.value(range)?, self.last),
                None => (self.value(range)?, self.value(range)?),
            };
            if first > last {
                return Err(format!("`{range}` ends before it begins, in the field"));
            }
            let step = match step {
                Some(step) => number(step).filter(|step| *step > 0),
                None => Some(1),
            };
            let step =
                step.ok_or_else(|| format!("`{part}` has a step that is none, in the field"))?;
            let mut value = first;
            while value <= last {
                bits |= 1 << value;
                value = value.saturating_add(step);
            }
        }
        Ok(bits)
    }

    fn value(&self, text: &str) -> std::result::Result<u32, String> {
        let named = self.names.iter().position(|name| *name == text);
        let value = match named {
            Some(at) => u32::try_from(at).ok().map(|at| at + self.first),
            None => number(text),
        };
        value.filter(|value| (self.first..=self.last).contains(value)).ok_or_else(|| {
            format!("`{text}` is not from {} to {}, in the field", self.first, self.last)
        })
    }
}

/// Digits only: no sign, no spaces.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn has(bits: u64, value: u64) -> bool {
    bits >> value & 1 == 1
}

/// Month and day of the month, both from 1, of a day counted from 1970-01-01 (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(day: u64) -> (u64, u64) {
    let shifted = day + 719_468;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (month, of_month)
}

const MINUTE_MS: u64 = 60_000;

const DAY_MINUTES: u64 = 24 * 60;

/// How far is looked: a 29th of February on a given weekday may be forty years away.
const DAYS_LOOKED_AT: u64 = 41 * 366;

/// The end of the year 9999, in days since 1970: no clock is past it.
const DAYS_MAX: u64 = 2_932_897;

/// The longest expression, in bytes.
const TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-01 00:00:00 UTC, a Thursday.
    const NEW_YEAR: u64 = 1_767_225_600_000;

    fn minutes_after(text: &str, count: usize) -> Vec<u64> {
        let (cron, mut at) = (Cron::parse(text).unwrap(), NEW_YEAR);
        (0..count)
            .map(|_| {
                at = cron.after(at).unwrap();
                (at - NEW_YEAR) / MINUTE_MS
            })
            .collect()
    }

    #[test]
    fn moments_are_those_of_crontab() {
        const DAY: u64 = DAY_MINUTES;
        assert_eq!(minutes_after("* * * * *", 3), [1, 2, 3]);
        assert_eq!(minutes_after("*/20 * * * *", 4), [20, 40, 60, 80]);
        assert_eq!(minutes_after("5,10-12 1 * * *", 5), [65, 70, 71, 72, DAY + 65]);
        assert_eq!(minutes_after("@daily", 2), [DAY, 2 * DAY]);
        assert_eq!(minutes_after("0 0 * * SUN", 2), [3 * DAY, 10 * DAY]);
        assert_eq!(minutes_after("0 0 * * 7", 1), [3 * DAY]);
        assert_eq!(minutes_after("0 0 * * fri-7", 3), [DAY, 2 * DAY, 3 * DAY]);
        assert_eq!(minutes_after("0 0 1 FEB *", 1), [31 * DAY]);
        assert_eq!(minutes_after("0 0 29 2 *", 1), [(2 * 365 + 31 + 28) * DAY]);
        // Both day fields: either will do. One of them with a star: both must match.
        assert_eq!(minutes_after("0 0 3 * fri", 3), [DAY, 2 * DAY, 8 * DAY]);
        assert_eq!(minutes_after("0 0 */2 * fri", 2), [8 * DAY, 22 * DAY]);
        assert_eq!(minutes_after("50/5 * * * *", 3), [50, 55, 110]);
    }

    #[test]
    fn the_last_moment_may_be_the_last_minute_of_another_day() {
        let cron = Cron::parse("59 23 * * *").unwrap();
        assert_eq!(cron.until(NEW_YEAR), Some(NEW_YEAR - MINUTE_MS));
        assert_eq!(cron.until(NEW_YEAR - 1), Some(NEW_YEAR - MINUTE_MS));
        assert_eq!(
            cron.until(NEW_YEAR - MINUTE_MS - 1),
            Some(NEW_YEAR - (DAY_MINUTES + 1) * MINUTE_MS)
        );
        assert_eq!(cron.until(0), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in [
            "",
            "*",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 0 *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "*/x * * * *",
            "a * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "1- * * * *",
            ", * * * *",
            "1,,2 * * * *",
            "* * 30 2 *",
            "* * 31 4,6,9,11 *",
            "@reboot",
            "@often",
            "jan * * * *",
            "* * * * mon-",
            "1/ * * * *",
            "99999999999999999999 * * * *",
        ] {
            let code = Cron::parse(bad).map_err(|error| error.code().to_owned());
            assert_eq!(code.unwrap_err(), "BAD_SCHEDULE", "{bad}");
        }
    }

    /// Looks at every minute, with the calendar counted up day by day.
    fn naive(cron: &Cron, from: u64, to: u64) -> Vec<u64> {
        let (mut year, mut month, mut of_month, mut weekday) = (1970, 1, 1, 4);
        let mut found = Vec::new();
        for day in 0..=to / DAY_MINUTES {
            let matches = {
                let (days, weekdays) = (has(cron.days, of_month), has(cron.weekdays, weekday));
                let either = if cron.either_day { days || weekdays } else { days && weekdays };
                either && has(cron.months, month)
            };
            for minute in day * DAY_MINUTES..(day + 1) * DAY_MINUTES {
                let of_day = minute % DAY_MINUTES;
                if matches
                    && (from..=to).contains(&minute)
                    && has(cron.hours, of_day / 60)
                    && has(cron.minutes, of_day % 60)
                {
                    found.push(minute);
                }
            }
            weekday = (weekday + 1) % 7;
            of_month += 1;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            if of_month > length {
                (of_month, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        found
    }

    fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
        let one = prop_oneof![
            3 => Just("*".to_owned()),
            1 => (1..20_u32).prop_map(|step| format!("*/{step}")),
            2 => (first..=last).prop_map(|value| value.to_string()),
            1 => (first..=last, first..=last, 1..4_u32)
                .prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
        ];
        proptest::collection::vec(one, 1..3).prop_map(|parts| parts.join(","))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn moments_are_those_that_a_look_at_every_minute_finds(
            fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)),
            start in 0..20_000_u64,
        ) {
            let text = format!("{} {} {} {} {}", fields.0, fields.1, fields.2, fields.3, fields.4);
            let Ok(cron) = Cron::parse(&text) else { return Ok(()) };
            let from = start * DAY_MINUTES / 2;
            let to = from + 40 * DAY_MINUTES;
            let expected = naive(&cron, from + 1, to);
            let (mut at, mut found) = (from * MINUTE_MS, Vec::new());
            while let Some(next) = cron.after(at).filter(|next| *next <= to * MINUTE_MS) {
                found.push(next / MINUTE_MS);
                at = next;
                prop_assert_eq!(cron.until(next), Some(next), "{}", text);
                prop_assert_eq!(cron.until(next + MINUTE_MS - 1), Some(next), "{}", text);
                if found.len() > 2_000 { break; }
            }
            prop_assert_eq!(&found[..], &expected[..found.len()], "{}", text);
            prop_assert!(found.len() > 2_000 || found.len() == expected.len(), "{}", text);
            for two in found.windows(2) {
                prop_assert_eq!(cron.until(two[1] * MINUTE_MS - 1), Some(two[0] * MINUTE_MS));
            }
        }

        #[test]
        fn garbage_is_no_schedule_and_nothing_worse(text in "[ -~]{0,40}", ms: u64) {
            if let Ok(cron) = Cron::parse(&text) {
                cron.after(ms);
                cron.until(ms);
            }
        }
    }
}
