//! Values that should not stand on the command line, where every process can read them.
//!
//! `-` means the first line of standard input. What is missing is asked for on a terminal, without
//! showing it; without a terminal nobody is asked.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios};

use crate::failure::Failure;
use crate::output::Output;

/// The secret that `given` leads to, or that the person types twice.
pub(super) fn secret(
    given: Option<&str>,
    what: &str,
    output: &mut Output<'_>,
) -> Result<String, Failure> {
    match given {
        Some("-") => line(what),
        Some(secret) => Ok(secret.to_owned()),
        None if std::io::stdin().is_terminal() => {
            output.note(&format!("{what} (it is not shown):"));
            let first = hidden_line(what)?;
            output.note(&format!("{what} again:"));
            if hidden_line(what)? == first {
                Ok(first)
            } else {
                Err(Failure::usage(format!("the two {what}s differ"))
                    .hint("type the command again"))
            }
        }
        None => {
            Err(Failure::usage(format!("no {what} is given, and there is no terminal to ask on"))
                .hint(format!("give --{what} -, and the {what} on standard input")))
        }
    }
}

/// The secret that `given` leads to, or that the person types once: it can be had again.
pub(super) fn secret_once(
    given: Option<&str>,
    what: &str,
    output: &mut Output<'_>,
) -> Result<String, Failure> {
    if given.is_none() && std::io::stdin().is_terminal() {
        output.note(&format!("{what} (it is not shown):"));
        return hidden_line(what);
    }
    secret(given, what, output)
}

/// A secret that the person types twice, or else all of standard input: a key may have several lines.
pub(super) fn secret_or_stdin(what: &str, output: &mut Output<'_>) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        return secret(None, what, output);
    }
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(SECRET_BYTES_MAX + 1);
    input
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed(format!("the {what} cannot be read: {error}")))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(Failure::usage(format!("the {what} has more than {SECRET_BYTES_MAX} bytes")));
    }
    let text = text.strip_suffix('\n').map_or(&*text, |text| text.trim_end_matches('\r'));
    if text.is_empty() {
        return Err(Failure::usage(format!("the {what} on standard input is empty")).hint(
            format!("send it there, or run the command on a terminal, which asks for the {what}"),
        ));
    }
    Ok(text.to_owned())
}

/// The largest secret that is read.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

fn line(what: &str) -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::failed(format!("the {what} cannot be read: {error}")))?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if line.is_empty() {
        return Err(Failure::usage(format!("the {what} on standard input is empty")));
    }
    Ok(line)
}

fn hidden_line(what: &str) -> Result<String, Failure> {
    let _quiet = Quiet::start(what)?;
    line(what)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet {
    stdin: Stdin,
    before: Termios,
}

impl Quiet {
    fn start(what: &str) -> Result<Self, Failure> {
        let stdin = std::io::stdin();
        let failed = |error: rustix::io::Errno| {
            Failure::failed(format!("the {what} cannot be hidden: {error}"))
        };
        let before = rustix::termios::tcgetattr(&stdin).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        rustix::termios::tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(failed)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = rustix::termios::tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}
