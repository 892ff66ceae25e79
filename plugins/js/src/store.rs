//! The SQL of variables and logs of apps, and in `secrets` that of secrets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use fazt_js_engine::protocol::Level;
use fazt_sdk::cartridge::Query as _;
use fazt_sdk::prelude::*;
use fazt_sdk::services::AppData;
use fazt_sdk::services::app_data::{Page, Usage};

use crate::log::Line;

mod secrets;

pub(crate) use secrets::{Secret, Terms};

/// Records of one page of an export.
const PAGE_RECORDS: usize = 500;

/// Variables and secrets of one app, each.
const NAMES_MAX: u64 = 200;

/// What they hold, together with their app, when they are sealed.
const SEAL_LABEL: &str = "secret";

/// Variables, secrets and logs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    host: Host,
    cartridge: Cartridge,
    /// Counts the changes of each app's variables.
    versions: Arc<Mutex<HashMap<AppId, u64>>>,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A line of an app's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Logged {
    pub(crate) id: u64,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub(crate) level: &'static str,
    pub(crate) request_id: String,
    pub(crate) text: String,
}

/// A record of an export.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
struct Record {
    name: String,
    value: String,
    /// Sealed again by whoever takes it in; nothing for a variable.
    secret: Option<Terms>,
}

fn number(level: Level) -> u32 {
    match level {
        Level::Debug => 0,
        Level::Info => 1,
        Level::Warn => 2,
        Level::Error => 3,
    }
}

/// The name of a level's number.
fn level_name(number: u32) -> &'static str {
    match number {
        0 => "debug",
        1 => "info",
        2 => "warn",
        _ => "error",
    }
}

/// Refuses what is no name for a variable.
fn check_name(name: &str) -> Result<()> {
    let is_name = !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{name}` is no name for a variable: letters, digits and _ make one, at most 128 of them"
    )))
}

fn check_value(value: &str) -> Result<()> {
    if value.len() <= 64 * 1024 {
        return Ok(());
    }
    Err(Error::too_large("a variable holds at most 64 KiB"))
}

impl Store {
    pub(crate) fn new(host: &Host) -> Self {
        Self { host: host.clone(), cartridge: host.cartridge(), versions: Arc::default() }
    }

    /// Counts the changes of an app's variables since the start.
    pub(crate) fn env_version(&self, app: AppId) -> u64 {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&app).copied().unwrap_or(0)
    }

    fn changed(&self, transaction: &Transaction<'_>, app: AppId) -> Result<()> {
        let versions = Arc::clone(&self.versions);
        transaction.on_commit(move || {
            let mut versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
            *versions.entry(app).or_default() += 1;
        })
    }

    /// The variables of an app's cells, as a JSON object: its own, and secrets that are meant to be seen.
    ///
    /// # Errors
    /// What the cartridge says, and the sealing key.
    pub(crate) fn environment(&self, app: AppId) -> Result<String> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        let sealed = self.cartridge.read(|reader| {
            reader.all(
                "SELECT name, sealed FROM js_secret WHERE app = ?1 AND in_env = 1",
                params![app.to_string()],
                |row| row.read::<(String, Vec<u8>)>(),
            )
        })?;
        for (name, sealed) in sealed {
            all.insert(name.clone(), self.open(app, &name, &sealed)?);
        }
        all.extend(self.variables(app)?.into_iter().map(|found| (found.name, found.value)));
        fazt_sdk::to_json(&all).map(|json| json.to_string())
    }

    fn open(&self, app: AppId, name: &str, sealed: &[u8]) -> Result<String> {
        let plain = self.host.open(&label(app, name), sealed)?;
        String::from_utf8(plain)
            .map_err(|_| Error::internal(format!("the secret {name} is no text")))
    }

    /// The variables of an app, by name.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn variables(&self, app: AppId) -> Result<Vec<Variable>> {
        self.cartridge.read(|reader| {
            reader.all(
                "SELECT name, value FROM js_env WHERE app = ?1 ORDER BY name",
                params![app.to_string()],
                |row| {
                    let (name, value) = row.read()?;
                    Ok(Variable { name, value })
                },
            )
        })
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, `TooLarge`, `Full` past the bound on variables.
    pub(crate) async fn set_variable(&self, app: AppId, name: &str, value: &str) -> Result<()> {
        check_name(name)?;
        check_value(value)?;
        let (name, value) = (name.to_owned(), value.to_owned());
        let (now_ms, this) = (self.host.clock().unix_ms(), self.clone());
        let written = self.cartridge.write(Some(app), move |transaction| {
            transaction.execute(
                "INSERT INTO js_env (app, name, value, updated_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (app, name) DO UPDATE SET value = ?3, updated_at = ?4",
                params![app.to_string(), name, value, now_ms],
            )?;
            let count = transaction.first(
                "SELECT count(*) FROM js_env WHERE app = ?1",
                params![app.to_string()],
                |row| row.get::<u64>(0),
            )?;
            bounded(count, "variables")?;
            this.changed(transaction, app)
        });
        written.await
    }

    /// Removes a variable.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub(crate) async fn remove_variable(&self, app: AppId, name: &str) -> Result<()> {
        let (name, this) = (name.to_owned(), self.clone());
        let removed = self.cartridge.write(Some(app), move |transaction| {
            let count = transaction.execute(
                "DELETE FROM js_env WHERE app = ?1 AND name = ?2",
                params![app.to_string(), name],
            )?;
            found(count, "variable", &name)?;
            this.changed(transaction, app)
        });
        removed.await
    }

    /// Writes lines, all at once.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn add_lines(&self, lines: Vec<Line>) -> Result<()> {
        let written = self.cartridge.write(None, move |transaction| {
            for line in &lines {
                transaction.execute(
                    "INSERT INTO js_log (app, at, level, request_id, text) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![line.app.to_string(), line.at_ms, number(line.level), line.request_id, line.text],
                )?;
            }
            Ok(())
        });
        written.await
    }

    /// Keeps so many lines and bytes of an app's log, the newest.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn prune_log(&self, app: AppId, rows: u64, bytes: u64) -> Result<()> {
        let pruned = self.cartridge.write(Some(app), move |transaction| {
            transaction.execute(
                "DELETE FROM js_log WHERE app = ?1 AND id <= (SELECT id FROM ( \
                   SELECT id, row_number() OVER (ORDER BY id DESC) AS number, \
                          sum(length(CAST(text AS BLOB)) + 64) OVER (ORDER BY id DESC) AS total \
                   FROM js_log WHERE app = ?1) \
                 WHERE number > ?2 OR total > ?3 ORDER BY id DESC LIMIT 1)",
                params![app.to_string(), rows, bytes],
            )
        });
        pruned.await.map(drop)
    }

    /// Lines of an app's log after line `after`, the oldest first; without it the newest `limit` ones.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn lines(&self, app: AppId, after: Option<u64>, limit: u32) -> Result<Vec<Logged>> {
        let line = |row: Row<'_>| {
            let (id, at_ms, level, request_id, text) = row.read()?;
            Ok(Logged { id, at_ms, level: level_name(level), request_id, text })
        };
        self.cartridge.read(|reader| match after {
            Some(after) => reader.all(
                "SELECT id, at, level, request_id, text FROM js_log WHERE app = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                params![app.to_string(), after, limit],
                line,
            ),
            None => {
                let mut newest = reader.all(
                    "SELECT id, at, level, request_id, text FROM js_log WHERE app = ?1 ORDER BY id DESC LIMIT ?2",
                    params![app.to_string(), limit],
                    line,
                )?;
                newest.reverse();
                Ok(newest)
            }
        })
    }

    fn records(&self, app: AppId) -> Result<Vec<Record>> {
        let variables = self.variables(app)?.into_iter().map(|Variable { name, value }| Record {
            name,
            value,
            secret: None,
        });
        let mut all: Vec<_> = variables.collect();
        for secret in self.secrets(app)? {
            // One that was removed meanwhile is none any more.
            if let Some((value, terms)) = self.secret(app, &secret.name)? {
                all.push(Record { name: secret.name, value, secret: Some(terms) });
            }
        }
        Ok(all)
    }

    async fn take(&self, app: AppId, records: Vec<Record>) -> Result<()> {
        for record in records {
            match record.secret {
                Some(terms) => self.set_secret(app, &record.name, &record.value, terms).await?,
                None => self.set_variable(app, &record.name, &record.value).await?,
            }
        }
        Ok(())
    }
}

fn label(app: AppId, name: &str) -> String {
    format!("{SEAL_LABEL} {app} {name}")
}

fn bounded(count: Option<u64>, what: &str) -> Result<()> {
    if count.unwrap_or(0) <= NAMES_MAX {
        return Ok(());
    }
    Err(Error::full(format!("an app has at most {NAMES_MAX} {what}")))
}

fn found(count: u64, what: &str, name: &str) -> Result<()> {
    if count > 0 {
        return Ok(());
    }
    Err(Error::not_found(format!("the app has no {what} `{name}`")))
}

/// Removes everything of `app`.
pub(crate) fn delete_app(transaction: &Transaction<'_>, app: AppId) -> Result<()> {
    let app = app.to_string();
    transaction.execute("DELETE FROM js_env WHERE app = ?1", params![app])?;
    transaction.execute("DELETE FROM js_secret WHERE app = ?1", params![app])?;
    transaction.execute("DELETE FROM js_cron_due WHERE app = ?1", params![app])?;
    transaction.execute("DELETE FROM js_log WHERE app = ?1", params![app]).map(drop)
}

impl AppData for Store {
    async fn usage(&self, _: &Call, app: AppId) -> Result<Vec<Usage>> {
        let log = self.cartridge.read(|reader| {
            reader.first(
                "SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM js_log WHERE app = ?1",
                params![app.to_string()],
                |row| row.read::<(u64, u64)>(),
            )
        })?;
        let (count, bytes) = log.unwrap_or_default();
        let names = (self.variables(app)?.len() + self.secrets(app)?.len()) as u64;
        Ok(vec![
            Usage { what: "log lines".to_owned(), count, bytes },
            Usage { what: "variables".to_owned(), count: names, bytes: 0 },
        ])
    }

    async fn export(&self, _: &Call, app: AppId, cursor: Option<String>) -> Result<Page> {
        let start = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0_usize);
        let all = self.records(app)?;
        let page: Vec<_> = all.iter().skip(start).take(PAGE_RECORDS).collect();
        let end = start + page.len();
        let records = page.into_iter().map(fazt_sdk::wire::to_vec).collect();
        Ok(Page { records, next: (end < all.len()).then(|| end.to_string()) })
    }

    async fn import(&self, _: &Call, app: AppId, records: &[Vec<u8>]) -> Result<()> {
        let records = records
            .iter()
            .map(|record| fazt_sdk::wire::from_slice(record))
            .collect::<Result<Vec<Record>, _>>()?;
        self.take(app, records).await
    }

    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        self.take(to, self.records(from)?).await
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        let written =
            self.cartridge.write(Some(app), move |transaction| delete_app(transaction, app));
        written.await
    }

    async fn delete_user(&self, _: &Call, _: &str) -> Result<()> {
        // Nothing here is about users; what an app writes into its log goes with the log.
        Ok(())
    }
}
