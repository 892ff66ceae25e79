//! `cargo xtask`: the development tasks of this workspace.
//!
//! `test` is what the README names and what CI runs; `nightly` runs the same suites at their long
//! sizes. Each suite has a printed time budget, and what could not run is listed at the end.

mod fetch;
mod fuzz;
mod reference;
mod suites;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <task>

  test       everything: format, lints, tests, the static build; what CI runs
  nightly    the durability suites at their long sizes, after `test`
  fuzz SECONDS [TARGET]
             every fuzz target of tests/fuzz for so long, or one of them
  reference  writes kernel/fazt/REFERENCE.md anew
";

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => suites::run(suites::Size::Ordinary),
        ["nightly"] => suites::run(suites::Size::Long),
        ["fuzz", seconds] => fuzz::run(seconds, None),
        ["fuzz", seconds, target] => fuzz::run(seconds, Some(target)),
        ["reference"] => reference::write(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
