//! Secrets of apps: sealed values, and on which terms they go into a request.

use fazt_sdk::cartridge::Query as _;
use fazt_sdk::prelude::*;
use fazt_sdk::services::AppSecrets;
use fazt_sdk::services::app_secrets::{AppSecret, SecretPlace};

use super::{Store, bounded, check_name, check_value, found, label};

/// Hosts of one secret.
const HOSTS_MAX: usize = 20;

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Secret {
    pub(crate) name: String,
    /// Always the same: the value is never shown.
    pub(crate) value: &'static str,
    /// Whether the app's code sees it as a variable.
    pub(crate) env: bool,
    /// Where it goes in a request: `bearer`, `basic`, `header X-Name` or `query name`.
    pub(crate) place: String,
    /// The hosts that it may be sent to; every host when there is none.
    pub(crate) hosts: Vec<String>,
    /// Milliseconds since 1970.
    pub(crate) updated_at_ms: u64,
}

/// On which terms a secret is used.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub(crate) struct Terms {
    in_env: bool,
    place: SecretPlace,
    hosts: Vec<String>,
}

/// Fields that a request cannot do without, or that say where it goes (RFC 9110 §7).
const NOT_FOR_SECRETS: [&str; 7] =
    ["connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];

impl Terms {
    /// Checks them.
    ///
    /// # Errors
    /// `Invalid` for a host or a field that can be none.
    pub(crate) fn new(in_env: bool, place: SecretPlace, hosts: Vec<String>) -> Result<Self> {
        match &place {
            SecretPlace::Header { name } if !is_field(name) => {
                return Err(Error::invalid(format!(
                    "`{name}` is no header field that a secret can be: as in X-Api-Key"
                )));
            }
            SecretPlace::Query { name } if name.is_empty() || name.len() > 128 => {
                return Err(Error::invalid("a query parameter's name has 1 to 128 bytes"));
            }
            _ => {}
        }
        if hosts.len() > HOSTS_MAX {
            return Err(Error::invalid(format!("a secret is for at most {HOSTS_MAX} hosts")));
        }
        let hosts = hosts
            .into_iter()
            .map(|host| {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                if is_host(&host) {
                    return Ok(host);
                }
                Err(Error::invalid(format!(
                    "`{host}` is no host: it is a name as in api.example.com or *.example.com, without scheme, port and path"
                )))
            })
            .collect::<Result<_>>()?;
        Ok(Self { in_env, place, hosts })
    }
}

fn is_field(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(is_token)
        && !NOT_FOR_SECRETS.contains(&&*name.to_ascii_lowercase())
}

/// Whether a text names a host, or with `*.` before it all hosts below one that is no top-level domain.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// The words for a place in a row: what kind, and the name that it has.
fn words(place: &SecretPlace) -> (&'static str, &str) {
    match place {
        SecretPlace::Bearer => ("bearer", ""),
        SecretPlace::Basic => ("basic", ""),
        SecretPlace::Header { name } => ("header", name),
        SecretPlace::Query { name } => ("query", name),
    }
}

fn place(kind: &str, name: String) -> SecretPlace {
    match kind {
        "basic" => SecretPlace::Basic,
        "header" => SecretPlace::Header { name },
        "query" => SecretPlace::Query { name },
        _ => SecretPlace::Bearer,
    }
}

fn hosts(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Store {
    /// The secrets of an app, by name, without their values.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn secrets(&self, app: AppId) -> Result<Vec<Secret>> {
        self.cartridge.read(|reader| {
            reader.all(
                "SELECT name, in_env, place, place_name, hosts, updated_at FROM js_secret WHERE app = ?1 ORDER BY name",
                params![app.to_string()],
                |row| {
                    let (name, env, kind, field, text, updated_at_ms) =
                        row.read::<(String, bool, String, String, String, u64)>()?;
                    let place = format!("{kind} {field}").trim_end().to_owned();
                    let hosts = hosts(&text);
                    Ok(Secret { name, value: MASK, env, place, hosts, updated_at_ms })
                },
            )
        })
    }

    /// The value of a secret and its terms.
    ///
    /// # Errors
    /// What the cartridge says, and the sealing key.
    pub(super) fn secret(&self, app: AppId, name: &str) -> Result<Option<(String, Terms)>> {
        let row = self.cartridge.read(|reader| {
            reader.first(
                "SELECT sealed, in_env, place, place_name, hosts FROM js_secret WHERE app = ?1 AND name = ?2",
                params![app.to_string(), name],
                |row| row.read::<(Vec<u8>, bool, String, String, String)>(),
            )
        })?;
        let Some((sealed, in_env, kind, field, text)) = row else { return Ok(None) };
        let value = Self::open(self, app, name, &sealed)?;
        Ok(Some((value, Terms { in_env, place: place(&kind, field), hosts: hosts(&text) })))
    }

    /// Sets a secret.
    ///
    /// # Errors
    /// As [`Self::set_variable`]; `Unavailable` without the sealing key.
    pub(crate) async fn set_secret(
        &self,
        app: AppId,
        name: &str,
        value: &str,
        terms: Terms,
    ) -> Result<()> {
        check_name(name)?;
        check_value(value)?;
        let sealed = self.host.seal(&label(app, name), value.as_bytes())?;
        let name = name.to_owned();
        let (now_ms, this) = (self.host.clock().unix_ms(), self.clone());
        let written = self.cartridge.write(Some(app), move |transaction| {
            let (kind, field) = words(&terms.place);
            transaction.execute(
                "INSERT INTO js_secret (app, name, sealed, in_env, updated_at, place, place_name, hosts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (app, name) DO UPDATE SET sealed = ?3, in_env = ?4, updated_at = ?5, place = ?6, place_name = ?7, hosts = ?8",
                params![app.to_string(), name, sealed, terms.in_env, now_ms, kind, field, terms.hosts.join(" ")],
            )?;
            let count = transaction.first(
                "SELECT count(*) FROM js_secret WHERE app = ?1",
                params![app.to_string()],
                |row| row.get::<u64>(0),
            )?;
            bounded(count, "secrets")?;
            this.changed(transaction, app)
        });
        written.await
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub(crate) async fn remove_secret(&self, app: AppId, name: &str) -> Result<()> {
        let (name, this) = (name.to_owned(), self.clone());
        let removed = self.cartridge.write(Some(app), move |transaction| {
            let count = transaction.execute(
                "DELETE FROM js_secret WHERE app = ?1 AND name = ?2",
                params![app.to_string(), name],
            )?;
            found(count, "secret", &name)?;
            this.changed(transaction, app)
        });
        removed.await
    }
}

/// What is shown in place of a secret's value.
const MASK: &str = "••••••••";

impl AppSecrets for Store {
    async fn open(&self, _: &Call, app: AppId, name: &str) -> Result<Option<AppSecret>> {
        let found = self.secret(app, name)?;
        Ok(found.map(|(value, Terms { place, hosts, .. })| AppSecret { value, place, hosts }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(place: SecretPlace, hosts: &[&str]) -> Result<Terms> {
        Terms::new(false, place, hosts.iter().map(|host| (*host).to_owned()).collect())
    }

    #[test]
    fn hosts_are_names_and_never_all_of_a_top_level_domain() {
        for good in ["api.example.com", "*.example.com", "API.Example.com.", "a_b.example.org"] {
            terms(SecretPlace::Bearer, &[good]).unwrap();
        }
        let canonical = terms(SecretPlace::Bearer, &["API.Example.com."]).unwrap();
        assert_eq!(canonical.hosts, ["api.example.com"]);
        for bad in [
            "",
            "*",
            "*.com",
            "com",
            "https://api.example.com",
            "api.example.com/x",
            "a b.example.com",
            "api.example.com:443",
            "*.*.example.com",
            "-a.example.com",
            "a..example.com",
            "x@example.com",
        ] {
            assert!(terms(SecretPlace::Bearer, &[bad]).is_err(), "{bad}");
        }
        let many = vec!["a.example.com"; HOSTS_MAX + 1];
        assert!(terms(SecretPlace::Bearer, &many).is_err());
    }

    #[test]
    fn a_secret_is_no_field_that_steers_the_request() {
        let header = |name: &str| terms(SecretPlace::Header { name: name.to_owned() }, &[]);
        header("X-Api-Key").unwrap();
        header("authorization").unwrap();
        for bad in ["", "Host", "content-length", "x y", "x:y", "x\r\ny", "Transfer-Encoding", "é"]
        {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
