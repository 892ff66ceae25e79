//! The parser, built from commands that are data: noun, verb, arguments, help with an example.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::styling::Style;
use clap::{Arg, ArgAction, ArgMatches, Command as Parser, value_parser};
use fazt_sdk::command::{Argument, ArgumentKind, Command};

use crate::arguments::Arguments;
use crate::catalogue::Catalogue;
use crate::output::Format;

/// The parser for everything in the catalogue.
pub(crate) fn parser(catalogue: &Catalogue) -> Parser {
    let mut root = Node::default();
    for entry in catalogue.entries() {
        root.insert(&entry.command.words, &entry.command);
    }
    let parser = Parser::new("fazt")
        .about("A personal cloud: one program plays one file")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Without a command, fazt starts a node on ~/.fazt/data.db and says where it runs.\n\
             Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unreachable.",
        )
        .override_usage("fazt [@PEER] [OPTIONS] [COMMAND]")
        .args(everywhere(&[]))
        .disable_help_subcommand(true)
        .styles(
            clap::builder::Styles::plain().header(Style::new().bold()).literal(Style::new().bold()),
        )
        .max_term_width(HELP_WIDTH_MAX);
    root.into_subcommands(parser)
}

/// The words of the command that was chosen, and what was given to it.
pub(crate) fn chosen(catalogue: &Catalogue, matches: &ArgMatches) -> (Vec<String>, Arguments) {
    let mut words = Vec::new();
    let mut matches = matches;
    while let Some((word, below)) = matches.subcommand() {
        words.push(word.to_owned());
        matches = below;
    }
    let arguments = catalogue
        .entry(&words)
        .map(|entry| Arguments::of(&entry.command.arguments, matches))
        .unwrap_or_default();
    (words, arguments)
}

/// A command's flag, as it is typed: names of fields have `_`, flags have `-`.
pub(crate) fn flag(argument: &Argument) -> String {
    argument.name.replace('_', "-")
}

#[derive(Default)]
struct Node<'a> {
    command: Option<&'a Command>,
    below: BTreeMap<&'a str, Self>,
}

impl<'a> Node<'a> {
    fn insert(&mut self, words: &'a [String], command: &'a Command) {
        match words.split_first() {
            None => self.command = Some(command),
            Some((word, rest)) => self.below.entry(word).or_default().insert(rest, command),
        }
    }

    fn into_subcommands(self, parser: Parser) -> Parser {
        parser.subcommands(self.below.into_iter().map(|(word, node)| node.into_parser(word)))
    }

    fn into_parser(self, word: &str) -> Parser {
        let own = self.command.map_or(&[][..], |command| &command.arguments);
        let mut parser =
            Parser::new(word.to_owned()).disable_help_subcommand(true).args(everywhere(own));
        match self.command {
            Some(command) => {
                parser = parser
                    .about(command.about.clone())
                    .after_help(format!("Example:\n  fazt {}", command.example))
                    .hide(command.about.is_empty())
                    .args(command.arguments.iter().map(argument));
            }
            None => {
                // A noun: what can be done with it says best what it is.
                let verbs: Vec<&str> = self.below.keys().copied().collect();
                parser = parser
                    .about(verbs.join(", "))
                    .subcommand_required(true)
                    .arg_required_else_help(true);
            }
        }
        self.into_subcommands(parser)
    }
}

/// Switches that fingers know by a letter, whatever command has them.
const LETTERS: [(&str, char); 1] = [("follow", 'f')];

fn argument(argument: &Argument) -> Arg {
    let arg = Arg::new(argument.name.clone())
        .help(argument.about.clone())
        .required(argument.required && argument.kind != ArgumentKind::Switch)
        .value_name(argument.name.to_uppercase());
    match argument.kind {
        ArgumentKind::Positional => arg,
        ArgumentKind::Option => arg.long(flag(argument)),
        ArgumentKind::Switch => {
            let letter = LETTERS.iter().find(|(name, _)| *name == argument.name);
            let arg = arg.long(flag(argument)).action(ArgAction::SetTrue);
            letter.map_or(arg.clone(), |(_, letter)| arg.short(*letter))
        }
        ArgumentKind::List => {
            arg.long(flag(argument)).action(ArgAction::Append).value_delimiter(',')
        }
    }
}

/// The flags that every level of words has, so that they can stand anywhere.
///
/// A command's own flag of the same name takes its place; the general one can then still be given
/// before the command: `fazt --to URL app rollback blog --to 3`.
fn everywhere(own: &[Argument]) -> impl Iterator<Item = Arg> {
    let all = [
        Arg::new(FORMAT)
            .long("format")
            .value_name("FORMAT")
            .value_parser(Format::NAMES)
            .help("How results are printed"),
        Arg::new(DB)
            .long("db")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help("The cartridge; else FAZT_DB, a node under /run/fazt/, ~/.fazt/data.db"),
        Arg::new(TO)
            .long("to")
            .value_name("NODE")
            .help("A peer, local, or an address whose key is in FAZT_TOKEN"),
        Arg::new(VERBOSE)
            .long("verbose")
            .action(ArgAction::SetTrue)
            .help("Says more about what happens"),
    ];
    let own: Vec<String> = own.iter().map(flag).collect();
    all.into_iter()
        .filter(move |arg| !own.iter().any(|own| arg.get_long() == Some(own)))
        .map(|arg| arg.help_heading("Everywhere"))
}

/// What was given for the flags that stand anywhere.
#[derive(Debug, Default)]
pub(crate) struct General {
    /// `--format`.
    pub(crate) format: Format,
    /// `--db`.
    pub(crate) db: Option<PathBuf>,
    /// `--to`.
    pub(crate) to: Option<String>,
    /// `--verbose`.
    pub(crate) verbose: bool,
}

impl General {
    /// What `matches` has at any level; the last one counts.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let mut general = Self::default();
        let mut level = Some(matches);
        while let Some(matches) = level {
            // A level without the flag has no such id, which is no error here.
            let text = |id| matches.try_get_one::<String>(id).ok().flatten();
            if let Some(format) = text(FORMAT).and_then(|name| Format::from_name(name)) {
                general.format = format;
            }
            if let Some(path) = matches.try_get_one::<PathBuf>(DB).ok().flatten() {
                general.db = Some(path.clone());
            }
            if let Some(url) = text(TO) {
                general.to = Some(url.clone());
            }
            general.verbose |= matches.try_get_one(VERBOSE).ok().flatten().is_some_and(|on| *on);
            level = matches.subcommand().map(|(_, below)| below);
        }
        general
    }
}

// A command's own arguments are named by their fields, which hold no `@`.
const FORMAT: &str = "@format";
const DB: &str = "@db";
const TO: &str = "@to";
const VERBOSE: &str = "@verbose";

/// Lines of help are not longer than this many cells.
const HELP_WIDTH_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        parser(&Catalogue::new(&[])).debug_assert();
    }

    #[test]
    fn a_commands_own_flag_leaves_the_general_one_its_place_in_front() {
        let undo = Command::new("page undo").argument(Argument::option("to", "The version"));
        let mut manifest = fazt_sdk::manifest::Manifest::new("pages", "1");
        manifest.commands.push(undo);
        let catalogue = Catalogue::new(&[manifest]);
        let typed = "fazt --to http://localhost --verbose page undo --to 3 --format json";
        let matches = parser(&catalogue).try_get_matches_from(split(typed)).unwrap();
        let general = General::of(&matches);
        assert_eq!(general.to.as_deref(), Some("http://localhost"));
        assert!(general.verbose && general.format == Format::Json && general.db.is_none());
        assert_eq!(chosen(&catalogue, &matches).1.text("to"), Some("3"));
    }

    #[test]
    fn no_command_of_this_build_is_left_out() {
        let manifests = crate::plugins::manifests().unwrap();
        let catalogue = Catalogue::new(&manifests);
        for command in manifests.iter().flat_map(|manifest| &manifest.commands) {
            let entry = catalogue.entry(&command.words);
            assert!(
                entry.is_some_and(|entry| entry.command == *command),
                "{} is not well formed, or two have that name",
                command.words.join(" ")
            );
        }
    }

    #[test]
    fn every_command_has_a_sentence_and_an_example_that_parses() {
        let catalogue = Catalogue::new(&crate::plugins::manifests().unwrap());
        for entry in catalogue.entries() {
            let command = &entry.command;
            let words = command.words.join(" ");
            assert!(!command.about.is_empty(), "{words} has no sentence");
            for argument in &command.arguments {
                assert!(!argument.about.is_empty(), "{words} {} has no sentence", argument.name);
            }
            let matches = parser(&catalogue)
                .try_get_matches_from(split(&format!("fazt {}", command.example)))
                .unwrap_or_else(|error| panic!("the example of {words}: {error}"));
            assert_eq!(chosen(&catalogue, &matches).0, command.words, "the example of {words}");
        }
    }

    /// Splits as a shell does, as far as examples need it.
    fn split(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for letter in line.chars() {
            match (letter, quote) {
                ('\'' | '"', None) => quote = Some(letter),
                (letter, Some(open)) if letter == open => quote = None,
                (' ', None) => words.push(String::new()),
                (letter, _) => words.last_mut().unwrap().push(letter),
            }
        }
        words
    }
}
