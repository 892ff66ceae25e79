//! The beginning of a worker process: give everything up, say so, enter the plugin.

use std::ffi::OsString;
use std::time::Duration;

use fazt_abi::root::PluginRootRef;
use fazt_sdk::services::workers::WorkerLimits;

use super::{frames, sandbox};
use crate::registry::BuiltIn;

/// The first word of a worker's command line.
pub const WORKER_FLAG: &str = "--worker";

/// The last word of it when the plugin is a library, which is standard output then.
pub(super) const LIBRARY_WORD: &str = "library";

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
    is_library: bool,
}

impl Setup {
    pub(super) fn of(plugin: &str, limits: &WorkerLimits) -> Self {
        let cpu = Duration::from_secs(limits.cpu.as_secs().max(1));
        let (plugin, memory_bytes) = (plugin.to_owned(), limits.memory_bytes);
        Self { plugin, memory_bytes, cpu, is_library: false }
    }

    pub(super) fn to_words(&self) -> [String; 3] {
        [self.plugin.clone(), self.memory_bytes.to_string(), self.cpu.as_secs().to_string()]
    }

    fn from_words(words: &[OsString]) -> Option<Self> {
        let (words, is_library) = match words {
            [words @ .., last] if last == LIBRARY_WORD => (words, true),
            words => (words, false),
        };
        let [plugin, memory_bytes, cpu_s] = words else { return None };
        Some(Self {
            plugin: plugin.to_str()?.to_owned(),
            memory_bytes: memory_bytes.to_str()?.parse().ok()?,
            cpu: Duration::from_secs(cpu_s.to_str()?.parse().ok()?),
            is_library,
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
    let root = if setup.is_library {
        load()
    } else {
        let plugins = built_in();
        plugins.iter().find(|plugin| plugin.name == setup.plugin).map(|plugin| (plugin.root)())
    };
    let Some(root) = root else { return Some(WRONG_USAGE) };
    let report = sandbox::enter(&setup);
    let mut hello = Vec::new();
    frames::push(&mut hello, report.as_bytes());
    if write_all(&hello).is_err() {
        return Some(SYSTEM_ERROR);
    }
    Some(root.worker_main()(CHANNEL))
}

/// Loads the library that standard output is, before files are out of reach. What it links to is loaded
/// with it. Afterwards standard output leads nowhere, as it does elsewhere.
#[cfg(all(feature = "loader", target_os = "linux", not(target_feature = "crt-static")))]
fn load() -> Option<PluginRootRef> {
    let root = fazt_abi::load::open(std::path::Path::new("/proc/self/fd/1")).ok()?;
    let nowhere = std::fs::File::options().write(true).open("/dev/null").ok()?;
    rustix::stdio::dup2_stdout(nowhere).ok()?;
    Some(root)
}

/// As above, where no libraries are loaded.
#[cfg(not(all(feature = "loader", target_os = "linux", not(target_feature = "crt-static"))))]
fn load() -> Option<PluginRootRef> {
    None
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
        let setup = Setup {
            plugin: "js".to_owned(),
            memory_bytes: 1 << 26,
            cpu: Duration::from_secs(9),
            is_library: false,
        };
        let said = setup.to_words();
        let said = said.each_ref().map(|word| &**word);
        let [plugin, memory, cpu] = said;
        let library = Setup::from_words(&words(&[plugin, memory, cpu, LIBRARY_WORD]));
        assert!(library.is_some_and(|setup| setup.is_library));
        assert_eq!(Setup::from_words(&words(&said)), Some(setup));
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
