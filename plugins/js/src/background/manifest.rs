//! `"cron"` in an app's `manifest.json`: a list of schedules, and what is wrong with it, with its place.

use std::collections::HashMap;

use fazt_sdk::Json;
use fazt_sdk::prelude::*;
use fazt_sdk::services::jobs::{APP_SCHEDULED, NewSchedule};
use serde_json::value::RawValue;

use super::cron::{RUN_TIME, missed};
use super::options::duration;
use super::view::Payload;

/// The file.
pub(super) const FILE: &str = "manifest.json";

/// The most problems that are told.
const PROBLEMS_MAX: usize = 20;

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Declared {
    /// What can be a schedule, as far as the file alone tells, each with its place.
    pub(super) schedules: Vec<(Place, NewSchedule)>,
    /// A sentence each, with file, line and column.
    pub(super) problems: Vec<String>,
}

/// Where an entry begins, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{FILE}:{}:{}", self.line, self.column)
    }
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    cron: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    schedule: String,
    handler: String,
    name: Option<String>,
    missed: Option<String>,
    #[serde(default)]
    data: Json,
    timeout: Option<Json>,
    retry: Option<u32>,
}

/// Reads the file. What is no JSON at all is nobody's schedule: hosting has its word on that.
pub(super) fn read(text: &str) -> Declared {
    let mut declared = Declared::default();
    let Ok(File { cron: Some(list) }) = serde_json::from_str(text) else { return declared };
    let entries: Vec<&RawValue> = match serde_json::from_str(list.get()) {
        Ok(entries) => entries,
        Err(_) => {
            let wrong = "\"cron\" is a list of {\"schedule\": …, \"handler\": …}";
            declared.problems.push(format!("{}: {wrong}", place(text, list.get())));
            return declared;
        }
    };
    let mut names: HashMap<String, usize> = HashMap::new();
    for raw in entries {
        let at = place(text, raw.get());
        match entry(raw.get(), &mut names) {
            Ok(schedule) => declared.schedules.push((at, schedule)),
            Err(why) if declared.problems.len() < PROBLEMS_MAX => {
                declared.problems.push(format!("{at}: {why}"));
            }
            Err(_) => {}
        }
    }
    declared
}

fn entry(text: &str, names: &mut HashMap<String, usize>) -> Result<NewSchedule> {
    let entry: Entry = serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        // The line and column that serde adds are those inside of the entry.
        let why = text.split(" at line ").next().unwrap_or_default();
        Error::invalid(format!("this schedule cannot be read: {why}"))
    })?;
    let handler = entry.handler.trim_start_matches("./").trim_start_matches('/').to_owned();
    let timeout = entry.timeout.as_ref().map(|value| duration("timeout", value)).transpose()?;
    let payload = Payload {
        handler: handler.clone(),
        data: entry.data,
        memory: None,
        cron: Some(entry.schedule.clone()),
    };
    let payload = serde_json::to_vec(&payload)
        .map_err(|error| Error::invalid(format!("its data has no JSON form: {error}")))?;
    let is_named = entry.name.is_some();
    let mut name = entry.name.unwrap_or_else(|| default_name(&handler));
    let count = names.entry(name.clone()).or_default();
    *count += 1;
    if *count > 1 {
        if is_named {
            return Err(Error::invalid(format!("two schedules are named {name}")));
        }
        name = format!("{name}-{count}");
    }
    Ok(NewSchedule {
        name,
        cron: entry.schedule,
        missed: missed(entry.missed.as_deref())?,
        kind: APP_SCHEDULED.to_owned(),
        payload,
        attempts_max: entry.retry.unwrap_or(0).saturating_add(1),
        timeout: Some(timeout.unwrap_or(RUN_TIME)),
    })
}

/// `api/cron.js` becomes `api.cron`.
fn default_name(handler: &str) -> String {
    let stem = handler.rsplit_once('.').map_or(handler, |(stem, _)| stem);
    let is_good = |c: char| c.is_ascii_graphic() && c != '/' && c != '%';
    let name: String = stem.chars().map(|c| if is_good(c) { c } else { '.' }).collect();
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// What a name made of a path has at most, so that a number fits behind it.
const NAME_CHARS_MAX: usize = 56;

/// Where `part`, which is a part of `text`, begins.
fn place(text: &str, part: &str) -> Place {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Place { line, column }
}

#[cfg(test)]
mod tests {
    use fazt_sdk::services::jobs::Missed;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schedules_are_read_with_their_names_and_places() {
        let text = r#"{
  "name": "x",
  "cron": [
    {"schedule": "*/5 * * * *", "handler": "api/cron.js"},
    {"schedule": "@daily", "handler": "./api/cron.js", "missed": "all", "retry": 2},
    {"schedule": "@hourly", "handler": "jobs/x.js", "name": "tidy", "data": {"a": 1}}
  ]
}"#;
        let declared = read(text);
        assert_eq!(declared.problems, Vec::<String>::new());
        let names: Vec<_> =
            declared.schedules.iter().map(|(at, one)| (at.to_string(), &*one.name)).collect();
        assert_eq!(names[0], ("manifest.json:4:5".to_owned(), "api.cron"));
        assert_eq!(names[1].1, "api.cron-2");
        assert_eq!(names[2], ("manifest.json:6:5".to_owned(), "tidy"));
        let daily = &declared.schedules[1].1;
        assert_eq!((daily.missed, daily.attempts_max), (Missed::All, 3));
        let payload: Json = serde_json::from_slice(&declared.schedules[2].1.payload).unwrap();
        let expected = fazt_sdk::json!({
            "handler": "jobs/x.js", "data": {"a": 1}, "cron": "@hourly",
        });
        assert_eq!(payload, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_rest_counts() {
        let text = "{\"cron\": [\n  {\"schedule\": \"@daily\"},\n  7,\n  {\"schedule\": \"@daily\", \"handler\": \"a.js\", \"mised\": \"all\"},\n  {\"schedule\": \"@daily\", \"handler\": \"a.js\", \"missed\": \"never\"},\n  {\"schedule\": \"@daily\", \"handler\": \"a.js\"}]}";
        let declared = read(text);
        assert_eq!(declared.schedules.len(), 1);
        let starts = [
            "manifest.json:2:3: ",
            "manifest.json:3:3: ",
            "manifest.json:4:3: ",
            "manifest.json:5:3: ",
        ];
        assert_eq!(declared.problems.len(), starts.len(), "{:?}", declared.problems);
        for (problem, start) in declared.problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem}");
        }
        assert!(declared.problems[0].contains("handler"), "{:?}", declared.problems);
        assert!(read("{\"cron\": 7}").problems[0].starts_with("manifest.json:1:10: "));
        assert_eq!(read("{\"cron\": null}"), Declared::default());
        assert_eq!(read("{}"), Declared::default());
        assert_eq!(read("no json"), Declared::default());
    }

    proptest! {
        #[test]
        fn no_manifest_is_a_panic(text in "\\PC{0,40}", inner in "[\\[\\]{}\",:a-z0-9é\\\\ ]{0,40}") {
            read(&text);
            read(&format!("{{\"cron\": {inner}}}"));
            read(&format!("{{\"cron\": [{{\"schedule\": \"{inner}\", \"handler\": \"{inner}\"}}]}}"));
        }
    }
}
