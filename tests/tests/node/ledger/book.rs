//! What the ledger says that must be there.

use std::collections::{BTreeMap, HashMap};

/// What is known about each resource.
#[derive(Default)]
pub(super) struct Book {
    resources: BTreeMap<String, Resource>,
    running: HashMap<String, (String, String)>,
    read_bytes: usize,
    acks: u64,
    deploys: u64,
    refused: BTreeMap<String, u64>,
    unanswered: u64,
}

/// One resource. One client writes to it, one write at a time.
#[derive(Default)]
pub(super) struct Resource {
    /// What it was found to be, or was acknowledged to be, last. `-`: not there.
    pub(super) certain: String,
    /// What it may be instead: writes that nobody answered.
    pub(super) possible: Vec<String>,
}

impl Book {
    /// Takes in what was added to the ledger, after a kill: nothing is in flight any more.
    pub(super) fn read(&mut self, ledger: &str) {
        for line in ledger[self.read_bytes..].lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["try", id, resource, value] => {
                    self.running.insert(id.to_owned(), (resource.to_owned(), value.to_owned()));
                }
                ["ack", id] => {
                    let (resource, value) = self.running.remove(id).unwrap();
                    self.acks += 1;
                    self.deploys += u64::from(resource.starts_with("site/"));
                    let known = self.resource(resource);
                    known.certain = value;
                    known.possible.clear();
                }
                // Refused in so many words: it did not happen.
                ["no", id, status, code] => {
                    let (resource, _) = self.running.remove(id).unwrap();
                    let kind = resource.split('/').next().unwrap_or_default();
                    *self.refused.entry(format!("{kind} {status} {code}")).or_default() += 1;
                }
                _ => panic!("not a line of a ledger: {line}"),
            }
        }
        self.read_bytes = ledger.len();
        self.unanswered += self.running.len() as u64;
        for (resource, value) in std::mem::take(&mut self.running).into_values() {
            self.resource(resource).possible.push(value);
        }
    }

    fn resource(&mut self, name: String) -> &mut Resource {
        let absent = || Resource { certain: "-".to_owned(), possible: Vec::new() };
        self.resources.entry(name).or_insert_with(absent)
    }

    /// Resources of a kind, with their names.
    pub(super) fn all(&self, kind: &str) -> impl Iterator<Item = (&str, &Resource)> {
        self.resources.iter().filter_map(move |(name, known)| {
            Some((name.strip_prefix(kind)?.strip_prefix('/')?, known))
        })
    }

    /// Compares a resource with what was found, which is certain from now on.
    pub(super) fn found(&mut self, name: &str, found: &str) -> Option<String> {
        let known = self.resources.get_mut(name)?;
        let is_right = known.certain == found || known.possible.iter().any(|value| value == found);
        let problem = (!is_right).then(|| {
            format!(
                "lost: {name} was acknowledged as {}, may be {:?}, is {found}",
                known.certain, known.possible
            )
        });
        known.certain = found.to_owned();
        known.possible.clear();
        problem
    }

    /// Names of all resources.
    pub(super) fn names(&self) -> Vec<String> {
        self.resources.keys().cloned().collect()
    }

    pub(super) fn acks(&self) -> u64 {
        self.acks
    }

    pub(super) fn deploys(&self) -> u64 {
        self.deploys
    }

    /// How many writes were refused, by what and why.
    pub(super) fn refused(&self) -> &BTreeMap<String, u64> {
        &self.refused
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered
    }
}
