//! Looks for redirects that never end, by following an example of every rule.

use std::collections::BTreeSet;

use super::super::finding::{Finding, Findings};
use super::super::pattern::decode;
use super::{Ask, Itself, Outcome, Parameter, Redirects, Rule};
use crate::resolve::percent_encode;

/// How many redirects a browser follows (Fetch Standard §4.4).
const REDIRECTS_MAX: usize = 20;

/// Stands for whatever a visitor may ask for.
const SOMETHING: &str = "zq7x";

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct At {
    host: Option<String>,
    path: String,
    query: String,
}

/// How redirects never end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Endless {
    /// They do, whatever is asked.
    Always(String),
    /// They do for addresses that no file answers, and only the author knows whether there are such:
    /// `/* /en/:splat` is an idiom.
    WithoutFile(String),
}

/// The findings for all rules that lead into a circle, each circle once.
pub(super) fn find(redirects: &Redirects, file_exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut circles = BTreeSet::new();
    for rule in &redirects.rules {
        if let Some(circle) = follow(redirects, rule, file_exists) {
            circles.insert(circle);
        }
    }
    let mut findings = Findings::of(super::super::REDIRECTS_FILE);
    for (line, circle) in circles {
        match circle {
            Endless::Always(message) => {
                let fix = "end it at a page: a path that no rule matches, or a file";
                findings.error(line, Finding::LOOP, message, fix);
            }
            Endless::WithoutFile(message) => {
                let fix = "write a rule for the missing ones above it: `/en/* /404.html 404`";
                findings.without_effect(line, message, fix);
            }
        }
    }
    findings.done()
}

/// Where an example of `rule` never ends: the line, and how.
fn follow(
    redirects: &Redirects,
    rule: &Rule,
    file_exists: &dyn Fn(&str) -> bool,
) -> Option<(u32, Endless)> {
    // A visitor who just meets the conditions of the rule, and stays the same on the way.
    let language = rule.conditions.languages.first().map(|language| language.as_bytes());
    let cookie = rule.conditions.cookies.first().map(|name| format!("{name}=1"));
    let mut at = example(rule);
    let mut steps: Vec<(At, u32)> = Vec::new();
    loop {
        let host = at.host.clone();
        let ask =
            Ask { language, cookie: cookie.as_ref().map(String::as_bytes), host: host.as_deref() };
        let (rule, outcome) =
            redirects.first(&at.path, &at.query, &ask, file_exists, Itself::IsTaken)?;
        let Outcome::Redirect { location, .. } = outcome else {
            return None;
        };
        let next = goes_to(redirects, &location, host)?;
        steps.push((at, rule.line));
        if let Some(start) = steps.iter().position(|(at, _)| *at == next) {
            let circle = &steps[start..];
            let first = circle.iter().map(|(_, line)| *line).min()?;
            let path = circle.iter().find(|(_, line)| *line == first).map(|(at, _)| &*at.path)?;
            let message = format!("{} leads back to itself", display(path));
            return Some((first, Endless::Always(message)));
        }
        if steps.len() > REDIRECTS_MAX {
            let start = display(&steps.first()?.0.path);
            let is_certain = rule.is_forced || !next.path.contains(SOMETHING);
            let endless = match is_certain {
                true => Endless::Always(format!(
                    "{start} leads on for more than {REDIRECTS_MAX} redirects, and browsers give up"
                )),
                false => Endless::WithoutFile(format!(
                    "{start} leads on and on where there is no file, and browsers give up"
                )),
            };
            return Some((rule.line, endless));
        }
        at = next;
    }
}

fn display(path: &str) -> String {
    path.replace(SOMETHING, "…")
}

fn example(rule: &Rule) -> At {
    let mut query = String::new();
    for (name, parameter) in &rule.parameters {
        if !query.is_empty() {
            query.push('&');
        }
        percent_encode(&mut query, name, b"");
        query.push('=');
        match parameter {
            Parameter::Is(value) => percent_encode(&mut query, value, b""),
            Parameter::Named(_) => query.push_str(SOMETHING),
        }
    }
    At {
        host: rule.host.as_ref().map(|host| host.example(SOMETHING)),
        path: rule.path.example(SOMETHING),
        query,
    }
}

/// The address that a location means for somebody on `host`; nothing when it leaves the site.
///
/// Which hosts are the site's is not known: those that rules name are taken for such.
fn goes_to(redirects: &Redirects, location: &str, host: Option<String>) -> Option<At> {
    let location = location.split('#').next().unwrap_or_default();
    let (host, rest) = match location.split_once("://") {
        Some((_, rest)) if !location.starts_with('/') => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            let host = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let is_known = redirects.rules.iter().any(|rule| {
                rule.host.as_ref().is_some_and(|pattern| pattern.matches(&host, |_, _| {}))
            });
            (is_known.then_some(host).map(Some)?, rest)
        }
        _ => (host, location),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // `/a/` is `/a`.
    let path = decode(path)?;
    let path = match path.strip_suffix('/') {
        Some("") | None => path.to_string(),
        Some(bare) => bare.to_owned(),
    };
    Some(At { host, path, query: query.to_owned() })
}
