//! What the program promises as a whole, asked of the real binary: it loses nothing, refuses what it
//! should, stops in order, and survives the machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where something is missing, and prints its figures"
)]

mod access_log;
mod bad_input;
mod broken_uploads;
mod copies;
mod disk_full;
mod exclusive;
mod exhaustion;
mod failing_disk;
mod generators;
mod jobs;
mod ledger;
mod names_and_paths;
mod odd_requests;
mod permissions;
mod predecessor;
mod refusals;
mod replacing;
mod slow_clients;
mod stopping;
mod swapping;
