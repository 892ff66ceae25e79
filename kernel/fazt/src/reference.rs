//! REFERENCE.md, made from the same commands that the parser is made from.
//!
//! It describes the ordinary build, with every plugin. The test fails when the file is stale;
//! `UPDATE_SNAPSHOTS=1` writes it.

use std::fmt::Write as _;
use std::path::Path;

use fazt_sdk::command::{Argument, ArgumentKind, Command};

use crate::catalogue::Catalogue;
use crate::stories::golden;
use crate::{plugins, tree};

fn reference(catalogue: &Catalogue) -> String {
    let mut text = String::from(HEAD);
    let mut noun = "";
    for entry in catalogue.entries() {
        let command = &entry.command;
        if command.words[0] != noun {
            noun = &command.words[0];
            let _ = writeln!(text, "\n## {noun}");
        }
        describe(&mut text, command);
    }
    text
}

fn describe(text: &mut String, command: &Command) {
    let words = command.words.join(" ");
    let _ =
        writeln!(text, "\n### fazt {words}\n\n{}.\n\n    fazt {}", command.about, command.example);
    if !command.arguments.is_empty() {
        let _ = writeln!(text, "\n| argument | |\n| --- | --- |");
    }
    for argument in &command.arguments {
        let about = argument.about.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {about} |", typed(argument));
    }
    if !command.operation.is_empty() {
        let _ = writeln!(text, "\nCalls `{}`.", command.operation);
    }
}

fn typed(argument: &Argument) -> String {
    let value = argument.name.to_uppercase();
    let flag = tree::flag(argument);
    let typed = match argument.kind {
        ArgumentKind::Positional => value,
        ArgumentKind::Option => format!("--{flag} {value}"),
        ArgumentKind::Switch => format!("--{flag}"),
        ArgumentKind::List => format!("--{flag} {value},…"),
    };
    if argument.required { typed } else { format!("[{typed}]") }
}

const HEAD: &str = "\
# The command line

Made from the commands themselves; a test fails when it is stale.

    fazt [@PEER] [OPTIONS] NOUN VERB [ARGUMENTS]

`fazt` alone starts a node on `~/.fazt/data.db` and says where it runs.

| option | |
| --- | --- |
| `--format table\\|json\\|markdown` | How results are printed; JSON is the reply's data, stable for scripts |
| `--db PATH` | The cartridge; else `FAZT_DB`, a node under `/run/fazt/`, `~/.fazt/data.db` |
| `--to NODE` | A peer of `fazt peer list`, `local`, or a node's address with the key in `FAZT_TOKEN`; `@NAME` in front does the same |
| `--verbose` | Says more about what happens |

| exit code | |
| --- | --- |
| 0 | ok |
| 1 | failed |
| 2 | usage: words, flags or values are wrong |
| 3 | not found |
| 4 | refused |
| 5 | unreachable |
";

#[test]
fn the_reference_is_what_the_parser_knows() {
    let text = reference(&Catalogue::new(&plugins::manifests().unwrap()));
    golden::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("REFERENCE.md"), &text);
}
