//! The suites, in the order in which a failure is cheapest to learn of.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::fetch;

/// How much of each suite runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// What every change passes.
    Ordinary,
    /// What runs at night.
    Long,
}

struct Suite {
    name: &'static str,
    /// Seconds on two cores, from cold. Printed beside what it took; over it is a warning, because
    /// machines differ.
    budget_s: u64,
    program: &'static str,
    words: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const fn cargo(name: &'static str, budget_s: u64, words: &'static [&'static str]) -> Suite {
    Suite { name, budget_s, program: "cargo", words, environment: &[] }
}

const ORDINARY: &[Suite] = &[
    cargo("format", 10, &["fmt", "--all", "--check"]),
    cargo("lints", 240, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    cargo(
        "left-out builds",
        120,
        &["check", "--package", "fazt", "--tests", "--no-default-features"],
    ),
    cargo("build", 240, &["test", "--workspace", "--no-run"]),
    Suite {
        name: "tests",
        budget_s: 600,
        program: "cargo",
        words: &["test", "--workspace", "--no-fail-fast"],
        // Tests that panic on purpose would bury what failed under their traces.
        environment: &[("RUST_BACKTRACE", "0")],
    },
    Suite {
        name: "documentation",
        budget_s: 120,
        program: "cargo",
        words: &["doc", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Suite {
        name: "static build",
        budget_s: 240,
        program: "bash",
        words: &["tests/static-build.sh"],
        environment: &[],
    },
];

const LONG: &[Suite] = &[
    Suite {
        name: "slow clients, long",
        budget_s: 600,
        program: "cargo",
        words: &["test", "--package", "fazt-tests", "--test", "node", "--release", "slow_clients"],
        environment: &[("SLOW_CLIENTS", "5000")],
    },
    Suite {
        name: "durability, long",
        budget_s: 7_200,
        program: "cargo",
        words: &[
            "test",
            "--package",
            "fazt-kernel",
            "--package",
            "fazt-tests",
            "--release",
            "ledger",
        ],
        environment: &[
            ("CARTRIDGE_LEDGER_KILLS", "300"),
            ("CARTRIDGE_LEDGER_ACKS", "200000"),
            ("NODE_LEDGER_KILLS", "300"),
            ("NODE_LEDGER_ACKS", "200000"),
        ],
    },
];

/// Runs every suite; the first failure ends the run.
///
/// # Errors
/// Which suite failed.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
#[expect(clippy::disallowed_methods, reason = "times its own suites")]
pub(crate) fn run(size: Size) -> Result<(), String> {
    let missing = fetch::missing_tools();
    let long = if size == Size::Long { LONG } else { &[] };
    let mut report = Vec::new();
    for suite in ORDINARY.iter().chain(long) {
        println!("── {} (budget {} s)", suite.name, suite.budget_s);
        let started = Instant::now();
        let mut command = Command::new(suite.program);
        command.args(suite.words).envs(suite.environment.iter().copied());
        let status =
            command.status().map_err(|error| format!("start {}: {error}", suite.program))?;
        let took = started.elapsed();
        if !status.success() {
            return Err(format!(
                "the suite `{}` failed after {} s: {} {}",
                suite.name,
                took.as_secs(),
                suite.program,
                suite.words.join(" ")
            ));
        }
        let over =
            if took > Duration::from_secs(suite.budget_s) { "  over its budget" } else { "" };
        report.push(format!(
            "  {:<18} {:>5} s of {:>5} s{over}",
            suite.name,
            took.as_secs(),
            suite.budget_s
        ));
    }
    println!("\nall suites passed:\n{}", report.join("\n"));
    if missing.is_empty() {
        println!("nothing was left out for want of a program");
    }
    for tool in missing {
        println!(
            "left out: {} (needs `{}`, which is not here and could not be installed)",
            tool.needed_for, tool.program
        );
    }
    Ok(())
}
