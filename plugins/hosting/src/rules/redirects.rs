//! `_redirects`: which path leads elsewhere.
//!
//! One rule is one line: `FROM [PARAMETER=VALUE …] [TO] [STATUS[!]] [CONDITION=VALUE,… …]`. The first
//! rule that applies wins, over the whole file. What the two vendors do differently, and what is done
//! here:
//!
//! | | Netlify | Cloudflare | here |
//! |---|---|---|---|
//! | status without one | 301 | 302 | 301 |
//! | a file is there | the file, unless `!` | the rule | the file, unless `!` |
//! | `/a` and `/a/` | the same | different | the same |
//! | `/a/*` and `/a` | matches | does not | matches |
//! | 404, 410; query; `Language`, `Cookie`; a host in `FROM` | yes | no | yes |
//! | `Country`, `Role`; 200 to another host | yes | no | no: said, and left out |
//! | several choices of status 3xx | 301, 302 | 301, 302, 303, 307, 308 | all of these |
//!
//! * A rule without parameters applies whatever the query is, and the query is passed on unless `TO`
//!   has one of its own. A rule with parameters applies to exactly these, and none is passed on.
//! * A host in `FROM` is compared without scheme and port.
//! * `Language` is compared with the language that the visitor prefers most, `en` also with `en-GB`;
//!   the cookie `nf_lang` overrides it, as at Netlify. `Cookie` asks whether one of the names is there.
//! * A redirect to the very address that was asked for is passed over. So
//!   `/* https://example.org/:splat 301!` is a way to say which host is the right one.

mod circles;
mod condition;
mod parse;

use std::borrow::Cow;
use std::collections::HashMap;

use self::condition::Conditions;
use super::finding::{Finding, Findings};
use super::pattern::{Found, HostPattern, PathPattern, decode};
use super::template::Template;
use crate::resolve::{is_canonical, percent_encode};

/// The most rules of a file whose path has neither `*` nor a placeholder.
pub const STATIC_RULES_MAX: usize = 2_000;
/// The most rules of a file whose path has one: these are tried one after the other.
pub const DYNAMIC_RULES_MAX: usize = 100;
/// The largest file that is read, in bytes.
pub const REDIRECTS_BYTES_MAX: usize = 512 * 1024;

/// What is asked, besides the address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// `Accept-Language`.
    pub language: Option<&'a [u8]>,
    /// `Cookie`.
    pub cookie: Option<&'a [u8]>,
    /// The host in lower case, without a port.
    pub host: Option<&'a str>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answer with what is at `path`, a decoded path of the same site, with this status: 200, 404 or
    /// 410. Rules are not asked again.
    Rewrite {
        /// Decoded, canonical, without a query.
        path: String,
        /// 200, 404 or 410.
        status: u16,
    },
    /// Send the visitor to `location`.
    Redirect {
        /// A path on the same host, or a URL. Safe to be sent as it is.
        location: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
}

/// The rules of one site.
#[derive(Debug, Default)]
pub struct Redirects {
    rules: Box<[Rule]>,
    /// The numbers of rules with a literal path, by that path without its last `/`; ascending.
    literal: HashMap<Box<str>, Vec<usize>>,
    /// The numbers of all other rules; ascending.
    dynamic: Box<[usize]>,
    has_conditions: bool,
}

/// One line.
#[derive(Debug)]
struct Rule {
    line: u32,
    host: Option<HostPattern>,
    path: PathPattern,
    /// Empty: any query will do.
    parameters: Box<[(Box<str>, Parameter)]>,
    conditions: Conditions,
    /// Whether it applies where a file is.
    is_forced: bool,
    status: u16,
    to: To,
}

#[derive(Debug)]
enum Parameter {
    Is(Box<str>),
    Named(usize),
}

/// Where a rule leads.
#[derive(Debug)]
enum To {
    /// A decoded path of the site.
    File(Template),
    Address(Address),
}

/// An address in parts, each ready to be sent.
#[derive(Debug)]
struct Address {
    /// Such as `https://example.org:8080`; empty on the same host.
    origin: Box<str>,
    /// Of the origin, in lower case.
    host: Option<Box<str>>,
    path: Template,
    query: Option<Template>,
    /// With its `#`.
    fragment: Option<Template>,
}

impl Redirects {
    /// Reads a file. What cannot be used is left out and said.
    ///
    /// An error among the findings means that the deploy must be refused; the rules are then those
    /// that were read nevertheless. Circles are not looked for: see [`loops`](Self::loops).
    pub fn parse(file: &[u8]) -> (Self, Vec<Finding>) {
        let mut findings = Findings::of(super::REDIRECTS_FILE);
        let rules = parse::rules(file, &mut findings);
        (Self::of(rules), findings.done())
    }

    fn of(rules: Vec<Rule>) -> Self {
        let mut literal: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut dynamic = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            match rule.path.literal() {
                Some(path) => literal.entry(path.into()).or_default().push(number),
                None => dynamic.push(number),
            }
        }
        let has_conditions = rules.iter().any(|rule| !rule.conditions.is_empty());
        Self { rules: rules.into(), literal, dynamic: dynamic.into(), has_conditions }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any answer differs by `Accept-Language` or `Cookie`, so that these must be looked for.
    pub fn has_conditions(&self) -> bool {
        self.has_conditions
    }

    /// Whether the answer to `path` may differ by `Accept-Language` or `Cookie`, so that it needs
    /// `vary`. Costs one branch when no rule has conditions.
    pub fn depends_on_visitor(&self, path: &str) -> bool {
        let asks = |rule: &Rule| !rule.conditions.is_empty() && rule.path.matches(path, |_, _| {});
        self.has_conditions && self.rules.iter().any(asks)
    }

    /// The rules that send visitors round in circles, or further than browsers go (Fetch §4.4: 20
    /// redirects). `file_exists` as in [`find`](Self::find).
    pub fn loops(&self, file_exists: impl Fn(&str) -> bool) -> Vec<Finding> {
        circles::find(self, &file_exists)
    }

    /// The rules that change nothing beside the files of the site, or lead to a file that is not
    /// there. `file_exists` as in [`find`](Self::find).
    pub fn against_files(&self, file_exists: impl Fn(&str) -> bool) -> Vec<Finding> {
        let mut findings = Findings::of(super::REDIRECTS_FILE);
        for rule in &self.rules {
            let path = rule.path.literal().map(|path| if path.is_empty() { "/" } else { path });
            let is_shadowed = path.is_some_and(&file_exists);
            if is_shadowed && !rule.is_forced {
                let message = format!("a file answers {} before this rule", path.unwrap_or("/"));
                let fix = format!("write `{}!` to have the rule win", rule.status);
                findings.without_effect(rule.line, message, &fix);
            } else if let To::File(template) = &rule.to
                && template.is_constant()
            {
                let mut path = String::new();
                template.write(&mut path, &Found::default());
                if rule.status == 200 && !file_exists(&path) {
                    let message = format!("there is no file at {path}");
                    findings.without_effect(rule.line, message, "deploy one, or remove the line");
                }
            }
        }
        findings.done()
    }

    /// What the first rule that applies says.
    ///
    /// `path` starts with `/` and is decoded, `query` is not and has no `?`. `file_exists` is called at
    /// most once, with `path`: whether a file answers it, also one that the visitor may not see, but not
    /// counting the page for paths that are not found or the one of a single-page app.
    ///
    /// A path that is not canonical, such as `//a`, gets no rule, as it names no file.
    pub fn find(
        &self,
        path: &str,
        query: &str,
        ask: &Ask<'_>,
        file_exists: impl Fn(&str) -> bool,
    ) -> Option<Outcome> {
        if self.rules.is_empty() {
            return None;
        }
        self.first(path, query, ask, &file_exists, Itself::IsPassedOver).map(|(_, outcome)| outcome)
    }

    fn first(
        &self,
        path: &str,
        query: &str,
        ask: &Ask<'_>,
        file_exists: &dyn Fn(&str) -> bool,
        itself: Itself,
    ) -> Option<(&Rule, Outcome)> {
        let bare = path.strip_suffix('/').unwrap_or(path);
        let mut literal = self.literal.get(bare).map(Vec::as_slice).unwrap_or_default();
        let mut dynamic = &*self.dynamic;
        let mut exists = None;
        let mut is_checked = false;
        loop {
            let number = next(&mut literal, &mut dynamic)?;
            let rule = self.rules.get(number)?;
            if !rule.applies(path, query, ask) {
                continue;
            }
            if !is_checked && !path.strip_prefix('/').is_some_and(is_canonical) {
                return None;
            }
            is_checked = true;
            if !rule.is_forced && *exists.get_or_insert_with(|| file_exists(path)) {
                continue;
            }
            if let Some(outcome) = rule.outcome(path, query, ask, itself) {
                return Some((rule, outcome));
            }
        }
    }
}

/// The smaller of the two next numbers.
fn next<'a>(literal: &mut &'a [usize], dynamic: &mut &'a [usize]) -> Option<usize> {
    let list = match (literal.first(), dynamic.first()) {
        (Some(one), Some(other)) if one < other => literal,
        (Some(_), None) => literal,
        _ => dynamic,
    };
    let (first, rest) = list.split_first()?;
    *list = rest;
    Some(*first)
}

/// What happens to a redirect that leads to where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Itself {
    IsPassedOver,
    /// Only when it names the host: it is then a way to say which host is right.
    IsTaken,
}

impl Rule {
    fn applies(&self, path: &str, query: &str, ask: &Ask<'_>) -> bool {
        self.path.matches(path, |_, _| {})
            && self
                .host
                .as_ref()
                .is_none_or(|host| ask.host.is_some_and(|asked| host.matches(asked, |_, _| {})))
            && (self.parameters.is_empty() || self.parameters_match(query, |_, _| {}))
            && self.conditions.hold(ask)
    }

    /// Whether `query` has exactly the parameters of the rule, in any order.
    fn parameters_match<'q>(
        &self,
        query: &'q str,
        mut on: impl FnMut(usize, Cow<'q, str>),
    ) -> bool {
        let mut count = 0;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            count += 1;
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some((name, value)) = form_decode(name).zip(form_decode(value)) else {
                return false;
            };
            match self.parameters.iter().find(|(wanted, _)| **wanted == *name) {
                Some((_, Parameter::Is(wanted))) if **wanted == *value => {}
                Some((_, Parameter::Named(number))) => on(*number, value),
                _ => return false,
            }
        }
        count == self.parameters.len()
    }

    fn outcome(&self, path: &str, query: &str, ask: &Ask<'_>, itself: Itself) -> Option<Outcome> {
        let mut found = Found::default();
        self.path.matches(path, |number, text| found.set(number, text));
        if let (Some(pattern), Some(host)) = (&self.host, ask.host) {
            pattern.matches(host, |number, text| found.set(number, text));
        }
        if !self.parameters.is_empty() {
            self.parameters_match(query, |number, text| found.set(number, text));
        }
        let address = match &self.to {
            To::File(template) => {
                let mut path = String::new();
                template.write(&mut path, &found);
                return Some(Outcome::Rewrite { path, status: self.status });
            }
            To::Address(address) => address,
        };
        let mut target = String::new();
        address.path.write(&mut target, &found);
        let path_end = target.len();
        match &address.query {
            Some(template) => {
                target.push('?');
                template.write(&mut target, &found);
            }
            None if self.parameters.is_empty() && !query.is_empty() => {
                target.push('?');
                percent_encode(&mut target, query, b"/?%");
            }
            None => {}
        }
        let is_passed_over = match &address.host {
            Some(host) => ask.host == Some(host),
            None => itself == Itself::IsPassedOver,
        };
        if is_passed_over && is_same(&target, path_end, path, query) {
            return None;
        }
        let mut location = String::from(&*address.origin);
        location.push_str(&target);
        if let Some(fragment) = &address.fragment {
            location.push('#');
            fragment.write(&mut location, &found);
        }
        Some(Outcome::Redirect { location, status: self.status })
    }
}

/// Whether `target`, whose path has `path_end` bytes, is the address that was asked for.
fn is_same(target: &str, path_end: usize, path: &str, query: &str) -> bool {
    let (target_path, target_query) = target.split_at(path_end);
    let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
    let same_path = decode(target_path).is_some_and(|target| bare(&target) == bare(path));
    same_path && target_query.strip_prefix('?').unwrap_or_default() == query
}

/// As forms encode names and values (URL Standard §5.1).
fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        return decode(&text.replace('+', "%20")).map(|text| Cow::Owned(text.into_owned()));
    }
    decode(text)
}

#[cfg(test)]
mod tests;
