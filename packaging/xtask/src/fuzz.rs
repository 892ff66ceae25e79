//! `cargo xtask fuzz`: runs every fuzz target for a while. Needs a C++ compiler for libFuzzer and no
//! other tool chain than the workspace's: coverage comes from flags that the compiler has anyway.

use std::process::Command;

const MANIFEST: &str = "tests/fuzz/Cargo.toml";
const TARGET_DIR: &str = "target/fuzz";

const TARGETS: [&str; 7] =
    ["authority", "path", "archive", "rules", "conditions", "queries", "changes"];

/// What libFuzzer needs to see where the code goes.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// Runs each target for `seconds`, or only the one that is named.
///
/// # Errors
/// Which target found something, or why none could be built.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(crate) fn run(seconds: &str, only: Option<&str>) -> Result<(), String> {
    let seconds: u32 =
        seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    if let Some(name) = only
        && !TARGETS.contains(&name)
    {
        return Err(format!("there is no target `{name}`; there are {}", TARGETS.join(", ")));
    }
    let host = host()?;
    let built = Command::new("cargo")
        .args(["build", "--release", "--manifest-path", MANIFEST, "--target-dir", TARGET_DIR])
        .args(["--target", &host])
        .env("RUSTFLAGS", FLAGS)
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("the targets could not be built".to_owned());
    }
    for name in TARGETS.into_iter().filter(|name| only.is_none_or(|only| only == *name)) {
        println!("── fuzzing {name} for {seconds} s");
        let status = Command::new(format!("{TARGET_DIR}/{host}/release/{name}"))
            .args([&format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=1024"])
            .args(["-verbosity=0", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={TARGET_DIR}/{name}-"))
            .status()
            .map_err(|error| format!("start {name}: {error}"))?;
        if !status.success() {
            return Err(format!("{name} found something; the input is in {TARGET_DIR}"));
        }
    }
    Ok(())
}

fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc does not say which machine it is for".to_owned())
}
