//! The commands and operations that are known, from manifests: data only, nothing is started.
//!
//! First come first served: a plugin that was added later cannot take over a command of the
//! kernel or of a compiled-in plugin.

use std::collections::BTreeMap;

use fazt_sdk::command::{Argument, ArgumentKind, Command};
use fazt_sdk::manifest::Manifest;
use fazt_sdk::operation::Operation;

use crate::commands::{self, ClientCommand};

/// What a command does when it is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// Calls its operation.
    Operation,
    /// Runs code of this crate.
    Client(&'static ClientCommand),
}

/// One known command.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The command as data.
    pub(crate) command: Command,
    /// What it does.
    pub(crate) action: Action,
}

/// All known commands by their words, and operations by their keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    entries: BTreeMap<Vec<String>, Entry>,
    operations: BTreeMap<String, Operation>,
}

impl Catalogue {
    /// The commands with code in this crate, and then those of the manifests.
    pub(crate) fn new(manifests: &[Manifest]) -> Self {
        let mut catalogue = Self::default();
        for client in commands::ALL {
            let command = (client.command)();
            catalogue.insert(Entry { command, action: Action::Client(client) });
        }
        catalogue.extend(manifests);
        catalogue
    }

    /// With what these manifests add; what cannot be a command is left out.
    pub(crate) fn extend(&mut self, manifests: &[Manifest]) {
        for manifest in manifests {
            for operation in &manifest.operations {
                self.operations.entry(operation.key()).or_insert_with(|| operation.clone());
            }
            for command in &manifest.commands {
                if is_well_formed(command) {
                    self.insert(Entry { command: command.clone(), action: Action::Operation });
                }
            }
        }
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.entry(entry.command.words.clone()).or_insert(entry);
    }

    /// All commands in the order of their words.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The command of these words.
    pub(crate) fn entry(&self, words: &[String]) -> Option<&Entry> {
        self.entries.get(words)
    }

    /// The operation of that key, as in `GET /api/apps`.
    pub(crate) fn operation(&self, key: &str) -> Option<&Operation> {
        self.operations.get(key)
    }
}

/// Whether the parser can hold it. Manifests of added plugins are data from elsewhere.
fn is_well_formed(command: &Command) -> bool {
    let names: Vec<&str> =
        command.arguments.iter().map(|argument| argument.name.as_str()).collect();
    let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    !command.words.is_empty()
        && command.words.len() <= WORDS_MAX
        && command.words.iter().all(|word| is_word(word) && word != "help")
        && names.iter().all(|name| is_word(name) && !RESERVED.contains(name))
        && !twice
        && !has_required_after_optional(&command.arguments)
}

fn is_word(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_lowercase())
        && word.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        })
}

fn has_required_after_optional(arguments: &[Argument]) -> bool {
    arguments
        .iter()
        .filter(|argument| argument.kind == ArgumentKind::Positional)
        .skip_while(|argument| argument.required)
        .any(|argument| argument.required)
}

/// The flag that every command has and none can replace.
const RESERVED: [&str; 1] = ["help"];
/// Commands have at most this many words.
const WORDS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_plugin_cannot_take_over_a_command() {
        let thief = Manifest::new("thief", "1")
            .command(Command::new("app deploy").calls("POST /api/thief"))
            .command(Command::new("thief list").calls("GET /api/thief"));
        let catalogue = Catalogue::new(&[thief]);
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(matches!(catalogue.entry(&words("app deploy")).unwrap().action, Action::Client(_)));
        assert!(catalogue.entry(&words("thief list")).is_some());
    }

    #[test]
    fn what_the_parser_cannot_hold_is_left_out() {
        for command in [
            Command::new(""),
            Command::new("x --help"),
            Command::new("x y").argument(Argument::option("help", "")),
            Command::new("x y").argument(Argument::option("Bad Name", "")),
            Command::new("x y")
                .argument(Argument::option("a", ""))
                .argument(Argument::switch("a", "")),
            Command::new("x y")
                .argument(Argument::optional("a", ""))
                .argument(Argument::required("b", "")),
        ] {
            assert!(!is_well_formed(&command), "{command:?}");
        }
    }
}
