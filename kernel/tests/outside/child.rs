//! Processes that a test starts and kills: the test binary runs itself again.
//!
//! A child writes lines that begin with `@` to its standard output; everything else there is noise.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// A command that plays `role`, under another program that takes a command as its last arguments.
pub(crate) fn command_under(program: &str, options: &[&str], role: &str) -> Command {
    let mut command = Command::new(program);
    command.args(options).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "child::plays_its_role", "--nocapture"]);
    command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The last line of a child's output that was meant for us, without its mark.
pub(crate) fn report(output: &str) -> Option<String> {
    output.lines().rev().find_map(|line| Some(line.split_once('@')?.1.to_owned()))
}

/// Tells the parent something, at once.
pub(crate) fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{text}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent says what to play through the environment"
)]
/// Does nothing unless it was started as a child.
fn plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("canaries", "") => crate::canaries::in_the_namespace(),
        ("work", path) => crate::crashes::work(path),
        other => panic!("no such role: {other:?}"),
    }
}

const ROLE: &str = "OUTSIDE_TEST_ROLE";
