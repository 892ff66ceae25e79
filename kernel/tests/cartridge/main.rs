//! The cartridge, from outside: what a caller can rely on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod child;
mod support;

mod backups;
mod content;
mod disk_full;
mod events;
mod failed_sync;
mod ledger;
mod migrations;
mod opening;
mod owners;
mod reading;
mod writing;
