//! Writes what is generated from the program itself.

use std::process::Command;

/// Writes the CLI reference anew; its test says when it is stale.
///
/// # Errors
/// When the program that renders it fails.
pub(crate) fn write() -> Result<(), String> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--package", "fazt", "reference"])
        .env("UPDATE_SNAPSHOTS", "1")
        .status()
        .map_err(|error| format!("start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the reference could not be written".to_owned()) }
}
