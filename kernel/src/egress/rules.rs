//! Where apps may connect to.
//!
//! Without a rule an app reaches every public address, on the ports of the web. With one, of its own
//! or one that holds for all apps, it reaches what its rules name and nothing else. No rule opens what
//! is not public.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fazt_sdk::{AppId, Error, Result};
use url::Host;

use super::target::{Place, Target};
use super::{failure, store};
use crate::cartridge::{Cartridge, Owner, SqlError, WriteTx};

/// One thing that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The app that it is for; all apps when there is none.
    pub(crate) app: Option<AppId>,
    /// Which hosts.
    pub(crate) pattern: Pattern,
    /// Whether plain HTTP is allowed too.
    pub(crate) plain: bool,
    pub(crate) created_at_ms: u64,
}

/// Which hosts a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Canonical; without `*.`.
    host: String,
    /// Whether it means all names below the host, and not the host itself.
    below: bool,
    /// 0 for the scheme's own.
    port: u16,
}

impl Pattern {
    /// Reads `HOST`, `*.HOST`, either with `:PORT`.
    ///
    /// # Errors
    /// `Invalid` for what names no host, for `*` alone, and for a whole top-level domain.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "`{text}` {why}; write a host such as api.example.com, or *.example.com for all below it, with :PORT if it is not 80 or 443"
            ))
            .with_code("BAD_HOST")
        };
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return Err(wrong("would allow every host, or a star in the middle"));
        }
        // A colon inside brackets belongs to an address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port))
                if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) =>
            {
                let port = port.parse().ok().filter(|port| *port != 0);
                (host, port.ok_or_else(|| wrong("has a port that is none"))?)
            }
            _ => (rest, 0),
        };
        if host.contains(['/', '@', '?', '#', '\\']) || host.is_empty() {
            return Err(wrong("is no host"));
        }
        let host = match Host::parse(host).map_err(|_| wrong("is no host"))? {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
                // The parser leaves numbers to schemes of the web, which read them as addresses.
                match name.parse::<std::net::IpAddr>() {
                    Ok(address) if !below => address.to_string(),
                    _ if below && !name.contains('.') => {
                        return Err(wrong("would allow a whole top-level domain"));
                    }
                    _ => name,
                }
            }
            Host::Ipv4(_) | Host::Ipv6(_) if below => return Err(wrong("has nothing below it")),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if host.is_empty() || host.len() > HOST_BYTES_MAX {
            return Err(wrong("is no host"));
        }
        Ok(Self { host, below, port })
    }

    /// A pattern out of the cartridge.
    pub(super) fn stored(host: &str, port: u16) -> Self {
        let (below, host) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host),
        };
        Self { host: host.to_owned(), below, port }
    }

    /// The host as it is kept: `*.example.com` or `example.com`.
    pub(crate) fn host(&self) -> String {
        if self.below { format!("*.{}", self.host) } else { self.host.clone() }
    }

    /// The port; 0 for the scheme's own.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host of `target` is meant, whatever the port.
    pub(super) fn names(&self, target: &Target) -> bool {
        match target.place() {
            Some(Place::Address(address)) => !self.below && self.host == address.to_string(),
            Some(Place::Name(name)) if self.below => name
                .strip_suffix(self.host.as_str())
                .and_then(|label| label.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
            Some(Place::Name(name)) => name == self.host,
            None => false,
        }
    }

    fn allows(&self, target: &Target) -> bool {
        let port = if self.port == 0 { target.has_own_port() } else { target.port() == self.port };
        port && self.names(target)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.host())?;
        if self.port == 0 { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

/// The rules of a node, mirrored in memory.
#[derive(Debug)]
pub(crate) struct Rules {
    cartridge: Cartridge,
    /// Also captured by commit hooks, which run on the writer's thread.
    all: Arc<ArcSwap<Vec<Rule>>>,
    changing: Arc<Mutex<()>>,
}

impl Rules {
    /// Reads what the cartridge holds.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(cartridge: &Cartridge) -> Result<Self> {
        let all = cartridge.scan_value(&Owner::kernel(), store::all).await?;
        let all = Arc::new(ArcSwap::from_pointee(all));
        Ok(Self { cartridge: cartridge.clone(), all, changing: Arc::default() })
    }

    /// All rules, by app and host.
    pub(crate) fn now(&self) -> Arc<Vec<Rule>> {
        self.all.load_full()
    }

    /// Whether `app` may ask `target`.
    ///
    /// # Errors
    /// `Denied`, with what would allow it.
    pub(super) fn judge(&self, app: Option<AppId>, target: &Target) -> Result<()> {
        let rules = self.all.load();
        let applies = |rule: &&Rule| rule.app.is_none() || rule.app == app;
        let host = target.shown();
        let Some(app) = app.filter(|_| rules.iter().any(|rule| applies(&rule))) else {
            if target.has_own_port() {
                return Ok(());
            }
            return Err(failure::blocked(format!(
                "{host} would be asked on port {}, and only 80 and 443 are open to an app without rules; `fazt net allow {host}:{} --app APP` allows it, and from then on nothing that is not allowed",
                target.port(),
                target.port()
            )));
        };
        let mut named =
            rules.iter().filter(applies).filter(|rule| rule.pattern.allows(target)).peekable();
        if named.peek().is_none() {
            let port =
                if target.has_own_port() { String::new() } else { format!(":{}", target.port()) };
            return Err(failure::blocked(format!(
                "{host}{port} is not on the list of hosts that this app may reach; `fazt net allow {host}{port} --app {app}` adds it"
            )));
        }
        if target.is_secure() || named.any(|rule| rule.plain) {
            return Ok(());
        }
        Err(failure::blocked(format!(
            "{host} is allowed over https only; `fazt net allow {host} --http --app {app}` allows plain http"
        )))
    }

    /// Allows something. Durable.
    ///
    /// # Errors
    /// `Conflict` when there are too many rules.
    pub(crate) async fn allow(
        &self,
        app: Option<AppId>,
        pattern: Pattern,
        plain: bool,
    ) -> Result<Rule> {
        let count = self.all.load().iter().filter(|rule| rule.app == app).count();
        if count >= RULES_MAX {
            return Err(Error::conflict(format!(
                "there are {count} rules for it, which is the most; *.HOST allows all below a host"
            ))
            .with_code("TOO_MANY"));
        }
        let (all, changing) = (Arc::clone(&self.all), Arc::clone(&self.changing));
        let written =
            self.cartridge.write_value(&Owner::kernel(), app.map(|app| *app.key()), move |tx| {
                let created_at_ms = u64::try_from(tx.now_ms()).unwrap_or(0);
                let rule = Rule { app, pattern: pattern.clone(), plain, created_at_ms };
                store::put(tx, &rule)?;
                let (all, changing, added) =
                    (Arc::clone(&all), Arc::clone(&changing), rule.clone());
                tx.on_commit(Box::new(move || {
                    change(&all, &changing, |rules| {
                        let same =
                            |one: &Rule| one.app == added.app && one.pattern == added.pattern;
                        match rules.iter_mut().find(|one| same(one)) {
                            Some(there) => there.plain = added.plain,
                            None => rules.push(added),
                        }
                        rules
                            .sort_by_key(|rule| (rule.app, rule.pattern.host(), rule.pattern.port));
                    });
                }));
                Ok(rule)
            });
        Ok(written.await?)
    }

    /// Takes a rule back. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub(crate) async fn remove(&self, app: Option<AppId>, pattern: Pattern) -> Result<()> {
        let shown = pattern.to_string();
        let (all, changing) = (Arc::clone(&self.all), Arc::clone(&self.changing));
        let written =
            self.cartridge.write_value(&Owner::kernel(), app.map(|app| *app.key()), move |tx| {
                let there = store::delete(tx, app, &pattern)?;
                let (all, changing, gone) =
                    (Arc::clone(&all), Arc::clone(&changing), pattern.clone());
                tx.on_commit(Box::new(move || {
                    change(&all, &changing, |rules| {
                        rules.retain(|rule| rule.app != app || rule.pattern != gone);
                    });
                }));
                Ok(there)
            });
        if written.await? {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no rule for {shown}; see `fazt net list`"))
            .with_code("NO_SUCH_RULE"))
    }

    /// What removes the rules of an app in the write that removes the app.
    pub(crate) fn removal(
        &self,
        app: AppId,
    ) -> impl Fn(&WriteTx<'_>) -> Result<(), SqlError> + Send + use<> {
        let (all, changing) = (Arc::clone(&self.all), Arc::clone(&self.changing));
        move |tx| {
            store::delete_app(tx, app)?;
            let (all, changing) = (Arc::clone(&all), Arc::clone(&changing));
            tx.on_commit(Box::new(move || {
                change(&all, &changing, |rules| rules.retain(|rule| rule.app != Some(app)));
            }));
            Ok(())
        }
    }
}

/// Changes the mirror; one at a time, so that none gets lost.
fn change(all: &ArcSwap<Vec<Rule>>, changing: &Mutex<()>, change: impl FnOnce(&mut Vec<Rule>)) {
    let guard = changing.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rules = Vec::clone(&all.load());
    change(&mut rules);
    all.store(Arc::new(rules));
    drop(guard);
}

/// The most rules of one app, and the most that hold for all.
pub(crate) const RULES_MAX: usize = 200;

/// The longest name of a host, in bytes (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, url: &str) -> bool {
        Pattern::parse(pattern).unwrap().allows(&Target::parse(url).unwrap())
    }

    #[test]
    fn a_rule_names_a_host_or_all_below_one() {
        assert!(allows("api.example.com", "https://api.example.com/x"));
        assert!(allows("API.Example.com.", "https://api.example.com./x"));
        assert!(allows("bücher.example", "https://xn--bcher-kva.example/"));
        assert!(allows("*.example.com", "https://a.b.example.com/"));
        assert!(allows("example.com:8443", "https://example.com:8443/"));
        assert!(allows("[2606:4700::1]:8443", "https://[2606:4700:0::1]:8443/"));
        assert!(allows("1.1.1.1", "https://1.1.1.1/"));
        for (pattern, url) in [
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://badexample.com/"),
            ("*.example.com", "https://example.com.evil.net/"),
            ("example.com", "https://www.example.com/"),
            ("example.com", "https://example.com:8443/"),
            ("example.com:8443", "https://example.com/"),
            ("1.1.1.1", "https://1.1.1.2/"),
        ] {
            assert!(!allows(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn a_rule_that_would_allow_everything_is_none() {
        for bad in [
            "*",
            "*.",
            "*.*",
            "*.com",
            "a.*.com",
            "",
            "http://a.com",
            "a.com/x",
            "a.com:0",
            "a.com:x",
            "a.com:99999",
            "user@a.com",
            "*.1.1.1.1.",
            "*.[::1]",
            "a b.com",
        ] {
            let refused = Pattern::parse(bad);
            assert_eq!(
                refused.map_err(|error| error.code().to_owned()),
                Err("BAD_HOST".into()),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_rule_is_kept_as_it_is_shown() {
        for text in ["example.com", "*.example.com", "example.com:8443", "1.1.1.1"] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.to_string(), text);
            assert_eq!(Pattern::stored(&pattern.host(), pattern.port()), pattern);
        }
    }
}
