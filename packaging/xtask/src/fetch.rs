//! Programs that some tests need: found, or fetched as Debian packages where that is possible.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program, the Debian package that has it, and what it is for.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    package: &'static str,
    pub(crate) needed_for: &'static str,
}

/// Everything beyond Rust and a C compiler.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        program: "strace",
        package: "strace",
        needed_for: "injecting failed syncs and full disks",
    },
    Tool { program: "curl", package: "curl", needed_for: "fetching a page from the static build" },
];

/// Whether `program` is on the path.
#[expect(clippy::disallowed_methods, reason = "looks for programs where the shell does")]
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Fetches what is missing, where this machine lets us; returns what is still missing.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(crate) fn missing_tools() -> Vec<&'static Tool> {
    let missing: Vec<_> = TOOLS.iter().filter(|tool| !is_there(tool.program)).collect();
    if missing.is_empty() || !is_there("apt-get") || !is_root() {
        return missing;
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    println!("fetching the Debian packages {}", packages.join(", "));
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if apt(&["update", "-q"]) {
        let mut words = vec!["install", "-y", "-q", "--no-install-recommends"];
        words.extend(packages);
        apt(&words);
    }
    TOOLS.iter().filter(|tool| !is_there(tool.program)).collect()
}

/// Whether this process may install packages.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    }) && Path::new("/etc/debian_version").exists()
}
