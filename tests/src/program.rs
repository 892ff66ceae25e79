//! The program under test, and settings of a run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A number that the environment sets, such as the length of a series.
///
/// # Panics
/// When it is set and no number.
#[expect(clippy::disallowed_methods, reason = "the length of a run is set from outside")]
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The program under test. Built on first use, unless `FAZT_BIN` names one.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "the program is chosen from outside")]
        match std::env::var_os("FAZT_BIN") {
            Some(path) => path.into(),
            None => build(),
        }
    })
}

/// The program with these words, and nothing of this environment.
#[must_use]
pub fn command<W: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = W>) -> Command {
    let mut command = Command::new(program());
    command.args(words).env_clear();
    command
}

/// Builds the program as a stranger would, and finds out where it is.
fn build() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "fazt", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let executable = String::from_utf8(built.stdout).unwrap().lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_program = message.pointer("/target/name")?.as_str() == Some("fazt");
        is_program.then(|| message.get("executable")?.as_str().map(PathBuf::from)).flatten()
    });
    executable.unwrap()
}
