//! What tests against the real binary share: the program, a running node, a client for HTTP/1.1,
//! sites to deploy, and time.
//!
//! | To… | take |
//! |---|---|
//! | run a command | [`Home::fazt`] |
//! | run a node | [`Launch`], which gives a [`Node`] |
//! | ask a node | [`Client`] with a [`Request`] |
//! | annoy a node | [`RawClient`] |
//! | deploy | [`Node::deploy`] with [`archive`] |
//! | look into a cartridge | [`cartridge`] |
//! | leave out what the machine cannot do | [`skipped`] |
//!
//! The program is the one that `FAZT_BIN` names, else it is built from this workspace.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "only tests use this library: they fail where something is missing, and say why"
)]

pub mod cartridge;
pub mod fixtures;
mod http;
mod launch;
mod node;
mod program;
mod random;
mod raw;
mod site;
mod time;
mod usage;

pub use http::{Answer, Broken, Client, Request};
pub use launch::{Ended, Launch};
pub use node::{Home, Node, Said};
pub use program::{command, program, setting};
pub use random::Random;
pub use raw::{RawClient, allow_many_files};
pub use site::{archive, fingerprint, hex};
pub use time::{Stopwatch, until, wait_for};
pub use usage::{memory, memory_peak, open_files, processor_time};

/// Says in one line that a test is left out, and why.
pub fn skipped(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
}

/// Whether system calls can be made to fail here; when not, says so for `test`.
#[must_use]
pub fn can_inject(test: &str) -> bool {
    let works = std::process::Command::new("strace")
        .args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        skipped(test, "strace is missing or may not trace here (Debian package `strace`)");
    }
    works
}
