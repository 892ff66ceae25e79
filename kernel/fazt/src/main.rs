//! `fazt`: one program plays one file. It reads the words, runs the command, and says how it went.
#![forbid(unsafe_code)]

mod arguments;
mod catalogue;
mod commands;
mod delta;
mod dev;
mod environment;
mod failure;
mod invoke;
mod locate;
mod output;
mod plugins;
mod pull;
mod reach;
mod received;
#[cfg(all(test, feature = "hosting"))]
mod reference;
mod run;
mod signals;
mod site;
#[cfg(test)]
mod stories;
mod templates;
mod transport;
mod tree;
mod upload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    // A worker is to have one thread and nothing open: it goes its own way before anything else.
    let rest = words.get(1..).unwrap_or_default();
    if let Some(code) = fazt_kernel::workers::worker_main(rest, plugins::built_in) {
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    let environment = environment::Environment::read();
    let terminal = output::Terminal::detect(environment.no_color);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut output = output::Output::new(&mut out, &mut err, terminal);
    ExitCode::from(run::run(&words, &environment, &mut output) as u8)
}
