//! The beginning of a worker process: give everything up, say so, enter the plugin.

use std::ffi::OsString;
use std::time::Duration;

use fazt_sdk::services::workers::WorkerLimits;

use super::{frames, sandbox};
use crate::registry::BuiltIn;

/// The first word of a worker's command line.
pub const WORKER_FLAG: &str = "--worker";

/// Exit codes of sysexits.h: wrong usage, and a system that does not do what it should.
const WRONG_USAGE: i32 = 64;
const SYSTEM_ERROR: i32 = 71;

/// The channel: standard input, in both directions.
const CHANNEL: i32 = 0;

/// What a worker is told about itself, on its command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) plugin: String,
    pub(super) memory_bytes: u64,
    pub(super) cpu: Duration,
}

impl Setup {
    pub(super) fn of(plugin: &str, limits: &WorkerLimits) -> Self {
        let cpu = Duration::from_secs(limits.cpu.as_secs().max(1));
        Self { plugin: plugin.to_owned(), memory_bytes: limits.memory_bytes, cpu }
    }

    pub(super) fn to_words(&self) -> [String; 3] {
        [self.plugin.clone(), self.memory_bytes.to_string(), self.cpu.as_secs().to_string()]
    }

    fn from_words(words: &[OsString]) -> Option<Self> {
        let [plugin, memory_bytes, cpu_s] = words else { return None };
        Some(Self {
            plugin: plugin.to_str()?.to_owned(),
            memory_bytes: memory_bytes.to_str()?.parse().ok()?,
            cpu: Duration::from_secs(cpu_s.to_str()?.parse().ok()?),
        })
    }
}

/// Serves as a worker when `words`, the command line without the program, say so; returns the exit
/// code then.
///
/// To be called before anything else in `main`: the sandbox is for a process with one thread, which
/// has opened nothing.
#[must_use]
pub fn worker_main(words: &[OsString], built_in: impl FnOnce() -> Vec<BuiltIn>) -> Option<i32> {
    let [flag, rest @ ..] = words else { return None };
    if flag != WORKER_FLAG {
        return None;
    }
    let Some(setup) = Setup::from_words(rest) else { return Some(WRONG_USAGE) };
    let plugins = built_in();
    let Some(plugin) = plugins.iter().find(|plugin| plugin.name == setup.plugin) else {
        return Some(WRONG_USAGE);
    };
    let root = (plugin.root)();
    let report = sandbox::enter(&setup);
    let mut hello = Vec::new();
    frames::push(&mut hello, report.as_bytes());
    if write_all(&hello).is_err() {
        return Some(SYSTEM_ERROR);
    }
    Some(root.worker_main()(CHANNEL))
}

fn write_all(mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::write(rustix::stdio::stdin(), bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_setup_survives_the_command_line() {
        let setup =
            Setup { plugin: "js".to_owned(), memory_bytes: 1 << 26, cpu: Duration::from_secs(9) };
        assert_eq!(
            Setup::from_words(&words(&setup.to_words().each_ref().map(|word| &**word))),
            Some(setup)
        );
    }

    #[test]
    fn other_words_are_no_worker_and_wrong_ones_end_it() {
        assert_eq!(worker_main(&[], Vec::new), None);
        assert_eq!(worker_main(&words(&["app", "list"]), Vec::new), None);
        assert_eq!(worker_main(&words(&["app", "--worker"]), Vec::new), None);
        for wrong in
            [&["--worker"][..], &["--worker", "js", "much", "1"], &["--worker", "js", "1", "1"]]
        {
            assert_eq!(worker_main(&words(wrong), Vec::new), Some(WRONG_USAGE), "{wrong:?}");
        }
    }
}
