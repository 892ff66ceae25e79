//! Apps with server code on whole nodes, as owners deploy them: templates, frameworks, apps written for
//! the predecessor, and everything that JavaScript can keep.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod app;
mod ledger;
mod storage_files;
mod templates;
mod written_elsewhere;
