//! `_headers`: which headers an answer gets besides, or instead of, those of fazt.
//!
//! A line that starts with `/` or `https://` opens a rule; the lines below it are its headers, as
//! `Name: value`, or `! Name` to leave one out. All rules that match a path apply, in their order; the
//! values of one name are joined with `, ` as both vendors document, but for `content-type`, of which
//! the last one stands: joined it would mean nothing. What the rules say replaces what fazt would say.
//!
//! # What a rule may not set
//!
//! | Names | Why |
//! |---|---|
//! | `connection`, `transfer-encoding`, … | they belong to the connection (RFC 9110 §7.6.1) |
//! | `content-length`, `content-encoding`, `content-range`, `accept-ranges`, `date`, `age`, `etag`, … | they describe what is sent, and fazt knows |
//! | `location` | that is what `_redirects` is for |
//! | `set-cookie` | caches would hand one visitor's cookie to all |
//! | `strict-transport-security`, `alt-svc` | whether a host has TLS, and where, is for the node to say |
//! | `basic-auth` | a password for another vendor; it would be sent to everybody |
//!
//! `content-type` may be set: the file is the author's, on a host of the author's, and the answer says
//! `nosniff`. `cache-control` and the security headers may be set and left out.
//!
//! # What it costs
//!
//! [`Headers::select`] says which rules apply, as one number, and allocates nothing. Everything else
//! is for when a head is prepared: heads of the same file and the same selection are the same, unless
//! [`Headers::depends_on_address`].

mod parse;

use super::finding::{Finding, Findings};
use super::pattern::{Found, HostPattern, PathPattern};
use super::template::Template;

/// The most rules of a file.
pub const HEADER_RULES_MAX: usize = 100;
/// The largest file that is read, in bytes.
pub const HEADERS_BYTES_MAX: usize = 256 * 1024;
/// The most bytes of names and values that the rules add to one answer; what is past them is left out.
/// Clients stop reading at about twice as many.
pub const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// The rules of one site.
#[derive(Debug, Default)]
pub struct Headers {
    rules: Box<[Rule]>,
    has_hosts: bool,
}

/// The rules that apply to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Selection(u128);

impl Selection {
    /// No rule.
    pub const NONE: Self = Self(0);
}

#[derive(Debug)]
struct Rule {
    host: Option<HostPattern>,
    path: PathPattern,
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    /// The name is in lower case.
    Set(Box<str>, Template),
    /// The header is left out.
    Detach(Box<str>),
}

/// What the rules make of the headers of an answer. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// What they set, each name once.
    pub set: Vec<(String, String)>,
    /// What they leave out of what fazt would send.
    pub detached: Vec<String>,
}

impl Headers {
    /// Reads a file. What cannot be used is left out and said.
    ///
    /// An error among the findings means that the deploy must be refused; the rules are then those
    /// that were read nevertheless.
    pub fn parse(file: &[u8]) -> (Self, Vec<Finding>) {
        let mut findings = Findings::of(super::HEADERS_FILE);
        let rules = parse::rules(file, &mut findings);
        let has_hosts = rules.iter().any(|rule| rule.host.is_some());
        (Self { rules: rules.into(), has_hosts }, findings.done())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether rules differ by host, so that [`select`](Self::select) needs it.
    pub fn has_hosts(&self) -> bool {
        self.has_hosts
    }

    /// The rules that apply to `path`, decoded and starting with `/`, on `host`, in lower case and
    /// without a port; or that speak of `file`, the file of the deployment that answers.
    ///
    /// So `/app/*` applies to what a single-page app shows below `/app`, and `/index.html` to `/`.
    /// Compares with every rule, each in some 10 ns; allocates nothing.
    pub fn select(&self, path: &str, host: Option<&str>, file: Option<&str>) -> Selection {
        let mut selection = 0;
        for (number, rule) in self.rules.iter().enumerate() {
            let is_host =
                |pattern: &HostPattern| host.is_some_and(|host| pattern.matches(host, |_, _| {}));
            let applies = rule.host.as_ref().is_none_or(is_host)
                && (rule.path.matches(path, |_, _| {})
                    || file.is_some_and(|file| rule.path.matches_below_root(file)));
            selection |= u128::from(applies) << number;
        }
        Selection(selection)
    }

    /// Whether the fields of `selection` differ by address: a value repeats a part of it.
    pub fn depends_on_address(&self, selection: Selection) -> bool {
        self.selected(selection).flat_map(|rule| &rule.lines).any(|line| match line {
            Line::Set(_, value) => !value.is_constant(),
            Line::Detach(_) => false,
        })
    }

    /// What the rules of `selection` make of an answer to `path` on `host`.
    pub fn fields(&self, selection: Selection, path: &str, host: Option<&str>) -> Fields {
        let mut fields = Fields::default();
        let mut bytes = 0;
        for rule in self.selected(selection) {
            let mut found = Found::default();
            rule.path.matches(path, |number, text| found.set(number, text));
            if let (Some(pattern), Some(host)) = (&rule.host, host) {
                pattern.matches(host, |number, text| found.set(number, text));
            }
            for line in &rule.lines {
                match line {
                    Line::Set(name, template) => {
                        let mut value = String::new();
                        template.write(&mut value, &found);
                        bytes += name.len() + value.len();
                        if bytes <= FIELDS_BYTES_MAX {
                            fields.set(name, value);
                        }
                    }
                    Line::Detach(name) => fields.detach(name),
                }
            }
        }
        fields
    }

    /// What the rules without a host make of an answer to `path`.
    pub fn for_path(&self, path: &str) -> Vec<(String, String)> {
        self.fields(self.select(path, None, None), path, None).set
    }

    fn selected(&self, Selection(bits): Selection) -> impl Iterator<Item = &Rule> {
        let is_selected = move |number: usize| bits >> number & 1 == 1;
        self.rules
            .iter()
            .enumerate()
            .filter(move |(number, _)| is_selected(*number))
            .map(|(_, rule)| rule)
    }
}

impl Fields {
    /// `defaults` with what the rules say instead: each name of theirs replaces all of that name.
    pub fn over<'a>(
        &'a self,
        defaults: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(&'a str, &'a str)> {
        let is_ours = |name: &str| {
            self.set.iter().any(|(set, _)| set == name)
                || self.detached.iter().any(|detached| detached == name)
        };
        let own = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        defaults.into_iter().filter(|(name, _)| !is_ours(name)).chain(own).collect()
    }

    /// The value of a header that the rules set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        self.detached.retain(|detached| detached != name);
        match self.set.iter_mut().find(|(set, _)| set == name) {
            Some((_, earlier)) if is_single(name) => *earlier = value,
            Some((_, earlier)) => {
                earlier.push_str(", ");
                earlier.push_str(&value);
            }
            None => self.set.push((name.to_owned(), value)),
        }
    }

    fn detach(&mut self, name: &str) {
        self.set.retain(|(set, _)| set != name);
        if !self.detached.iter().any(|detached| detached == name) {
            self.detached.push(name.to_owned());
        }
    }
}

/// Whether a header has one value that is no list.
fn is_single(name: &str) -> bool {
    name == "content-type"
}

#[cfg(test)]
mod tests;
