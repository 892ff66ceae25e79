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
#[cfg(all(test, feature = "hosting"))]
mod reference;
mod run;
mod signals;
mod site;
#[cfg(test)]
mod stories;
mod transport;
mod tree;
mod upload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = environment::Environment::read();
    let words: Vec<_> = std::env::args_os().collect();
    let terminal = output::Terminal::detect(environment.no_color);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut output = output::Output::new(&mut out, &mut err, terminal);
    ExitCode::from(run::run(&words, &environment, &mut output) as u8)
}
