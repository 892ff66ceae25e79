//! Checking a domain: does its name lead here, and if not, what stands in the way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fazt_sdk::{Error, Result};

use super::probe::{self, RANDOM_BYTES};
use super::{Domain, no_such_domain};
use crate::core::Core;
use crate::egress::{Answer, Failure, Fetch, Reach, address};

/// What a check found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The domain as it is known now.
    pub(crate) domain: Domain,
    /// What the name resolves to.
    pub(crate) addresses: Vec<Address>,
    /// Who answered on port 80, and what.
    pub(crate) answered: Option<String>,
    /// What to do, one step each; empty when nothing is wrong.
    pub(crate) advice: Vec<String>,
}

/// An address of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) ip: String,
    /// Whether it is one of this machine itself. A machine behind a router does not know the
    /// address that the world sees.
    pub(crate) is_this_machine: bool,
}

/// What one try came to.
struct Outcome {
    addresses: Vec<Address>,
    answered: Option<String>,
    problem: Option<String>,
    advice: Vec<String>,
}

/// Tries to reach the node under the domain `name`, and notes what came of it. Durable.
///
/// # Errors
/// `NotFound` for a domain that is not there; what the cartridge says.
pub(crate) async fn check(core: &Core, name: &str) -> Result<Report> {
    if !core.directory.now().domains.contains_key(name) {
        return Err(no_such_domain(name));
    }
    if core.is_command() {
        return Err(Error::unavailable(
            "the node does not run, so nobody can reach it; start it with `fazt server start` and check again",
        )
        .with_code("NOT_RUNNING"));
    }
    let outcome = attempt(core, name).await?;
    let domain = core.directory.domain_checked(name, outcome.problem).await?;
    let Outcome { addresses, answered, advice, .. } = outcome;
    Ok(Report { domain, addresses, answered, advice })
}

async fn attempt(core: &Core, name: &str) -> Result<Outcome> {
    let question = core.probes.open(name, &core.random(RANDOM_BYTES)?)?;
    let addresses = core.egress.resolve(name, PORT).await;
    let url = format!("http://{name}{}", question.path());
    let fetch = Fetch {
        url: &url,
        reach: Reach::PublicOrOwn,
        redirects_max: 1,
        body_bytes_max: BODY_BYTES_MAX,
        limit: LIMIT,
    };
    let answer = match &addresses {
        Ok(_) => core.egress.get(&fetch).await,
        Err(failure) => Err(failure.clone()),
    };
    let addresses = addresses.unwrap_or_default();
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| Address {
            ip: address.ip().to_canonical().to_string(),
            is_this_machine: address::is_own(address.ip()),
        })
        .collect();
    let port = core.port();
    let (answered, problem, advice) = match answer {
        Ok(answer) if answer.body == question.answer.as_bytes() => {
            (Some(format!("this node, through {}", answer.from)), None, Vec::new())
        }
        Ok(answer) => {
            let (problem, advice) = somebody_else(name, &answer, &addresses);
            (Some(described(&answer)), Some(problem), advice)
        }
        Err(failure) => (None, Some(failure.to_string()), advice(name, &failure, &addresses, port)),
    };
    Ok(Outcome { addresses, answered, problem, advice })
}

/// What an answer that is not the node's own looks like to people.
fn described(answer: &Answer) -> String {
    let server = answer.server.as_deref().unwrap_or("a server that does not say what it is");
    format!("{server} at {}, with status {}", answer.from, answer.status)
}

/// Why a foreign answer is one, and what to do.
fn somebody_else(name: &str, answer: &Answer, addresses: &[Address]) -> (String, Vec<String>) {
    let problem =
        format!("{name} is answered by something else than this node: {}", described(answer));
    let advice = if addresses.iter().any(|address| address.is_this_machine) {
        format!(
            "Another program of this machine, or a proxy, answers on port 80: let it pass requests for {name} on to this node, with the Host header as it came"
        )
    } else {
        format!(
            "The name seems to lead to another machine: point its A and AAAA records, at whoever manages the DNS of {name}, to the public addresses of this one, and remove all others"
        )
    };
    (problem, vec![advice])
}

/// What to do about a check without an answer.
fn advice(name: &str, failure: &Failure, addresses: &[Address], port: u16) -> Vec<String> {
    let again = format!("Then check again: fazt domain check {name}");
    let records = format!(
        "At whoever manages the DNS of {name}, add an A record with the public IPv4 address of this machine (and an AAAA record if it has an IPv6 address)"
    );
    match failure {
        Failure::Unresolved { .. } => vec![
            records,
            "A new record takes a while to be seen everywhere, usually minutes".to_owned(),
            again,
        ],
        Failure::NotPublic { .. } => vec![
            format!("{records}; a private address is reached from inside its own network only"),
            again,
        ],
        Failure::Unreached { .. } if addresses.iter().any(|address| address.is_this_machine) => {
            vec![
                format!(
                    "The name leads to this machine, but nothing listens on port 80 there; this node listens on {port}. Start it with --port 80 and a --host that the world reaches, or let a proxy on port 80 pass requests on to it"
                ),
                again,
            ]
        }
        Failure::Unreached { .. } | Failure::Late => vec![
            "If that is the public address of this machine: open port 80 in its firewall, and in the firewall of the hosting company or the port forwarding of the router".to_owned(),
            format!("If it is not: correct the A and AAAA records of {name}"),
            again,
        ],
        Failure::Tls(_) | Failure::Redirected(_) => vec![
            format!(
                "Something in front of this node redirects port 80; let it pass requests for paths below {} on to the node over plain HTTP",
                probe::PREFIX
            ),
            again,
        ],
        Failure::Broken { .. } | Failure::Address(_) => vec![
            format!("See which program listens on port 80 there, and let it pass requests for {name} on to this node"),
            again,
        ],
    }
}

/// When domains that are not verified yet are tried again.
#[derive(Debug, Default)]
pub(crate) struct Rechecks(Mutex<HashMap<String, Attempts>>);

#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    next_ns: u64,
}

impl Rechecks {
    /// Which of `pending` are due at `now_ns`; the next try of each is then later than the last.
    fn due(&self, pending: &[String], now_ns: u64) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| pending.contains(name));
        let mut due = Vec::new();
        for name in pending {
            let attempts = known.entry(name.clone()).or_insert_with(|| Attempts {
                count: 0,
                next_ns: now_ns.saturating_add(nanoseconds(delay(0))),
            });
            if attempts.next_ns <= now_ns {
                attempts.count = attempts.count.saturating_add(1);
                attempts.next_ns = now_ns.saturating_add(nanoseconds(delay(attempts.count)));
                due.push(name.clone());
            }
        }
        due
    }
}

/// How long after the try number `count` the next one is.
fn delay(count: u32) -> Duration {
    DELAY_FIRST.saturating_mul(2_u32.saturating_pow(count)).min(DELAY_LAST)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Starts trying the domains that are not verified yet, again and again.
///
/// # Errors
/// When the kernel has too many tasks.
pub(crate) fn start(core: &Arc<Core>) -> Result<()> {
    let node = Arc::downgrade(core);
    core.tasks.every("domain checks", ROUND, move || round(node.clone()))
}

async fn round(node: Weak<Core>) -> Result<()> {
    let Some(core) = node.upgrade() else { return Ok(()) };
    let pending: Vec<String> = core
        .directory
        .now()
        .domains
        .values()
        .filter(|domain| !domain.is_verified())
        .map(|domain| domain.name.clone())
        .collect();
    for name in core.rechecks.due(&pending, core.monotonic_ns()) {
        match check(&core, &name).await {
            Ok(_) => {}
            // Removed meanwhile.
            Err(error) if error.code() == "NO_SUCH_DOMAIN" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The port that everybody, and every certificate authority, asks first (RFC 8555 §8.3).
const PORT: u16 = 80;

/// The largest page that is looked at, in bytes.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(12);

/// How often the domains that are due are looked for.
const ROUND: Duration = Duration::from_secs(30);

/// Between the first two tries; doubled after each, up to the last.
const DELAY_FIRST: Duration = Duration::from_secs(60);
const DELAY_LAST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_later_and_later_and_never_stop() {
        let rechecks = Rechecks::default();
        let pending = vec!["a.example".to_owned()];
        let minute = nanoseconds(Duration::from_secs(60));
        let tries: Vec<u64> =
            (0..400).filter(|at| !rechecks.due(&pending, at * minute).is_empty()).collect();
        assert_eq!(tries[..8], [1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(tries.windows(2).skip(6).all(|pair| pair[1] - pair[0] == 60));
    }

    #[test]
    fn a_domain_that_comes_back_starts_anew() {
        let rechecks = Rechecks::default();
        let pending = vec!["a.example".to_owned()];
        let minute = nanoseconds(Duration::from_secs(60));
        for at in 0..100 {
            rechecks.due(&pending, at * minute);
        }
        assert!(rechecks.due(&[], 100 * minute).is_empty());
        assert!(rechecks.due(&pending, 101 * minute).is_empty());
        assert_eq!(rechecks.due(&pending, 102 * minute), pending);
    }

    #[test]
    fn every_failure_has_advice() {
        let failures = [
            Failure::Address("x".into()),
            Failure::Tls("https://a.example/".into()),
            Failure::Unresolved { host: "a.example".into(), why: "none".into() },
            Failure::NotPublic { host: "a.example".into(), address: [10, 0, 0, 1].into() },
            Failure::Unreached { addresses: vec![], why: "refused".into() },
            Failure::Broken { from: ([192, 0, 2, 1], 80).into(), why: "no HTTP".into() },
            Failure::Late,
            Failure::Redirected("http://b.example/".into()),
        ];
        for failure in failures {
            assert!(!advice("a.example", &failure, &[], 8080).is_empty(), "{failure}");
        }
    }
}
