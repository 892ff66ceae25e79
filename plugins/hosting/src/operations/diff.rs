//! `GET /api/deployments/{id}/diff`: what is different in another deployment.

use std::cmp::Ordering;

use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::command::Format;
use fazt_sdk::prelude::{Argument, Call, Command, Operate, Operation};
use fazt_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::find_deployment;
use crate::model::StoredFile;
use crate::store;

/// Compares deployments.
#[derive(Debug)]
pub(crate) struct DiffDeployments {
    pub(crate) cartridge: Cartridge,
}

/// The most files that are named.
const FILES_MAX: usize = 10_000;

/// Which deployments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The deployment: `dep_` and 12 characters.
    id: String,
    /// The one that it is compared with; what its app serves when left out.
    #[serde(default)]
    to: Option<String>,
}

/// What is different.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The deployment that is compared.
    from: String,
    /// The one that it is compared with.
    to: String,
    /// How many files are in `to` only.
    added: u64,
    /// How many files are in `from` only.
    removed: u64,
    /// How many files are in both with different content.
    changed: u64,
    /// How many files are the same in both.
    unchanged: u64,
    /// The files that differ, in the order of their paths; at most 10,000.
    files: Vec<Difference>,
}

/// One file that differs.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Difference {
    /// added, removed or changed.
    change: &'static str,
    /// Relative, with `/` between segments.
    path: String,
    /// Bytes in `from`; nothing when it is not there.
    from_bytes: Option<u64>,
    /// Bytes in `to`; nothing when it is not there.
    to_bytes: Option<u64>,
}

impl DiffDeployments {
    pub(crate) const KEY: &str = "GET /api/deployments/{id}/diff";

    pub(crate) fn operation() -> Operation {
        Operation::get::<Self>("/api/deployments/{id}/diff")
            .summary("What is different in another deployment of the same app")
            .for_app_keys()
            .example(serde_json::json!({ "id": "dep_4kQ2mZ81xYbT", "to": "dep_9sLw03hdYqKe" }))
    }

    pub(crate) fn command() -> Command {
        Command::new("app diff")
            .about("Show what is different in another deployment")
            .example("app diff dep_4kQ2mZ81xYbT")
            .argument(Argument::required("id", "The deployment; `app deployments` lists them"))
            .argument(Argument::option(
                "to",
                "The one to compare it with; what the app serves when left out",
            ))
            .calls(Self::KEY)
            .column_as("", "files", Format::Plain)
            .says("{added} added, {removed} removed, {changed} changed, {unchanged} the same")
    }
}

impl Operate for DiffDeployments {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Self::Output> {
        let from = find_deployment(&self.cartridge, call, &input.id).await?;
        let to = match &input.to {
            Some(to) => find_deployment(&self.cartridge, call, to).await?,
            None => {
                let app = from.app;
                let active = store::read(&self.cartridge, move |reader| store::active(reader, app));
                active.await?.ok_or_else(|| {
                    Error::not_found("the app serves nothing to compare with; name it with `to`")
                })?
            }
        };
        if from.app != to.app {
            return Err(Error::invalid("the two deployments are of different apps"));
        }
        let (from, to) = (from.id, to.id);
        let (before, after) = (from.clone(), to.clone());
        let files = self.cartridge.scan(move |reader| {
            Ok((store::plain_files(reader, &before)?, store::plain_files(reader, &after)?))
        });
        let (before, after) = files.await?;
        let mut output = Output {
            from: from.to_string(),
            to: to.to_string(),
            added: 0,
            removed: 0,
            changed: 0,
            unchanged: 0,
            files: Vec::new(),
        };
        compare(&before, &after, |change, old, new| {
            let count = match change {
                "added" => &mut output.added,
                "removed" => &mut output.removed,
                "changed" => &mut output.changed,
                _ => &mut output.unchanged,
            };
            *count += 1;
            if let Some(file) = old.or(new)
                && change != "unchanged"
                && output.files.len() < FILES_MAX
            {
                output.files.push(Difference {
                    change,
                    path: file.path.to_string(),
                    from_bytes: old.map(|file| file.entry.size),
                    to_bytes: new.map(|file| file.entry.size),
                });
            }
        });
        Ok(output)
    }
}

/// Walks two lists of files in the order of their paths side by side.
fn compare<'a>(
    before: &'a [StoredFile],
    after: &'a [StoredFile],
    mut each: impl FnMut(&'static str, Option<&'a StoredFile>, Option<&'a StoredFile>),
) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(old), Some(new)) => old.path.cmp(&new.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        match order {
            Ordering::Less => each("removed", before.next(), None),
            Ordering::Greater => each("added", None, after.next()),
            Ordering::Equal => {
                let (old, new) = (before.next(), after.next());
                let hash = |file: Option<&StoredFile>| file.map(|file| file.entry.hash);
                let is_same = hash(old) == hash(new);
                each(if is_same { "unchanged" } else { "changed" }, old, new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Entry;
    use crate::visibility::Visibility;

    fn files(of: &BTreeMap<String, u8>) -> Vec<StoredFile> {
        let file = |(path, content): (&String, &u8)| {
            StoredFile::new(path, Entry::new(path, [*content; 32], 1, Visibility::Public))
        };
        of.iter().map(file).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_looking_every_path_up(
            before in proptest::collection::btree_map("[a-c]{1,2}", 0_u8..3, 0..8),
            after in proptest::collection::btree_map("[a-c]{1,2}", 0_u8..3, 0..8),
        ) {
            let mut found = BTreeMap::new();
            compare(&files(&before), &files(&after), |change, old, new| {
                let path = old.or(new).unwrap().path.to_string();
                assert!(found.insert(path, change).is_none(), "each path once");
            });
            let paths = before.keys().chain(after.keys());
            let expected: BTreeMap<_, _> = paths.map(|path| {
                let change = match (before.get(path), after.get(path)) {
                    (Some(old), Some(new)) if old == new => "unchanged",
                    (Some(_), Some(_)) => "changed",
                    (Some(_), None) => "removed",
                    _ => "added",
                };
                (path.clone(), change)
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
