//! The kernel's own schema: every file of `migrations/kernel`, in order.
//!
//! To add a table, add a file there and a line here. A file that has shipped is never edited.

use super::migrate::{Migration, migration};

/// The kernel's migrations. The number of the last one is the cartridge's schema (`user_version`).
pub(super) const MIGRATIONS: &[Migration<'static>] = &[
    migration!("0001_cartridge", "../../../migrations/kernel/0001_cartridge.sql"),
    migration!("0002_directory", "../../../migrations/kernel/0002_directory.sql"),
    migration!("0003_access", "../../../migrations/kernel/0003_access.sql"),
    migration!("0004_composition", "../../../migrations/kernel/0004_composition.sql"),
    migration!("0005_names", "../../../migrations/kernel/0005_names.sql"),
    migration!("0006_peers", "../../../migrations/kernel/0006_peers.sql"),
    migration!("0007_egress", "../../../migrations/kernel/0007_egress.sql"),
    migration!("0008_jobs", "../../../migrations/kernel/0008_jobs.sql"),
];

/// The newest schema that this build knows.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}
