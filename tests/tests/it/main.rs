//! Scenarios across plugins.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot do what it is about has failed"
)]

mod boundary;
mod loading;
