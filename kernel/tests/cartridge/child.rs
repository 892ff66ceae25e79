//! Processes that a test starts, stops and kills: the test binary runs itself again.
//!
//! A child writes lines that begin with `@` to its standard output; everything else there is noise.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use fazt_kernel::cartridge::{Cartridge, Mode, Options};

use crate::{
    ledger::generator,
    support::{NOTES, add, block_on, note},
};

/// A command that plays `role` on the cartridge at `path`.
pub(crate) fn command(role: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    arguments(&mut command);
    command.env(ROLE, role).env(PATH, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The same, under another program that takes a command as its last arguments.
pub(crate) fn command_under(program: &str, options: &[&str], role: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(options).arg(std::env::current_exe().unwrap());
    arguments(&mut command);
    command.env(ROLE, role).env(PATH, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The child's lines.
pub(crate) fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// The next line of the child that is meant for us, without its mark.
pub(crate) fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    lines.find_map(|line| line.ok()?.split_once('@').map(|(_, text)| text.to_owned()))
}

/// Tells the parent something, at once.
pub(crate) fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{text}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn arguments(command: &mut Command) {
    command.args(["--exact", "child::plays_its_role", "--nocapture"]);
}

/// Waits until the parent closes the child's standard input or kills it.
fn wait_for_parent() {
    drop(std::io::stdin().read_line(&mut String::new()));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent says what to play through the environment"
)]
/// Does nothing unless it was started as a child.
fn plays_its_role() {
    let (Ok(role), Ok(path)) = (std::env::var(ROLE), std::env::var(PATH)) else { return };
    let path = Path::new(&path);
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("hold", "") => {
            let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
            tell(&format!("open {}", std::process::id()));
            wait_for_parent();
            block_on(cartridge.close()).unwrap();
        }
        ("umask", "") => {
            let _before = rustix::process::umask(rustix::fs::Mode::empty());
            let clock = crate::support::clock();
            Cartridge::create(path, &clock).unwrap();
            let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
            cartridge.migrate(&note(), NOTES).wait().unwrap();
            add(&cartridge, "one").unwrap();
            cartridge.backup(&path.with_file_name("data.db.backup")).wait().unwrap();
            tell("ready");
            wait_for_parent();
        }
        ("write", count) => {
            let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
            tell("begin");
            for i in 0..count.parse().unwrap() {
                match add(&cartridge, &format!("entry {i}")) {
                    Ok(()) => tell(&format!("ack {i}")),
                    Err(error) => tell(&format!("error {i} {error}")),
                }
            }
            if let Some(why) = futures_util::FutureExt::now_or_never(cartridge.failed()) {
                tell(&format!("failed {why}"));
            }
        }
        ("migrate", "") => {
            let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
            tell("begin");
            let result = cartridge.migrate(&note(), crate::migrations::SLOW).wait();
            tell(&format!("{result:?}"));
        }
        ("generate", seed) => generator::run(path, seed),
        other => panic!("no such role: {other:?}"),
    }
}

const ROLE: &str = "CARTRIDGE_TEST_ROLE";
const PATH: &str = "CARTRIDGE_TEST_PATH";
